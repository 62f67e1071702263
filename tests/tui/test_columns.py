"""The columns of answers: which cells stand in one, how they are laid out, samples, steps, and numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.core.board import Board
from promptlab.core.events import Answered, Asked, Engine, Finished, Started, Timings, Token, Usage
from promptlab.core.job import Job, Model
from promptlab.core.prompt import parse
from promptlab.core.record import Cell, finish
from promptlab.core.tape import Message
from promptlab.core.text import sanitize
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.tui.describe import strip, took
from promptlab.tui.grouping import Letters, groups
from promptlab.tui.pace import SHARE, SLOWEST_S, Pace
from promptlab.tui.script import GrowingText, Writer
from promptlab.tui.widgets.columns import Columns
from promptlab.tui.widgets.names import Names, window
from tests.tui.kit import Held, Player, playing
from tests.tui.test_hostile import EVIL, SEEN, check, squash

PROMPT = parse("Say hello.", "hello")
MODELS = {name: Model(name, "0" * 64) for name in ("alpha", "beta")}
TIMINGS = Timings(0.0, 0.5, 0.1, 2.0, 20.0)


def cell(said: str | None, model: str = "alpha", sample: int = 0, timings: Timings = TIMINGS) -> Cell:
    """A cell that has answered; None is one that still waits."""
    job = Job(0, PROMPT, {}, MODELS[model], sample)
    if said is None:
        return Cell(job)
    board = Board([job])
    asked = Message("user", "Say hello.")
    board.take(Asked(0, 7, "output", (asked,), 11, {}))
    board.take(Started(7, (1, 2, 3)))
    board.take(Token(7, 1, said, -0.5))
    board.take(Answered(7, said, "stop", Usage(30, 10, 41), timings))
    engine = Engine("exact", "fake", "fake", "fake", 1, {}, False)
    whole = replace(board.cell(job), engine=engine)
    record = finish(whole, id=f"{model}{sample}", started_at="2026-01-01T00:00:00Z", output=said)
    return replace(whole, status="done", record=record)


# --- what is worked out without a screen -----------------------------------------------------------------------------


def test_samples_of_one_prompt_on_one_model_share_a_column() -> None:
    cells = [cell("x", model, sample) for model in ("alpha", "beta") for sample in (0, 1)]
    found = groups(cells)
    assert [group.places for group in found] == [(0, 1), (2, 3)]
    assert [group.name.plain for group in found] == ["alpha", "beta"]


def test_what_comes_twice_or_differs_has_a_column_of_its_own() -> None:
    again = groups([cell("x"), cell("y")])
    assert [group.places for group in again] == [(0,), (1,)]
    assert [group.name.plain for group in again] == ["alpha", "alpha #2"]
    other = cell("x", sample=1)
    other = replace(other, job=replace(other.job, inputs={"topic": "snow"}))
    assert len(groups([cell("x"), other])) == 2
    version = cell("x", sample=1)
    version = replace(version, job=replace(version.job, prompt=replace(PROMPT, label="hello@2", source="Say hello!")))
    assert [group.name.plain for group in groups([cell("x"), version])] == ["hello alpha", "hello@2 alpha"]


def test_answers_that_say_the_same_share_a_letter_in_all_columns() -> None:
    cells = [cell("Yes."), cell("yes", sample=1), cell(None, sample=2), cell("No", "beta"), cell("YES!", "beta", 1)]
    letters = Letters()
    assert letters.of(cells) == ("A", "A", "", "B", "A")
    assert strip(cells[:3], letters.of(cells)[:3], 1).plain == " A [A] ○   all 2 say the same"


def test_the_strip_says_how_many_agree() -> None:
    cells = [cell(str(n)) for n in range(3)]
    assert strip(cells, "AAB", 2).plain.endswith("2 of 3 say A")
    assert strip(cells, "ABC", 0).plain.endswith("all differ")
    many = strip([cell("x")] * 500, ["A"] * 500, 250).plain
    assert len(many) < 180
    assert "[A]" in many


def test_every_different_answer_has_a_letter_of_its_own() -> None:
    cells = [cell(f"It is {n}.", sample=n) for n in range(200)]
    letters = Letters().of([*cells, cell("it is 60", "beta")])
    assert len(set(letters)) == 200
    assert letters[:2] + letters[51:53] + letters[104:105] == ("A", "B", "z", "A2", "A3")
    assert letters[200] == letters[60]
    assert strip(cells[60:76], letters[60:76], 0).plain.endswith("all differ")


@pytest.mark.parametrize("sample", range(16))
@pytest.mark.parametrize("width", [8, 12, 20, 37, 53, 80])
def test_the_sample_that_is_shown_and_the_summary_have_room(sample: int, width: int) -> None:
    cells, letters = [cell("x")] * 16, [*"ABCDEFG", *["A2"] * 2, *"HIJKLMN"]
    text = strip(cells, letters, sample, width).plain
    assert len(text) <= width
    assert f"[{letters[sample]}]" in text
    assert text.endswith("2 of 16 say A2") == (width >= 37)
    shown = text.removesuffix("2 of 16 say A2").rstrip()
    assert shown.startswith("…") == ("A" not in shown.replace("A2", ""))
    assert shown.endswith("…") == ("N" not in shown)
    assert (shown.count("…") == 0) == (width == 80)


def test_the_numbers_below_an_answer() -> None:
    assert [each.plain for each in took(cell("hello"))] == [
        "20.0 tok/s", "first 0.50 s", "in 20+10 reused", "out 41", "seed 11", "exact",
    ]  # fmt: skip
    assert took(replace(cell("hello"), cached=True))[-1].plain == "cached"


def test_numbers_that_say_nothing_are_left_out() -> None:
    said = [each.plain for each in took(cell("x", timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0)))]
    assert said == ["in 20+10 reused", "out 41", "seed 11", "exact"]


def test_a_record_of_the_history_is_marked_as_such() -> None:
    done = cell("hello")
    board = Board([done.job])
    assert done.record is not None
    board.take(Finished(0, done.record, cached=True))
    assert board.cell(done.job).cached


@pytest.mark.parametrize("size", [1, 3])
def test_a_growing_text_is_the_same_as_a_whole_one(size: int) -> None:
    text = "one\r\ntwo\tx\rthree\n\n\x1b[2J漢字 👩‍👩‍👧 e\u0301\r\n\r"
    grown = GrowingText()
    for end in range(0, len(text) + size, size):
        part = text[:end]
        expected = [line.expandtabs(4) for line in sanitize(part).split("\n")]
        assert [paragraph.text for paragraph in grown.lines(part)] == expected
    assert [paragraph.text for paragraph in grown.lines("other")] == ["other"]


def test_steps_are_folded_but_for_the_last_one() -> None:
    done = cell("a long\nverdict")
    first = replace(done.steps[0], name="verdict")
    said = (*first.messages, Message("assistant", first.text), Message("user", "Why?\x07"))
    cell_ = replace(done, record=None, steps=(first, replace(first, name="reason", messages=said, text="so")))
    folded = Writer().write(cell_, unfolded=False)
    assert [p.text for p in folded.paragraphs] == ["▸ verdict  a long verdict", "", "▸ reason", "so"]
    assert folded.paragraphs[0].clip
    assert folded.answer == (3, 4)
    whole = [p.text for p in Writer().write(cell_, unfolded=True).paragraphs]
    assert whole == [
        *("▸ verdict", "user:", "Say hello.", "assistant:", "a long", "verdict", ""),
        *("▸ reason", "user:", "Why?␇", "assistant:", "so"),
    ]


def test_long_prompts_are_cut() -> None:
    done = cell("x")
    long = replace(done.steps[0], messages=(Message("user", "y" * 1_000_000),))
    script = Writer().write(replace(done, steps=(long,)), unfolded=True)
    assert sum(len(p.text) for p in script.paragraphs) < 30_000
    assert "… 980,000 characters more" in [p.text for p in script.paragraphs]


@pytest.mark.parametrize(("front", "expected"), [(0, (0, 3)), (5, (5, 8)), (9, (7, 10))])
def test_of_many_names_those_around_the_one_in_front_are_shown(front: int, expected: tuple[int, int]) -> None:
    first, last = window([10] * 10, front, 35)
    assert (first, last) == expected
    assert first <= front < last


def test_drawing_is_paced_by_what_it_costs() -> None:
    clock, used = [100.0], [1.0]
    pace = Pace(lambda: clock[0], lambda: used[0])
    assert pace.wait() <= 0
    pace.drawn()
    used[0] += 0.01
    assert pace.wait() == pytest.approx(0.01 / SHARE)
    used[0] += 9.0
    assert pace.wait() == pytest.approx(SLOWEST_S)
    clock[0] += SLOWEST_S
    assert pace.wait() <= 0


# --- on the screen ---------------------------------------------------------------------------------------------------


async def _run(player: Player, samples: int = 1, prompt: str = "numbers/count") -> Columns:
    await player.choose(prompt)
    await player.press(*["f8"] * (samples - 1), "enter", "3")
    await player.run()
    return player.play.query_one(Columns)


def _play(library: Path, engine: FakeEngine, go: Callable[[Player], object], size: tuple[int, int] = (120, 40)) -> None:
    async def play() -> None:
        async with playing(library, engine, size) as player:
            await go(player)  # type: ignore[misc]

    asyncio.run(play())


def test_samples_are_pages_of_a_column(library: Path, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: ("yes", "Yes!", "no")[question.seed % 3] + f" {question.model}"

    async def go(player: Player) -> None:
        await _run(player, samples=4)
        column, other = player.columns
        assert len(column.cells) == 4
        assert column.cell is player.play.cells[0]
        assert "1/4 The first" in player.text()
        column.body.focus()
        await player.press("right_square_bracket")
        assert column.cell is player.play.cells[1]
        assert column.shown == player.play.cells[1].text
        assert player.within(column.body) == column.shown
        assert "2/4 The first" in player.text()
        assert f"[{column.letters[1]}]" in player.within(column.strip)
        await player.press("left_square_bracket", "left_square_bracket")
        assert column.cell is player.play.cells[3]
        assert other.cell is player.play.cells[4]

    _play(library, engine, go, (200, 60))


def test_of_many_samples_the_one_that_is_shown_and_the_sum_have_room(library: Path) -> None:
    engine = FakeEngine(lambda question, prompt: f"{question.seed}")

    async def go(player: Player) -> None:
        await _run(player, samples=16)
        column = player.columns[0]
        column.body.focus()
        for sample in range(16):
            assert f"[{column.letters[sample]}]" in player.within(column.strip)
            assert player.within(column.strip).endswith("all differ")
            await player.press("right_square_bracket")

    _play(library, engine, go, (120, 40))


def test_a_column_with_one_sample_has_no_pages(library: Path, engine: FakeEngine) -> None:
    async def go(player: Player) -> None:
        await _run(player)
        assert not player.columns[0].strip.display
        assert player.play.check_action("sample", ()) is False

    _play(library, engine, go)


def test_samples_show_how_they_stand_while_they_run(library: Path) -> None:
    engine = Held(lambda q, p: "one two three", lambda event: isinstance(event, Token) and event.text == " three")

    async def go(player: Player) -> None:
        await player.choose("numbers/count")
        await player.press("f8", "enter", "3", "ctrl+r")
        await player.until(lambda: player.columns and player.columns[0].shown == "one two")
        await player.until(lambda: "[●] ●" in player.within(player.columns[0].strip))
        engine.gate.set()
        await player.ended()
        assert "[A] A" in player.within(player.columns[0].strip)

    _play(library, engine, go)


def test_the_layout_is_chosen_by_hand(library: Path, engine: FakeEngine) -> None:
    async def go(player: Player) -> None:
        await _run(player)
        first, second = player.columns
        first.body.focus()
        await player.pilot.pause()
        assert first.region.y == second.region.y
        await player.press("l")
        assert first.region.bottom == second.region.y
        assert "Layout: grid" in player.text()
        await player.press("l")
        assert [c.display for c in player.columns] == [True, False]
        assert "[✓ The first] ✓ beta" in player.within(player.play.query_one(Names))
        await player.press("right")
        assert [c.display for c in player.columns] == [False, True]
        assert second.has_focus_within
        await player.pilot.click(Names, offset=(5, 0))
        await player.until(lambda: first.display and first.has_focus_within)
        await player.press("l")
        assert [c.display for c in player.columns] == [True, True]

    _play(library, engine, go)


def test_going_to_neighbours(library: Path, engine: FakeEngine) -> None:
    async def go(player: Player) -> None:
        await _run(player)
        first, second = player.columns
        player.play.query_one("#models").focus()
        await player.press("right")
        assert first.has_focus_within
        await player.press("right", "right")
        assert second.has_focus_within
        await player.press("left")
        assert first.has_focus_within

    _play(library, engine, go)


def test_hidden_columns_run_on_and_come_back(library: Path) -> None:
    engine = Held(lambda q, p: "one two three", lambda event: isinstance(event, Token) and event.text == " three")

    async def go(player: Player) -> None:
        await player.choose("numbers/count")
        await player.press("enter", "3", "ctrl+r")
        await player.until(lambda: player.columns and player.columns[0].shown == "one two")
        first, second = player.columns
        first.body.focus()
        await player.press("h")
        assert [c.display for c in player.columns] == [False, True]
        assert second.has_focus_within
        assert "1 hidden: H shows all" in player.text()
        await player.press("h")
        await player.until(lambda: "This is the only column that is shown." in player.text())
        assert second.display
        engine.gate.set()
        await player.ended()
        await player.press("H")
        assert [c.display for c in player.columns] == [True, True]
        assert [c.shown for c in player.columns] == ["one two three"] * 2
        await player.until(lambda: player.within(first.body) == "one two three")

    _play(library, engine, go)


def test_the_order_and_the_layout_outlive_a_run_of_the_same(library: Path, engine: FakeEngine) -> None:
    async def go(player: Player) -> None:
        columns = await _run(player)
        first, second = player.columns
        first.body.focus()
        await player.press("greater_than_sign")
        assert player.columns == [second, first]
        assert second.region.x < first.region.x
        await player.press("greater_than_sign")
        await player.until(lambda: "There is no column on that side." in player.text())
        await player.press("l", "ctrl+r")
        await player.ended()
        assert player.columns == [second, first]
        assert first.has_focus_within
        assert columns.arrangement.kind == "grid"
        await player.press("less_than_sign")
        assert player.columns == [first, second]

    _play(library, engine, go)


def test_another_set_of_columns_begins_afresh(library: Path, engine: FakeEngine) -> None:
    async def go(player: Player) -> None:
        columns = await _run(player)
        player.columns[0].body.focus()
        await player.press("h")
        assert columns.hidden
        kept = player.play.cells[1:]
        assert player.play.show_cells(kept)
        await player.pilot.pause()
        assert not columns.hidden
        assert [c.cell for c in player.columns] == list(kept)
        assert player.play.check_action("hide_column", ()) is False

    _play(library, engine, go)


def test_folded_steps_are_unfolded_with_their_prompts(library: Path, engine: FakeEngine) -> None:
    async def go(player: Player) -> None:
        await player.choose("verdict")
        await player.press("enter")
        await player.type("snow")
        await player.run()
        column = player.columns[0]
        assert "Is it true" not in player.within(column.body)
        column.body.focus()
        await player.press("f", "home")
        await player.until(lambda: "user: Is it true that snow?" in player.within(column.body))
        shown = column.shown
        assert shown == sanitize(player.play.cells[0].text)
        await player.press("f")
        await player.until(lambda: "Is it true" not in player.within(column.body))
        assert column.shown == shown

    _play(library, engine, go, (200, 60))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 100_000, id="one long word"),
        pytest.param("漢字" * 5_000 + "👩‍👩‍👧" * 500 + "e\u0301" * 500, id="wide"),
        pytest.param("\n".join(map(str, range(10_000))), id="many lines"),
        pytest.param(" " * 5_000 + "\n\n", id="blanks"),
    ],
)
def test_no_answer_is_too_much(library: Path, engine: FakeEngine, said: str) -> None:
    engine.answer = lambda question, prompt: said

    async def go(player: Player) -> None:
        models = library / "models.yaml"
        models.write_text(
            models.read_text().replace("default: true", "default: true\n    options: {max_tokens: 100000}")
        )
        await player.press("ctrl+l")
        await _run(player)
        for column, one in zip(player.columns, player.play.cells, strict=True):
            assert one.record is not None
            assert one.record.error is None
            assert column.shown == one.record.output == said
            assert ("(empty)" in player.within(column.body)) == (column.display and not said)
        await player.press("l", "l", "ctrl+o", "end")

    _play(library, engine, go, (80, 24))


def test_hostile_text_in_names_strips_steps_and_prompts(library: Path) -> None:
    models = library / "models.yaml"
    models.write_text(models.read_text().replace("title: The first", f"title: {SEEN[:20]!r}"))
    (library / "prompts" / "evil.jinja").write_text(
        "{% user %}x{% enduser %}{% generate a %}{% user %}{{ a }}{% enduser %}{% generate b %}"
    )

    def answer(question: Question, prompt: str) -> str:
        return EVIL

    async def go(player: Player) -> None:
        await player.choose("evil")
        await player.press("f8")
        await player.run()
        player.columns[0].body.focus()
        for keys in ("f", "l", "l", "right_square_bracket", "h", "H", "y", "Y"):
            await player.press(keys)
            text = check(player)
        assert squash(SEEN) in text

    _play(library, FakeEngine(answer), go, (300, 80))
