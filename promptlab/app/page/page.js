// Before textual.js begins, which is when the page has been loaded: where its terminal connects to.
"use strict";

// The token is in a cookie by now; it need not stand in the address, nor in the browser's history.
history.replaceState(null, "", "/");

document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("terminal").dataset.sessionWebsocketUrl = `ws://${window.location.host}/ws`;
  document.getElementById("again").addEventListener("click", () => window.location.reload());
  // As soon as something is shown, what is typed is for it.
  new MutationObserver((_, observer) => {
    if (!document.body.classList.contains("-first-byte")) return;
    observer.disconnect();
    document.querySelector(".xterm-helper-textarea").focus();
  }).observe(document.body, { attributeFilter: ["class"] });
});

// The terminal measures its characters, so their font has to be there first.
document.fonts.load('15px "Roboto Mono"');
