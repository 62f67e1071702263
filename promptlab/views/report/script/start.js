// Put it all into the page.

function makeTheme() {
  const node = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const name = () => {
    node.textContent = `◐ ${dark() ? "Light" : "Dark"}`;
  };
  node.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();
}

function start() {
  makeTheme();
  for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  let wait;
  document.getElementById("find").addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(choose, 100);
  });
  for (const id of ["state", "order"]) document.getElementById(id).addEventListener("change", choose);
  document.addEventListener("click", (event) => {
    const picker = document.getElementById("picker");
    if (!picker.contains(event.target)) picker.open = false;
  });
  makePicker();
  makeMatrix();
  makeSplits();
  addEventListener("beforeprint", () => matrix.body.replaceChildren(...matrix.list.map((each) => rowOf(each, false))));
  addEventListener("hashchange", openNamed);
  openNamed();
}

start();
