// How probable each token of an answer was, as bars: the higher, the more surprising. A record keeps the number of each
// token but not its text, so the bars stand below the whole text instead of colouring parts of it.

const BARS = 3000;
const HIGHEST = 10; // Bits; a bar of more is cut off.
const LEVELS = [0.5, 2, 4, 7];

function readTokens(written) {
  return written.split(" ").map((token) => {
    const numbers = token.split(",").map(Number); // `x`, which cannot be drawn, becomes NaN
    const all = [];
    for (let i = 0; i < numbers.length; i += 2) {
      all.push({ id: numbers[i], logprob: isNaN(numbers[i + 1]) ? -Infinity : numbers[i + 1] / 1000 });
    }
    return { ...all[0], others: all.slice(1) };
  });
}

function surprise(token) {
  return -token.logprob / Math.LN2;
}

function tokenStrip(written) {
  const tokens = readTokens(written);
  const about = make("div", { class: "about", "aria-live": "polite" });
  const bars = tokens.slice(0, BARS).map((token, index) => tokenBar(token, index, tokens.length));
  const strip = make("div", { class: "strip", role: "group", "aria-label": "Tokens" }, bars);
  const choose = (bar) => {
    strip.querySelector("[aria-current]")?.removeAttribute("aria-current");
    bar.setAttribute("aria-current", "true");
    for (const other of bars) other.tabIndex = other === bar ? 0 : -1;
    const index = bars.indexOf(bar);
    about.replaceChildren(...aboutToken(tokens[index], index, tokens.length));
  };
  for (const kind of ["focusin", "click", "pointerover"]) {
    strip.addEventListener(kind, (event) => event.target.matches(".token") && choose(event.target));
  }
  strip.addEventListener("keydown", (event) => moveFocus(event, bars, "ArrowLeft", "ArrowRight"));
  choose(bars[0]);
  const bits = tokens.map(surprise).filter(isFinite);
  const mean = bits.reduce((sum, each) => sum + each, 0) / (bits.length || 1);
  const more = tokens.length > BARS ? `, the first ${BARS.toLocaleString("en")} of them shown` : "";
  const said = `${count(tokens.length, "token", "tokens")}${more}, ${mean.toFixed(2)} bits of surprise on average`;
  const note = "A record names its tokens by number, so these bars are the text from left to right, not parts of it.";
  return [make("p", { class: "dim" }, said), strip, about, make("p", { class: "dim small" }, note)];
}

function tokenBar(token, index, of) {
  const bits = surprise(token);
  const level = LEVELS.filter((least) => bits >= least).length;
  const label = `token ${index + 1} of ${of}: ${percent(Math.exp(token.logprob))}`;
  const bar = make("button", {
    type: "button",
    class: `token t${level}`,
    tabindex: -1,
    "aria-label": label,
    title: label,
  });
  bar.style.setProperty("--height", Math.min(bits, HIGHEST) / HIGHEST);
  return bar;
}

// A token, and what could have stood there instead.
function aboutToken(token, index, of) {
  const all = [token, ...token.others].sort((a, b) => b.logprob - a.logprob);
  const rows = all.map((each) =>
    make(
      "tr",
      { class: each === token ? "drawn" : null },
      make("td", { class: "n" }, each === token ? `→ ${each.id}` : each.id),
      make("td", { class: "n" }, isFinite(each.logprob) ? each.logprob.toFixed(3) : "−∞"),
      make("td", { class: "n" }, percent(Math.exp(each.logprob))),
      make("td", { class: "n" }, isFinite(each.logprob) ? surprise(each).toFixed(2) : "∞"),
    ),
  );
  const heads = ["id", "log-probability", "probability", "bits"].map((name) =>
    make("th", { scope: "col", class: "n" }, name),
  );
  return [
    make("p", null, `Token ${index + 1} of ${of}`),
    make("table", null, make("thead", null, make("tr", null, heads)), make("tbody", null, rows)),
  ];
}

// Move the focus along a row of nodes by keys.
function moveFocus(event, nodes, back, forth) {
  const place = nodes.indexOf(document.activeElement);
  const next = { [back]: place - 1, [forth]: place + 1, Home: 0, End: nodes.length - 1 }[event.key];
  if (place < 0 || next === undefined) return;
  event.preventDefault();
  nodes[Math.max(0, Math.min(next, nodes.length - 1))].focus();
}
