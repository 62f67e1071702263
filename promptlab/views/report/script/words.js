// Differences between two answers, word by word (Myers 1986, "An O(ND) Difference Algorithm").

// A word with the blanks after it. Languages that put no blanks between words go by the character.
const WORD =
  /^\s+|(?:[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]|[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_])\s*/gu;
const MOST_WORDS = 6000;
const MOST_EDITS = 1500;
const LEAST_SHARED = 0.3; // Of the words of the reference; with less left of it, marks only hinder reading.

// Pieces [kind, text], where the kind is `same`, `gone` (only in the reference) or `new`. Null where the texts are too
// long or have too little in common.
function compareWords(reference, answer) {
  const [a, b] = [reference.match(WORD) ?? [], answer.match(WORD) ?? []];
  if (Math.max(a.length, b.length) > MOST_WORDS) return null;
  const steps = editSteps(
    a.map((word) => word.trim()),
    b.map((word) => word.trim()),
  );
  if (steps === null) return null;
  const pieces = [];
  const run = { gone: "", new: "" }; // what is changed in one place: first what was there, then what is there now
  const flush = () => {
    for (const kind of ["gone", "new"]) if (run[kind]) pieces.push([kind, run[kind]]);
    run.gone = run.new = "";
  };
  for (const [kind, i, j] of steps) {
    if (kind !== "same") run[kind] += kind === "gone" ? a[i] : b[j];
    else {
      flush();
      if (pieces.at(-1)?.[0] === "same") pieces.at(-1)[1] += b[j];
      else pieces.push(["same", b[j]]);
    }
  }
  flush();
  const shared = steps.filter(([kind]) => kind === "same").length;
  return shared >= LEAST_SHARED * a.length ? pieces : null;
}

// The way from one list to the other: [kind, place in a, place in b]; null where it is too long.
function editSteps(a, b) {
  const reached = [];
  let ends = new Map([[1, 0]]);
  for (let edits = 0; edits <= Math.min(a.length + b.length, MOST_EDITS); edits++) {
    reached.push(ends);
    const next = new Map(ends);
    for (let k = -edits; k <= edits; k += 2) {
      let x = goesDown(ends, k, edits) ? ends.get(k + 1) : ends.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return wayBack(reached, a.length, b.length);
    }
    ends = next;
  }
  return null;
}

function goesDown(ends, k, edits) {
  return k === -edits || (k !== edits && ends.get(k - 1) < ends.get(k + 1));
}

function wayBack(reached, x, y) {
  const steps = [];
  for (let edits = reached.length - 1; edits >= 0; edits--) {
    const k = x - y;
    const down = goesDown(reached[edits], k, edits);
    const from = reached[edits].get(down ? k + 1 : k - 1);
    const start = edits === 0 ? 0 : down ? from : from + 1;
    while (x > start) steps.push(["same", --x, --y]);
    if (edits === 0) break;
    steps.push(down ? ["new", x, --y] : ["gone", --x, y]);
  }
  return steps.reverse();
}

// An answer with its differences marked.
function markedText(pieces) {
  const tags = { same: "span", gone: "del", new: "ins" };
  return pieces.map(([kind, words]) => make(tags[kind], null, words));
}
