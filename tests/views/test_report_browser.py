"""The report in a real browser: Debian's Chromium, without a window."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, expect, sync_playwright

from promptlab.core.compare import Comparison
from promptlab.core.text import sanitize
from promptlab.views.report import write_report
from tests.views.comparisons import HOSTILE, MADE_AT, hostile, judged, made_up, spoken

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
LONG = [f"summaries/of-papers/with-references-and-{end}@HEAD~12" for end in ("footnotes", "tables", "nothing-else")]
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
document.addEventListener("DOMContentLoaded", () => {
  window.rows = document.querySelectorAll("#matrix .rows .row").length;
});
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Without it the tests are skipped, or fail where CI asks for them."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "there is no Chromium; on Debian, `apt-get install chromium` brings it"
        if os.environ.get("PROMPTLAB_REQUIRE_MODELS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found)
        yield opened
        opened.close()


Open = Callable[..., Page]


@pytest.fixture
def watched(browser: Browser, tmp_path: Path) -> Iterator[tuple[Open, list[str]]]:
    """Opens a report, and a list of all that goes wrong in it: messages of the console, errors, dialogs, requests."""
    wrong: list[str] = []
    contexts: list[BrowserContext] = []

    def refuse(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def show(what: Comparison | str, width: int = 1200, **options: Any) -> Page:
        html = what if isinstance(what, str) else write_report(what, title="A comparison", made_at=MADE_AT)
        file = tmp_path / f"report-{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.add_init_script(WATCH)
        note = wrong.append
        page.on("console", lambda message: note(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: note(f"error: {error}"))
        page.on("dialog", refuse)
        page.on("request", lambda request: note(f"request: {request.url}") if request.url != file.as_uri() else None)
        page.goto(file.as_uri())
        return page

    yield show, wrong
    for context in contexts:
        context.close()


@pytest.fixture
def show(watched: tuple[Open, list[str]]) -> Iterator[Open]:
    """Opens a report in which nothing may go wrong."""
    opened, wrong = watched
    pages: list[Page] = []

    def open_and_note(*arguments: Any, **options: Any) -> Page:
        pages.append(opened(*arguments, **options))
        return pages[-1]

    yield open_and_note
    assert wrong == []
    for page in pages:
        assert page.evaluate("window.violations") == []


@cache
def usual() -> str:
    """The report that most tests look at."""
    return write_report(made_up(), title="A comparison", made_at=MADE_AT)


def names(page: Page) -> list[str]:
    """The cases that the matrix shows, in its order."""
    return page.locator("#matrix .case").all_inner_texts()


def open_case(page: Page, name: str) -> Locator:
    """Open a case by a click; its page."""
    page.locator("#matrix").get_by_role("button", name=name, exact=True).click()
    return page.locator("dialog[open]")


def unfold(page: Page) -> None:
    """Open all that is folded in a case, steps and what is in them, and show long texts whole."""
    for _ in range(2):
        page.evaluate("document.querySelectorAll('.cards details').forEach((node) => { node.open = true; })")
        page.wait_for_function("() => !document.querySelector('.cards details[open] > summary:only-child')")
    page.evaluate("document.querySelectorAll('dialog .more').forEach((node) => node.click())")


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


# --- what must not run ---


def test_hostile_answers_are_shown_as_text_and_execute_nothing(show: Open) -> None:
    page = show(hostile())
    assert page.evaluate("document.scripts.length") == 2
    assert page.evaluate("document.querySelectorAll('img, iframe, link, svg script, [onerror], [onload]').length") == 0
    page.locator("#matrix .case").first.click()
    for place, text in enumerate(HOSTILE):
        expect(page.locator("#case-id")).to_contain_text(str(place))
        unfold(page)
        said = page.locator(".card").first.locator("> .text").evaluate("node => node.textContent")
        assert said == (sanitize(text) or "(nothing)")
        page.keyboard.press("ArrowRight")
    assert overflow(page) <= 0


def test_whatever_got_into_the_page_would_not_run(watched: tuple[Open, list[str]]) -> None:
    html = write_report(spoken([["a"]]), title="A comparison", made_at=MADE_AT)
    attack = (
        "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'>"
        "<style>body { display: none }</style><iframe src='https://example.org'></iframe>"
    )
    page = watched[0](html.replace("<main>", f"<main>{attack}"))
    expect(page.locator("#matrix .case")).to_have_count(1)
    assert page.evaluate("window.hit") is None
    assert {"script-src-elem", "img-src", "style-src-elem", "frame-src"} <= set(page.evaluate("window.violations"))
    assert page.locator("body").is_visible()
    assert [each for each in watched[1] if each.startswith("error: ")], "what goes wrong is noticed"


def test_text_cannot_become_html_even_by_a_mistake_in_the_script(watched: tuple[Open, list[str]]) -> None:
    page = watched[0](spoken([["a"]]))
    tried = "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } }"
    assert page.evaluate(tried) == "TypeError"
    assert page.locator("#matrix .case").count() == 1


# --- tables ---


def test_columns_are_sorted_by_a_click_on_the_head(show: Open) -> None:
    page = show(usual())
    rates = page.locator("#columns tbody td:nth-child(2) strong")
    head = page.locator("#columns th", has_text="Pass rate").first
    expect(rates).to_have_text(["51.4%", "57.6%", "70.1%", "91.0%"])
    head.get_by_role("button").click()
    expect(rates).to_have_text(["91.0%", "70.1%", "57.6%", "51.4%"])
    expect(head).to_have_attribute("aria-sort", "descending")
    head.get_by_role("button").click()
    expect(rates).to_have_text(["51.4%", "57.6%", "70.1%", "91.0%"])


def test_pairs_are_sorted_by_p(show: Open) -> None:
    page = show(usual())
    page.locator("#pairs").get_by_role("button", name="p, corrected").click()
    shown = page.locator("#pairs tbody td:nth-last-child(2)").all_inner_texts()
    assert shown == sorted(shown, key=float, reverse=True)
    assert len(set(shown)) > 3


# --- the matrix ---


def test_a_cell_has_a_mark_for_each_sample_and_the_first_words(show: Open) -> None:
    page = show(made_up(samples=3))
    cells = page.locator("#matrix .rows .row").first.locator("[role=cell]")
    expect(cells).to_have_count(4)
    for index in range(4):
        expect(cells.nth(index).locator(".mark")).to_have_count(3)
    expect(cells.first.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"\d (pass|fail)"))
    expect(cells.first.locator(".words")).to_have_text("Paris.")
    expect(page.locator("#matrix .mark.cached").first).to_be_visible()


def test_many_samples_are_counted(show: Open) -> None:
    page = show(made_up(models=["alpha"], prompts=["ask"], cases=1, samples=24, blemishes=False))
    marks = page.locator("#matrix .rows .marks")
    expect(marks).to_have_text(re.compile(r"^\d+ \d+ $"))
    assert sum(map(int, marks.inner_text().split())) == 24


def test_cases_are_filtered_by_state(show: Open) -> None:
    page = show(spoken([["yes", "yes"], ["yes", "no"], ["no", "no"]], lambda text: text == "yes"))
    found = {"fail": ["case-2", "case-3"], "pass": ["case-1"], "differ": ["case-2"], "error": []}
    for state, cases in found.items():
        page.select_option("#state", state)
        assert names(page) == cases, state
        expect(page.locator("#shown")).to_have_text(f"{len(cases)} of 3 cases")
        assert page.get_by_text("No case is like that.").is_visible() == (not cases)
    page.select_option("#state", "")
    expect(page.locator("#shown")).to_have_text("3 cases")


def test_errors_and_unscored_answers_are_found(show: Open) -> None:
    page = show(usual())
    for state in ("error", "unscored"):
        page.select_option("#state", state)
        rows = page.locator("#matrix .rows .row")
        assert 0 < rows.count() < 12
        for row in rows.all():
            assert row.locator(f".mark.{state}").count()


def test_cases_are_found_by_the_words_of_inputs_and_answers(show: Open) -> None:
    page = show(spoken([["a Dromedary", "x"], ["b", "y"], ["c", "a dromedary too"]]))
    page.fill("#find", "DROMEDARY")
    expect(page.locator("#shown")).to_have_text("2 of 3 cases")
    assert names(page) == ["case-1", "case-3"]
    page.fill("#find", "number 2?")
    expect(page.locator("#shown")).to_have_text("1 of 3 cases")
    assert names(page) == ["case-2"]


def test_only_columns_that_are_chosen_are_shown_and_searched(show: Open) -> None:
    page = show(spoken([["yes", "no"], ["no", "yes"]], lambda text: text == "yes"))
    page.locator("#picker summary").click()
    page.locator("#menu").get_by_role("button", name="only").nth(1).click()
    expect(page.locator("#matrix [role=columnheader]")).to_have_count(2)
    expect(page.locator("#picker summary")).to_have_text("Columns (1 of 2)")
    page.select_option("#state", "fail")
    assert names(page) == ["case-1"]
    page.locator("#menu").get_by_role("button", name="All").click()
    assert names(page) == ["case-1", "case-2"]


def test_cases_are_ordered(show: Open) -> None:
    page = show(spoken([["yes", "no"], ["yes", "yes"], ["no", "no"]], lambda text: text == "yes"))
    for order, found in {"high": "213", "low": "312", "split": "123", "high ": "213", "id": "123", "": "123"}.items():
        page.select_option("#order", order.strip())
        assert names(page) == [f"case-{number}" for number in found], order


def test_of_ten_thousand_cells_the_first_are_there_at_once_and_all_soon(show: Open) -> None:
    twenty = [f"column-{number}" for number in range(20)]
    page = show(made_up(twenty, twenty, cases=500, samples=1, tokens=2, apart=True))
    rows = page.locator("#matrix .rows .row")
    assert page.evaluate("window.rows") == 40
    expect(rows).to_have_count(500)
    rows.last.scroll_into_view_if_needed()
    expect(rows.last).to_contain_text("moon-landing-42")
    page.select_option("#order", "low")
    expect(rows).to_have_count(500)
    assert page.evaluate("window.shift") < 0.05
    assert overflow(page) <= 0


# --- the page of a case ---


def test_a_case_shows_inputs_expectations_answers_and_reasons(show: Open) -> None:
    page = show(usual())
    case = open_case(page, "japan")
    for text in ("What is the capital of Japan?", "icontains", "Tokyo", "metric right", "weight 0.5", "2 of 12"):
        expect(case.get_by_text(text, exact=True).first).to_be_visible()
    expect(case.locator(".card")).to_have_count(4)
    expect(case.locator(".card").first).to_contain_text("contains 'Tokyo'")
    expect(case.locator(".card").first).to_contain_text("ended by stop")
    expect(case.locator(".card").first).to_contain_text("24 (16 computed before) → 2 tokens")
    assert page.url.endswith("#case=japan")


def test_another_sample_is_a_click_away(show: Open) -> None:
    page = show(usual())
    case = open_case(page, "france")
    first = case.locator(".card .numbers").all_inner_texts()
    case.get_by_role("button", name="3", exact=True).click()
    expect(case.get_by_role("button", name="3", exact=True)).to_have_attribute("aria-pressed", "true")
    assert case.locator(".card .numbers").all_inner_texts() != first


def test_a_case_can_be_linked_to(show: Open) -> None:
    page = show(usual())
    page.goto(f"{page.url.partition('#')[0]}#case=gold")
    expect(page.locator("#case-id")).to_have_text("gold")


def test_messages_and_steps_are_folded(show: Open) -> None:
    case = open_case(show(judged()), "claim-1")
    expect(case.get_by_text("Why yes?")).to_have_count(0)
    card = case.locator(".card").first
    card.get_by_text("step 2").click()
    card.get_by_text("3 messages").click()
    expect(card.get_by_text("1 message as in the step before, then")).to_be_visible()
    expect(card.get_by_text("Why yes?")).to_be_visible()


def test_choices_are_shown_with_their_probabilities(show: Open) -> None:
    card = open_case(show(judged()), "claim-1").locator(".card").first
    rows = card.locator(".choices tbody tr")
    assert [row.split() for row in rows.all_inner_texts()] == [
        ["→", "yes", "90.0%"],
        ["no", "9.9%"],
        ["perhaps", "0.1%"],
    ]
    widths = [
        rows.nth(index).locator(".share").evaluate("node => node.style.getPropertyValue('--share')") for index in (0, 1)
    ]
    assert widths == ["0.9", "0.099"]


def test_tokens_are_bars_with_numbers_on_demand(show: Open) -> None:
    page = show(usual())
    card = open_case(page, "japan").locator(".card").first
    expect(card.locator(".token")).to_have_count(0)
    card.get_by_text("token probabilities").click()
    bars = card.locator(".token")
    expect(bars).to_have_count(2)
    heights = bars.evaluate_all("nodes => nodes.map((node) => Number(node.style.getPropertyValue('--height')))")
    assert all(0 < height <= 1 for height in heights)
    bars.nth(0).focus()
    page.keyboard.press("ArrowRight")
    expect(card.locator(".about p")).to_have_text("Token 2 of 2")
    id, logprob, probability, bits = card.locator(".about .drawn td").all_inner_texts()
    assert id.startswith("→ ")
    assert 2 ** -float(bits) == pytest.approx(float(probability.rstrip("%")) / 100, abs=0.01)
    assert float(logprob) < 0
    assert card.locator(".about tbody tr").count() == 3


# --- differences ---


def marks(case: Locator, card: int) -> list[tuple[str, str]]:
    nodes = case.locator(".card").nth(card).locator("> .text > *")
    found = nodes.evaluate_all("nodes => nodes.map((node) => [node.tagName.toLowerCase(), node.textContent])")
    return [(str(tag), str(text)) for tag, text in found]


def test_words_that_differ_are_marked(show: Open) -> None:
    page = show(
        spoken([["the cat sat on the mat", "the dog sat on a mat", "nothing like it here", "the cat sat on the mat"]])
    )
    case = open_case(page, "case-1")
    changed = [
        ("span", "the "),
        ("del", "cat "),
        ("ins", "dog "),
        ("span", "sat on "),
        ("del", "the "),
        ("ins", "a "),
        ("span", "mat"),
    ]
    assert marks(case, 1) == changed
    assert marks(case, 0) == marks(case, 3) == []
    assert marks(case, 2) == []
    expect(case.locator(".card").nth(2)).to_contain_text("too different to mark words")
    case.locator("#reference").select_option("1")
    back = {"cat ": "ins", "dog ": "del", "the ": "ins", "a ": "del"}
    assert marks(case, 0)[1:-1] == [
        (back.get(text, "span"), text) for text in ("dog ", "cat ", "sat on ", "a ", "the ")
    ]
    case.locator("#reference").select_option("")
    assert marks(case, 1) == []


def test_marked_answers_read_as_the_answers_do(show: Open) -> None:
    texts = [
        ["a b c d", "b c d e"],
        ["one", "one two three"],
        ["  indented\n\ttext here", "  indented\n\tother text here"],
        ["你好世界", "你好地球"],
        ["naïve cafe\u0301 (x)", "naïve café (x)"],
        ["a a a b a a", "a b a a a b"],
        ["x" * 3000 + " end", "x" * 3000 + " ends"],
    ]
    page = show(spoken(texts))
    case = open_case(page, "case-1")
    for _, new in texts:
        pieces = marks(case, 1)
        assert "".join(text for tag, text in pieces if tag != "del") == new
        assert any(tag != "span" for tag, _ in pieces)
        page.keyboard.press("ArrowRight")


# --- keys, colours, widths, paper ---


def test_everything_is_reached_by_keys(show: Open) -> None:
    page = show(usual())
    page.locator("#picker summary").focus()
    page.keyboard.press("Tab")
    focus = page.locator(":focus")
    expect(focus).to_have_text("france")
    assert focus.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    expect(focus).to_have_text("japan")
    page.keyboard.press("Enter")
    expect(page.locator("#case-id")).to_have_text("japan")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#case-id")).to_have_text("rome-river")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(focus).to_have_text("rome-river")
    page.keyboard.press("End")
    expect(focus).to_have_text("smallest-prime")


def ground(page: Page) -> int:
    """How light the page is, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return int(re.findall(r"\d+", colour)[0])


