// Where the columns differ: for each case, which of them say the same.

const SPLITS_IN_A_GO = 12;
const SHOWN_CLUSTERS = 6;

function makeSplits() {
  const split = DATA.splits.map((place) => CASES[place]).filter((each) => each.clusters.length > 1);
  const place = document.getElementById("splits");
  if (!place || !split.length) return;
  const list = make("div", { class: "splits" });
  const more = button("", { class: "more" }, () => show());
  let next = 0;
  function show() {
    list.append(...split.slice(next, next + SPLITS_IN_A_GO).map((each) => splitCard(each, split)));
    next = Math.min(next + SPLITS_IN_A_GO, split.length);
    more.hidden = next >= split.length;
    more.textContent = `Show ${Math.min(SPLITS_IN_A_GO, split.length - next)} more of ${split.length - next}`;
  }
  const title = COLUMNS.length > 1 ? "Where columns split" : "Where samples split";
  place.append(make("h3", null, title), list, more);
  show();
}

function splitCard(each, list) {
  const agree =
    each.agreement === undefined ? null : make("span", { class: "dim" }, `${percent(each.agreement)} agree`);
  const total = each.clusters.reduce((sum, [, members]) => sum + members.length, 0);
  const open = button(make("bdi", null, each.id), { class: "case", title: each.id }, () => openCase(each, list));
  const left = each.clusters.slice(SHOWN_CLUSTERS);
  const others = left.reduce((sum, [, members]) => sum + members.length, 0);
  return make(
    "article",
    { class: "split" },
    make("header", null, open, agree),
    make(
      "ul",
      null,
      each.clusters.slice(0, SHOWN_CLUSTERS).map((cluster) => clusterLine(cluster, total)),
      left.length
        ? make(
            "li",
            { class: "dim" },
            `${count(left.length, "other answer", "other answers")}, said ${count(others, "time", "times")}`,
          )
        : null,
    ),
  );
}

function clusterLine([said, members], total) {
  const bar = make("i", { class: "share" });
  bar.style.setProperty("--share", members.length / total);
  const by = COLUMNS.map(({ index }) => [index, members.filter(([column]) => column === index).length]).filter(
    ([, times]) => times,
  );
  const chips = by.map(([column, times]) => make("span", { class: "by" }, chip(column), times > 1 ? `×${times}` : ""));
  return make(
    "li",
    null,
    bar,
    make("bdi", { class: "words", title: beginning(text(said), 300) }, beginning(text(said), 120) || "(nothing)"),
    make("span", { class: "bys" }, chips),
  );
}
