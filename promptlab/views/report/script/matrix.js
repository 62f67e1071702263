// The matrix: a row for each case, a cell for each column. The first rows are made at once, the others in idle time.
// Rows are grids of their own, not rows of a table, so that a browser need not lay out those that are out of sight.

const AT_ONCE = 40;
const IN_A_GO = 50;
const MOST_CELLS = 40000; // Beyond, rows are made when one asks for them.

const shown = new Set(COLUMNS.keys());
const rows = new Map();
const matrix = { list: CASES, body: null, filling: 0 };
const later = window.requestIdleCallback ?? ((act) => setTimeout(() => act({ timeRemaining: () => 10 }), 1));

function results(each) {
  return [...shown].flatMap((column) => each.cells[column]);
}

// --- what is shown, and in which order ---

function differs(each) {
  return each.clusters.filter(([, members]) => members.some(([column]) => shown.has(column))).length > 1;
}

const FILTERS = {
  fail: (each) => results(each).some((result) => stateOf(result) === "fail"),
  error: (each) => results(each).some((result) => stateOf(result) === "error"),
  unscored: (each) => results(each).some((result) => stateOf(result) === "unscored"),
  pass: (each) => results(each).length > 0 && results(each).every((result) => stateOf(result) === "pass"),
  differ: differs,
};

const rate = (each) => passRate(results(each));

// Where there is no number, the case stands last.
function byNumber(number, upwards) {
  return (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return upwards ? x - y : y - x;
  };
}

const ORDERS = {
  id: (a, b) => a.id.localeCompare(b.id, "en", { numeric: true }),
  low: byNumber(rate, true),
  high: byNumber(rate, false),
  split: byNumber((each) => each.agreement ?? null, true),
};

let small; // all texts in small letters, once somebody looks for one

function holds(each, wanted) {
  small ??= DATA.texts.map((said) => said.toLowerCase());
  const places = [
    DATA.cases[each.index].id,
    each.description,
    ...(each.vars ?? []).map(([, value]) => value),
    ...results(each).map((result) => result.text),
  ];
  return places.some((place) => place !== undefined && small[place].includes(wanted));
}

function choose() {
  const [wanted, state, order] = ["find", "state", "order"].map((id) => document.getElementById(id).value);
  const word = wanted.trim().toLowerCase();
  let list = CASES.filter((each) => (!state || FILTERS[state](each)) && (!word || holds(each, word)));
  if (order) list = list.toSorted(ORDERS[order]);
  matrix.list = list;
  document.getElementById("shown").value =
    list.length === CASES.length
      ? count(list.length, "case", "cases")
      : `${list.length.toLocaleString("en")} of ${count(CASES.length, "case", "cases")}`;
  fillRows();
}

// --- rows ---

function fillRows() {
  const run = ++matrix.filling;
  matrix.body.replaceChildren(...matrix.list.slice(0, AT_ONCE).map((each) => rowOf(each, false)));
  if (!matrix.list.length) matrix.body.append(make("p", { class: "none dim" }, "No case is like that."));
  reachable(matrix.body.querySelector(".case"));
  const most = Math.max(AT_ONCE, Math.floor(MOST_CELLS / shown.size));
  fillLater(AT_ONCE, most, run);
}

function fillLater(from, until, run) {
  if (from >= matrix.list.length) return;
  if (from >= until) return void askForMore(from, run);
  later((deadline) => {
    if (run !== matrix.filling) return;
    do {
      matrix.body.append(...matrix.list.slice(from, from + IN_A_GO).map((each) => rowOf(each, true)));
      from += IN_A_GO;
    } while (deadline.timeRemaining() > 5 && from < Math.min(until, matrix.list.length));
    fillLater(from, until, run);
  });
}

function askForMore(from, run) {
  const left = matrix.list.length - from;
  const more = button(
    `Show ${count(Math.min(left, 500), "case", "cases")} more of ${left.toLocaleString("en")}`,
    { class: "none" },
    () => {
      more.remove();
      fillLater(from, from + 500, run);
    },
  );
  matrix.body.append(more);
}

// A row that is far down is laid out only when it comes into view.
function rowOf(each, far) {
  if (!rows.has(each)) rows.set(each, makeRow(each));
  rows.get(each).classList.toggle("far", far);
  return rows.get(each);
}

