// What came of an answer, by shape as well as by colour.

const MOST_MARKS = 10;

function stateOf(result) {
  return STATES[result.state];
}

function mark(state, cached) {
  return make("i", { class: `mark ${state}${cached ? " cached" : ""}`, "aria-hidden": "true" });
}

// A mark with its meaning in words.
function markWord(result) {
  return make("span", { class: `state ${stateOf(result)}` }, mark(stateOf(result), result.cached), stateOf(result));
}

// A mark for each sample; of many, how often which.
function marks(results) {
  const words = tally(results)
    .map(([state, number]) => `${number} ${state}`)
    .join(", ");
  const node = make("span", { class: "marks", role: "img", "aria-label": words, title: words });
  if (results.length <= MOST_MARKS) node.append(...results.map((each) => mark(stateOf(each), each.cached)));
  else node.append(...tally(results).flatMap(([state, number]) => [mark(state), `${number} `]));
  return node;
}

function tally(results) {
  const numbers = STATES.map((state, index) => [state, results.filter((each) => each.state === index).length]);
  return numbers.filter(([, number]) => number);
}

// The share of passes among what was scored; null where nothing was.
function passRate(results) {
  const passed = results.filter((each) => stateOf(each) === "pass").length;
  const scored = results.filter((each) => ["pass", "fail"].includes(stateOf(each))).length;
  return scored ? passed / scored : null;
}
