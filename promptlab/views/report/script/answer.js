// An answer of one column, with all that belongs to it.

const LONG = 4000; // Characters of a text that are shown before one asks for more.

// `reference` is the text whose differences are marked; undefined where there is none.
function answerCard(column, result, reference, isReference) {
  const head = make("header", null, chip(column), columnName(column), result ? markWord(result) : null);
  if (!result) return make("article", { class: "card" }, head, make("p", { class: "dim" }, "No such sample."));
  const said = text(result.text);
  const error = result.error === undefined ? null : make("pre", { class: "failure" }, text(result.error));
  const comparable = reference !== undefined && said !== reference && !error;
  const pieces = comparable ? compareWords(reference, said) : undefined;
  const body = pieces ? make("div", { class: "text", dir: "auto" }, markedText(pieces)) : longText(said);
  return make(
    "article",
    { class: `card ${stateOf(result)}${isReference ? " reference" : ""}` },
    head,
    error,
    said || !error ? body : null,
    numbers(result, pieces === null),
    checkList(result),
    steps(result),
    make("p", { class: "dim small" }, `record ${result.id}, ${result.started}`),
  );
}

function longText(said) {
  const node = make("div", { class: "text", dir: "auto" });
  if (said === "") node.append(make("span", { class: "dim" }, "(nothing)"));
  else if (said.length <= LONG * 1.2) node.append(said);
  else {
    const all = button(`Show all ${said.length.toLocaleString("en")} characters`, { class: "more" }, () =>
      node.replaceChildren(said),
    );
    node.append(said.slice(0, LONG), "…", all);
  }
  return node;
}

function numbers(result, unmarked) {
  const last = result.steps?.at(-1);
  const parts = [];
  if (unmarked) parts.push("too different to mark words");
  if (result.cached) parts.push("from the history");
  if (result.score !== undefined) parts.push(`score ${result.score.toFixed(2)}`);
  if (result.steps?.length > 1) parts.push(count(result.steps.length, "step", "steps"));
  return make(
    "p",
    { class: "numbers" },
    [...parts, ...(last ? stepNumbers(last) : [])].map((part) => make("span", null, part)),
  );
}

function stepNumbers(step) {
  const parts = [];
  if (step.finish) parts.push(step.finish === "length" ? "cut off at max_tokens" : `ended by ${step.finish}`);
  parts.push(`seed ${step.seed}`);
  if (step.usage) {
    const [read, cached, written] = step.usage;
    parts.push(`${read}${cached ? ` (${cached} computed before)` : ""} → ${count(written, "token", "tokens")}`);
  }
  if (step.times) {
    const [first, decode, speed] = step.times;
    parts.push(`first token ${first.toFixed(2)} s`, `${(first + decode).toFixed(2)} s in all`);
    if (speed) parts.push(`${speed.toFixed(0)} tokens/s`);
  }
  return parts;
}

function checkList(result) {
  if (!result.checks) return null;
  return make(
    "ul",
    { class: "checks" },
    result.checks.map(([type, outcome, score, reason, weight, metric]) => {
      const about = [metric === null ? null : text(metric), weight === 1 ? null : `weight ${weight}`];
      const partial = score !== null && score !== 0 && score !== 1 ? ` ${score.toFixed(2)}` : "";
      return make(
        "li",
        null,
        mark(STATES[outcome]),
        make(
          "div",
          null,
          make("b", null, text(type)),
          partial,
          make("span", { class: "visually-hidden" }, ` ${STATES[outcome]}`),
          about.filter(Boolean).map((each) => make("span", { class: "tag" }, each)),
          make("div", { class: "reason" }, longText(text(reason))),
        ),
      );
    }),
  );
}

// A program of one step needs no heading for it; of several, each is folded by itself.
function steps(result) {
  const all = result.steps ?? [];
  if (all.length === 1) return stepParts(all[0], null);
  return all.map((step, index) => {
    const label = make(
      "span",
      null,
      `step ${index + 1} `,
      make("b", null, text(step.name)),
      " ",
      make("span", { class: "dim" }, beginning(text(step.text), 40)),
    );
    const parts = () =>
      [
        longText(text(step.text)),
        make(
          "p",
          { class: "numbers" },
          stepNumbers(step).map((part) => make("span", null, part)),
        ),
        stepParts(step, all[index - 1] ?? null),
      ].flat();
    return make("div", null, choices(step), folded(label, parts));
  });
}

function stepParts(step, before) {
  return [
    before === null && step.choices ? choices(step) : null,
    folded(count(DATA.conversations[step.asked].length, "message", "messages"), () => messages(step, before)),
    step.tokens ? folded("token probabilities", () => tokenStrip(step.tokens)) : null,
  ].filter(Boolean);
}

// What a step was asked, without what an earlier one was asked too.
function messages(step, before) {
  const asked = DATA.conversations[step.asked];
  const earlier = before ? DATA.conversations[before.asked] : [];
  let same = 0;
  while (same < earlier.length && String(asked[same]) === String(earlier[same])) same++;
  const facts = [
    step.options ? text(step.options) : "",
    step.constraint === undefined ? "" : `held to ${text(step.constraint)}`,
  ];
  return [
    same ? make("p", { class: "dim" }, `${count(same, "message", "messages")} as in the step before, then`) : null,
    ...asked
      .slice(same)
      .map(([role, content]) =>
        make("div", { class: "message" }, make("b", null, text(role)), longText(text(content))),
      ),
    step.moved
      ? make("p", { class: "dim" }, "The model takes no system message: it stood before the first user message.")
      : null,
    make("p", { class: "dim small" }, facts.filter(Boolean).join("; ")),
  ].filter(Boolean);
}

// How probable each choice was.
function choices(step) {
  if (!step.choices) return null;
  return make(
    "table",
    { class: "choices" },
    make("caption", null, text(step.name)),
    make(
      "tbody",
      null,
      step.choices.map(([choice, share, chosen]) => {
        const bar = make("i", { class: "share" });
        bar.style.setProperty("--share", share);
        return make(
          "tr",
          { class: chosen ? "chosen" : null },
          make("td", null, chosen ? "→" : ""),
          make("th", { scope: "row" }, beginning(text(choice), 80) || "(nothing)"),
          make("td", { class: "n" }, percent(share)),
          make("td", { class: "wide" }, bar),
        );
      }),
    ),
  );
}

function beginning(said, length) {
  const line = said
    .slice(0, 4 * length)
    .replace(/\s+/g, " ")
    .trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}
