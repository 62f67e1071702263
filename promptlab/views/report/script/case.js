// The page of a case: inputs, expectations, and the answers of the columns side by side.

const DIALOG = document.getElementById("case");
const view = { sample: 0, reference: COLUMNS.length > 1 ? 0 : null, list: CASES, place: 0 };

// Open a case; `list` is what the buttons before and after go along.
function openCase(each, list) {
  view.list = list.includes(each) ? list : CASES;
  view.place = view.list.indexOf(each);
  drawCase();
  if (!DIALOG.open) DIALOG.showModal();
  DIALOG.scrollTop = 0;
}

function drawCase() {
  const each = view.list[view.place];
  history.replaceState(null, "", `#case=${encodeURIComponent(each.id)}`);
  const held = document.activeElement?.dataset.step; // the button that was used keeps the focus
  DIALOG.replaceChildren(
    caseHead(each),
    make("div", { class: "inside" }, given(each), controls(each), make("div", { class: "cards" }, cards(each))),
  );
  const again = DIALOG.querySelector(`[data-step="${held}"]:not([disabled])`);
  if (DIALOG.open) (again ?? DIALOG).focus();
}

function caseHead(each) {
  const title = make("h2", { id: "case-id" }, make("bdi", null, each.id));
  const described = each.description === undefined ? null : make("p", { class: "dim" }, text(each.description));
  return make(
    "header",
    { class: "case-head" },
    make("div", { class: "grow" }, title, described),
    make(
      "div",
      { class: "buttons" },
      make("span", { class: "dim" }, `${view.place + 1} of ${view.list.length}`),
      button(
        "‹",
        {
          "aria-label": "Previous case",
          title: "Previous case (left arrow)",
          "data-step": -1,
          disabled: view.place === 0,
        },
        () => step(-1),
      ),
      button(
        "›",
        {
          "aria-label": "Next case",
          title: "Next case (right arrow)",
          "data-step": 1,
          disabled: view.place === view.list.length - 1,
        },
        () => step(1),
      ),
      button("Close", { title: "Close (Escape)" }, () => DIALOG.close()),
    ),
  );
}

function step(by) {
  const next = view.place + by;
  if (next < 0 || next >= view.list.length) return;
  view.place = next;
  drawCase();
  DIALOG.scrollTop = 0;
}

function given(each) {
  const inputs = pairs(
    "Inputs",
    (each.vars ?? []).map(([name, value]) => [text(name), text(value)]),
  );
  const expected = (each.asserts ?? []).map((assertion) => [text(assertion.type), expectation(assertion)]);
  if (each.threshold !== undefined) expected.push(["threshold", `passes from a score of ${each.threshold}`]);
  const more = pairs(
    "Metadata",
    (each.metadata ?? []).map(([name, value]) => [text(name), text(value)]),
  );
  return make("div", { class: "pieces" }, inputs, pairs("Expected", expected), more);
}

function pairs(title, rows) {
  if (!rows.length) return null;
  const list = rows.flatMap(([name, value]) => [
    make("dt", null, make("bdi", null, name)),
    make("dd", null, value instanceof Node ? value : longText(value)),
  ]);
  return make("div", null, make("h3", null, title), make("dl", null, list));
}

function expectation(assertion) {
  const tags = ["threshold", "weight"]
    .filter((name) => assertion[name] !== undefined)
    .map((name) => `${name} ${assertion[name]}`);
  if (assertion.metric !== undefined) tags.push(`metric ${text(assertion.metric)}`);
  if (assertion.provider !== undefined) tags.push(`by ${text(assertion.provider)}`);
  const value = assertion.value === undefined ? null : longText(text(assertion.value));
  return make(
    "div",
    null,
    value,
    make(
      "div",
      { class: "tags" },
      tags.map((tag) => make("span", { class: "tag" }, tag)),
    ),
  );
}

function controls(each) {
  const compare = make(
    "select",
    { id: "reference" },
    make("option", { value: "" }, "nothing"),
    COLUMNS.map((column) =>
      make(
        "option",
        { value: column.index },
        `${column.index + 1}: ${middle(column.prompt)} on ${middle(column.model)}`,
      ),
    ),
  );
  compare.value = view.reference ?? "";
  compare.addEventListener("change", () => {
    view.reference = compare.value === "" ? null : Number(compare.value);
    redraw(each);
  });
  const difference = COLUMNS.length > 1 ? make("label", null, "Mark differences from ", compare) : null;
  return make("div", { class: "tools" }, SAMPLES > 1 ? samplePicker(each) : null, difference);
}

function samplePicker(each) {
  const group = make("div", { class: "picks", role: "group", "aria-label": "Sample" }, make("span", null, "Sample "));
  for (let sample = 0; sample < SAMPLES; sample++) {
    group.append(
      button(sample + 1, { "aria-pressed": String(sample === view.sample), "data-step": `s${sample}` }, () => {
        view.sample = sample;
        for (const other of group.querySelectorAll("button"))
          other.setAttribute("aria-pressed", String(other.dataset.step === `s${sample}`));
        redraw(each);
      }),
    );
  }
  return group;
}

function redraw(each) {
  DIALOG.querySelector(".cards").replaceChildren(...cards(each));
}

function cards(each) {
  const chosen = each.cells.map((results) => results.find((result) => result.sample === view.sample));
  const other = view.reference === null ? undefined : chosen[view.reference];
  const reference = other && other.error === undefined ? text(other.text) : undefined;
  return chosen.map((result, column) => {
    const own = column === view.reference;
    return answerCard(column, result, own ? undefined : reference, own && reference !== undefined);
  });
}

DIALOG.addEventListener("keydown", (event) => {
  if (event.target.matches("select, input, .token, [aria-pressed]") || event.altKey || event.ctrlKey || event.metaKey)
    return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
DIALOG.addEventListener("click", (event) => event.target === DIALOG && DIALOG.close());
DIALOG.addEventListener("close", () => {
  history.replaceState(null, "", "#");
  focusRow(view.list[view.place]);
});

// The case that the address names, where it names one.
function openNamed() {
  const name = location.hash.match(/^#case=(.*)$/)?.[1];
  if (name === undefined) return;
  const found = CASES.find((each) => encodeURIComponent(each.id) === name);
  if (found) openCase(found, CASES);
}