function makeRow(each) {
  const passed = rate(each) === null ? null : `${percent(rate(each))} pass`;
  const agree =
    each.agreement === undefined
      ? null
      : make("span", { class: "agree" }, `${passed ? " · " : ""}${percent(each.agreement)} agree`);
  const about = each.description ?? each.vars?.[0]?.[1];
  const head = make(
    "div",
    { class: "head", role: "rowheader" },
    make("button", { type: "button", class: "case", tabindex: -1, title: each.id }, make("bdi", null, each.id)),
    make("span", { class: "sub" }, about === undefined ? "" : make("bdi", null, beginning(text(about), 80))),
    make("span", { class: "sub" }, passed, agree),
  );
  const row = make(
    "div",
    { class: "row", role: "row" },
    head,
    [...shown].map((column) => makeCell(each, column)),
  );
  row.addEventListener("click", () => openCase(each, matrix.list));
  return row;
}

function makeCell(each, column) {
  const all = each.cells[column];
  if (!all.length) return make("div", { class: "cell dim", role: "cell" }, "no answer");
  const ways = all.length > 1 ? each.clusters.filter(([, members]) => members.some(([of]) => of === column)).length : 1;
  const first = all[0];
  const said =
    first.error === undefined ? beginning(text(first.text), 120) || "(nothing)" : beginning(text(first.error), 120);
  return make(
    "div",
    { class: "cell", role: "cell" },
    make(
      "span",
      { class: "above" },
      marks(all),
      ways > 1 ? make("span", { class: "ways" }, `${ways} different`) : null,
    ),
    make("bdi", { class: `words${first.error === undefined ? "" : " dim"}` }, said),
  );
}

// --- keys ---

// One row is reached by Tab, the others from there by arrows.
function reachable(next) {
  matrix.body.querySelector('.case[tabindex="0"]')?.setAttribute("tabindex", "-1");
  next?.setAttribute("tabindex", "0");
}

function focusRow(each) {
  const node = rows.get(each)?.querySelector(".case");
  if (!node?.isConnected) return;
  reachable(node);
  node.focus();
}

// --- the table ---

function makeMatrix() {
  const names = [...shown].map((column) =>
    make("div", { class: "cell name", role: "columnheader" }, chip(column), columnName(column)),
  );
  const head = make(
    "div",
    { class: "row heads", role: "row" },
    make("div", { class: "head", role: "columnheader" }, "Case"),
    names,
  );
  matrix.body = make("div", { role: "rowgroup", class: "rows" });
  const table = make(
    "div",
    { role: "table", "aria-label": "Cases", "aria-rowcount": CASES.length + 1, class: "grid" },
    head,
    matrix.body,
  );
  table.style.setProperty("--columns", shown.size);
  rows.clear();
  document.getElementById("matrix").replaceChildren(table);
  matrix.body.addEventListener("focusin", (event) => event.target.matches(".case") && reachable(event.target));
  matrix.body.addEventListener(
    "keydown",
    (event) =>
      event.target.matches(".case") &&
      moveFocus(event, [...matrix.body.querySelectorAll(".case")], "ArrowUp", "ArrowDown"),
  );
  choose();
}

function makePicker() {
  const boxes = COLUMNS.map((column) =>
    make("input", { type: "checkbox", checked: true, id: `column-${column.index}` }),
  );
  const apply = () => {
    shown.clear();
    for (const [column, box] of boxes.entries()) if (box.checked) shown.add(column);
    document.querySelector("#picker summary").textContent =
      shown.size === COLUMNS.length ? "Columns" : `Columns (${shown.size} of ${COLUMNS.length})`;
    makeMatrix();
  };
  const set = (wanted) => {
    for (const [column, box] of boxes.entries()) box.checked = wanted(column);
    apply();
  };
  for (const box of boxes) box.addEventListener("change", apply);
  document.getElementById("menu").append(
    make(
      "div",
      { class: "buttons" },
      button("All", null, () => set(() => true)),
      button("None", null, () => set(() => false)),
    ),
    ...COLUMNS.map(({ index }) =>
      make(
        "div",
        { class: "pick" },
        make("label", { for: `column-${index}` }, boxes[index], chip(index), columnName(index)),
        button("only", { class: "quiet" }, () => set((column) => column === index)),
      ),
    ),
  );
}