def test_dark_where_the_system_is_dark_and_a_switch(show: Open) -> None:
    page = show(usual(), color_scheme="dark")
    assert ground(page) < 50
    page.get_by_role("button", name="◐ Light").click()
    assert ground(page) > 200
    page.get_by_role("button", name="◐ Dark").click()
    assert ground(page) < 50
    assert ground(show(usual(), color_scheme="light")) > 200


@pytest.mark.parametrize(
    "comparison",
    [
        made_up(likeness=True),
        made_up(LONG, ["mistral-small-3.2-24b-instruct-2506-Q4_K_M", "b", "c", "d"], cases=30, samples=1),
        made_up(["ask"], ["alpha"], cases=3, samples=1),
        judged(),
    ],
    ids=["usual", "twelve", "small", "judged"],
)
def test_nothing_is_wider_than_the_screen_or_moves(show: Open, comparison: Comparison) -> None:
    page = show(comparison, 400)
    assert page.evaluate("window.shift") < 0.05
    page.locator("#matrix .case").first.click()
    unfold(page)
    for width in (400, 1000, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) <= 0
        assert page.locator("dialog[open]").evaluate("node => node.scrollWidth - node.clientWidth") <= 0


def test_where_columns_split_leads_to_the_case(show: Open) -> None:
    page = show(spoken([["same", "Same."], ["left", "right"], ["up", "down"]]))
    splits = page.locator("#splits article")
    expect(splits).to_have_count(2)
    expect(splits.first).to_contain_text("0% agree")
    splits.first.get_by_role("button").click()
    expect(page.locator("#case-id")).to_have_text("case-2")
    expect(page.locator("dialog")).to_contain_text("1 of 2")


def test_on_paper_all_rows_stand_without_tools(show: Open) -> None:
    page = show(made_up(cases=60, samples=1), color_scheme="dark")
    page.emulate_media(media="print")
    assert ground(page) == 255
    assert not page.locator("#tools").is_visible()
    assert page.locator("#matrix").evaluate("node => node.clientHeight >= node.scrollHeight")
    assert page.pdf(format="A4")[:4] == b"%PDF"
    assert page.locator("#matrix .rows .row").count() == 60


def test_without_scripts_the_tables_can_be_read(show: Open) -> None:
    page = show(usual(), java_script_enabled=False)
    expect(page.get_by_text("The matrix of cases and the answers need JavaScript.")).to_be_visible()
    expect(page.locator("#columns tbody tr")).to_have_count(4)
    expect(page.locator("#tools")).to_be_hidden()
