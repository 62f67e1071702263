// The data, and how nodes are made. All text gets into the page through `make`, as text.

const DATA = JSON.parse(document.getElementById("data").textContent);
const STATES = DATA.states;
const COLUMNS = DATA.columns.map(([prompt, model], index) => ({ index, prompt: text(prompt), model: text(model) }));
const CASES = DATA.cases.map((each, index) => ({
  ...each,
  index,
  id: text(each.id),
  cells: COLUMNS.map(() => []),
  clusters: each.clusters ?? [],
}));
for (const result of DATA.results) CASES[result.case].cells[result.column].push(result);
const SAMPLES = DATA.results.reduce((most, each) => Math.max(most, each.sample + 1), 0);

function text(place) {
  return DATA.texts[place];
}

// Make an element. Children that are not nodes become text; those that are null are left out.
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// A button that does something.
function button(label, attributes, act) {
  const node = make("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", act);
  return node;
}

// A part that is folded, and made when it is opened first.
function folded(label, build) {
  const node = make("details", null, make("summary", null, label));
  node.addEventListener("toggle", () => {
    if (node.open && node.children.length === 1) node.append(...[build()].flat());
  });
  return node;
}

function percent(share) {
  const shown = (100 * share).toFixed(1);
  if (shown === "100.0") return share === 1 ? "100%" : ">99.9%";
  if (shown === "0.0") return share === 0 ? "0%" : "<0.1%";
  return `${shown}%`;
}

function count(number, one, many) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

function chip(column) {
  return make("b", { class: "chip" }, column + 1);
}

// A name without its middle where it is long: how names end is what tells them apart.
function middle(name, length = 30) {
  const head = Math.floor(length / 3);
  return name.length <= length ? name : `${name.slice(0, head)}…${name.slice(head + 1 - length)}`;
}

function columnName(column) {
  const { prompt, model } = COLUMNS[column];
  return make(
    "span",
    { class: "two", title: `${prompt} on ${model}` },
    make("bdi", null, middle(prompt)),
    make("bdi", { class: "dim" }, middle(model)),
  );
}
