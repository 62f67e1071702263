"""Looking closer at answers, and going on from them."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import OptionList

from promptlab.core.events import EngineEvent, Token
from promptlab.core.subject import of_cell
from promptlab.core.tokens import Pieces
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.files.paths import model_file
from promptlab.tui.closely import _rows
from promptlab.tui.screens.closer import CloserScreen
from promptlab.tui.screens.closer_turn import TurnScreen
from promptlab.tui.screens.dialogs import ChoiceScreen
from promptlab.tui.screens.keep_case import KeepCaseScreen
from promptlab.tui.widgets.bars import Tab
from promptlab.tui.widgets.closer_panes import Alternatives, Reading, TokensPane
from promptlab.tui.widgets.field import Area
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.tokenmap import Mark, TokenMap
from tests.tui.kit import PATIENCE_S, Held, Player, playing
from tests.tui.test_hostile import EVIL, SEEN, check, squash

TEXTS = {"alpha": "one two three\n\nfour five\nsix seven", "beta": "one two four\n\nfour five"}


def answer(question: Question, prompt: str) -> str:
    return TEXTS[question.model]


@asynccontextmanager
async def answered(
    library: Path, engine: FakeEngine, size: tuple[int, int] = (120, 40), prompt: str = "numbers/count"
) -> AsyncIterator[Player]:
    """Both models have answered, and the first column has the focus."""
    async with playing(library, engine, size) as player:
        await player.choose(prompt)
        await player.press("enter", "3")
        await player.run()
        await player.until(lambda: player.columns)
        player.columns[0].body.focus()
        await player.pilot.pause()
        yield player


def closer(player: Player) -> CloserScreen:
    screen = player.top()
    assert isinstance(screen, CloserScreen)
    return screen


async def seen(player: Player, *texts: str) -> str:
    """Wait until all of this is on the screen."""
    await player.until(lambda: all(text in player.text() for text in texts), str(texts))
    return player.text()


def test_tokens_and_a_branch_from_another_one(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            await player.press("t")
            await seen(player, "“one”", "token 1 of 7 · 60.7% · 0.7 bits", "“one!”")
            tokens = closer(player).query_one(TokenMap)
            for key, place in (("right", 1), ("right", 2), ("left", 1), ("end", 6), ("home", 0), ("left", 0)):
                await player.press(key)
                assert tokens.cursor == place
            # The fourth token begins with two line breaks, so it reaches over three lines.
            for key, place in (
                ("down", 3),
                ("down", 5),
                ("down", 5),
                ("up", 3),
                ("up", 3),
                ("pagedown", 5),
                ("home", 0),
            ):
                await player.press(key)
                assert (key, tokens.cursor) == (key, place)
            await player.press("right", "enter")
            assert closer(player).query_one(Alternatives).has_focus
            await player.press("left")
            assert tokens.has_focus
            await player.press("enter", "down", "enter")
            await player.until(lambda: player.top() is player.play and len(player.play.cells) == 3)
            await player.ended()
            made = player.play.cells[2]
            assert made.job.prompt.label == "numbers/count branch 2"
            assert made.record is not None
            assert made.record.output == "one two?" + TEXTS["alpha"]
            assert [c.job.model.name for c in player.play.cells] == ["alpha", "beta", "alpha"]
            assert of_cell(made).text == made.record.output
            assert player.columns[2].shown == made.record.output
            assert "▸" not in player.within(player.columns[2])

    asyncio.run(go())


def test_a_branch_from_the_history_stands_beside_the_run_that_it_goes_on_from(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            first = [cell.record for cell in player.play.cells if cell.record is not None]
            await player.choose("explain")
            player.play.query_one(PromptList).focus()
            await player.press("enter", "x")
            await player.run()
            assert player.play.cells[0].job.prompt.name == "explain"
            player.columns[0].body.focus()
            await player.press("t")  # this is not to lie over the branch
            player.app.action_mode("history")
            await player.until(lambda: player.top().query("RunList"))
            over = CloserScreen(first, 1)
            player.app.push_screen(over)
            await seen(player, "token 1 of 5")
            await player.press("enter", "down", "enter")
            await player.until(lambda: player.top() is player.play and len(player.play.cells) == 3, "the branch")
            await player.ended()
            old, branch = player.play.cells[:2], player.play.cells[2]
            assert [cell.record for cell in old] == first
            assert branch.job.prompt.label == "numbers/count branch 1"
            assert branch.job.model.name == "beta"
            await player.until(lambda: player.form.prompt_name == "numbers/count", "its prompt")
            player.app.action_mode("history")
            await player.pilot.pause()
            assert not isinstance(player.top(), CloserScreen)

    asyncio.run(go())


def test_a_branch_from_the_history_waits_for_what_is_open_on_the_play_screen(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            records = [cell.record for cell in player.play.cells if cell.record is not None]
            await player.press("s")
            await player.until(lambda: isinstance(player.top(), KeepCaseScreen))
            player.app.action_mode("history")
            await player.until(lambda: player.top().query("RunList"))
            player.app.push_screen(CloserScreen(records))
            await seen(player, "token 1 of 7")
            await player.press("enter", "down", "enter")
            await seen(player, "A window over the play screen")
            assert len(player.play.cells) == 2
            assert closer(player)

    asyncio.run(go())


def test_a_token_that_ends_the_answer_is_no_place_to_go_on_from(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(lambda question, prompt: "well <|im_end|>")) as player:
            player.play.cells = player.play.cells[:1]
            await player.press("t")
            await seen(player, "token 1 of 2")
            screen = closer(player)
            pieces = screen.pieces[screen.subject.weights]
            assert isinstance(pieces, Pieces)
            (last,) = (each.id for each in screen.subject.steps[0].tokens[1:])
            screen.pieces[screen.subject.weights] = Pieces(pieces.data, frozenset([last]))
            screen.query_one(TokensPane).post_message(TokensPane.Branch(1, last))
            await seen(player, "Not from here: this token is no text")
            assert player.top() is screen

    asyncio.run(go())


def test_an_answer_that_is_still_written_can_be_looked_at_but_not_gone_on_from(library: Path) -> None:
    engine = Held(lambda question, prompt: "one two three", lambda e: isinstance(e, Token) and e.text == " three")

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: player.play.cells and player.play.cells[0].text == "one two")
            player.columns[0].body.focus()
            await player.press("n")
            assert player.top() is player.play
            await player.press("t")
            screen = closer(player)
            screen.pieces[screen.subject.weights] = Pieces({})
            screen.query_one(TokensPane).post_message(TokensPane.Branch(0, 1))
            await seen(player, "The answer is still being written")
            engine.gate.set()
            await player.press("escape")
            await player.ended()

    asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_the_difference_to_another_answer(library: Path, size: tuple[int, int]) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer), size) as player:
            player.play.samples = 1
            await player.press("d")
            text = await seen(player, "after “one two”", "“ three”", "“ four”", "found by its place")
            assert "1 with 2, of 2 answers" in text
            assert ("one two three" in text and "one two four" in text) or size[0] < 100
            left, right = closer(player).query(".side > .text")
            assert (left.region.y == right.region.y) == (size[0] >= 100)
            await player.press("d")
            assert closer(player).other == 1
            await player.press("full_stop")
            await seen(player, "2 with 1, of 2 answers")
            await player.press("comma")
            await seen(player, "1 with 2, of 2 answers")

    asyncio.run(go())


def test_samples_of_one_model_part_token_by_token(library: Path) -> None:
    said = iter(["one two three", "one two four", "one two three"])
    engine = FakeEngine(lambda question, prompt: next(said, "x"))

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            player.play.query_one(ModelList).tick(("alpha",))
            player.play.samples = 3
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: player.play.cells)
            await player.ended()
            player.columns[0].body.focus()
            await player.press("d")
            text = await seen(player, "after “one two”", "token 3", "sample 2")
            assert "found by its place" not in text
            await player.press("d")
            await seen(player, "sample 3", "They are the same, token for token.")
            await player.press("a")
            await seen(player, "alpha" if "alpha" in player.text() else "The first ×2")

    asyncio.run(go())


def test_the_difference_is_to_another_column_first_and_then_to_any_answer(library: Path) -> None:
    async def go() -> None:
        async with playing(library, FakeEngine(answer)) as player:
            await player.choose("numbers/count")
            player.play.samples = 3
            await player.press("enter", "3")
            await player.run()
            player.columns[0].body.focus()
            await player.press("right_square_bracket", "d")
            await seen(player, "2 with 5, of 6 answers", "beta")  # the same sample of the other column
            await player.press("d")
            await seen(player, "2 with 6, of 6 answers")
            await player.press("o")
            listed = player.top().query_one(OptionList)
            assert isinstance(player.top(), ChoiceScreen)
            assert listed.highlighted == 5
            await seen(player, "Compare   2  The first · numbers/count · sample 2 with", "4  beta")
            await player.press("home", "down", "enter")  # over the answer itself, which cannot be chosen
            await seen(player, "2 with 3, of 6 answers")
            await player.press("o", "escape")
            assert closer(player).other == 2
            await player.press("full_stop")
            await seen(player, "3 with 6, of 6 answers")
            await player.press("t", "o")
            assert closer(player)  # only where there is a difference

    asyncio.run(go())


def test_an_answer_that_is_being_written_is_followed(library: Path) -> None:
    words = [f"w{n}" for n in range(60)]
    gates = {10: threading.Event(), 30: threading.Event()}

    class Stepwise(FakeEngine):
        """Stops after so many tokens, until it is let go on."""

        def next_event(self, timeout: float) -> EngineEvent | None:
            event = super().next_event(timeout)
            if isinstance(event, Token) and (gate := gates.get(int(event.text.strip(" w") or -1))):
                gate.wait(PATIENCE_S)
            return event

    engine = Stepwise(lambda question, prompt: " ".join(words))

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            player.play.query_one(ModelList).tick(("alpha",))
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: player.play.cells and player.play.cells[0].text.endswith("w9"))
            player.columns[0].body.focus()
            await player.press("t")
            screen, cells = closer(player), player.play.cells
            assert cells[0].record is None
            # The model is asked what tokens stand for beside the run, so this waits for it, too.
            gates[10].set()
            await seen(player, "token 1 of 30", "w29")
            tokens = screen.query_one(TokenMap)
            await player.press(*["right"] * 4, "enter")
            await seen(player, "token 5 of 30", "“ w4”")
            beside = screen.query_one(Alternatives)
            await player.press("down")
            marked = beside.highlighted
            gates[30].set()
            await seen(player, "token 5 of 60", "60 tokens", "w59")
            assert tokens.cursor == 4
            assert beside.has_focus
            assert beside.highlighted == marked
            assert screen.subject.record is not None  # it has ended, so one can go on from it
            await player.press("enter")
            await player.until(lambda: player.top() is player.play and len(player.play.cells) == 2, "the branch")
            await player.ended()

    asyncio.run(go())


@pytest.mark.parametrize(("key", "words"), [("d", "w59"), ("w", "wrote 60"), ("a", "All 2 answers say the same")])
def test_every_view_comes_to_show_the_whole_answer(library: Path, key: str, words: str) -> None:
    held = Held(
        lambda question, prompt: " ".join(f"w{n}" for n in range(60)),
        lambda e: isinstance(e, Token) and e.text == " w9",
    )

    async def go() -> None:
        async with playing(library, held) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: player.play.cells and player.play.cells[0].text.endswith("w8"))
            player.columns[0].body.focus()
            await player.press(key)
            assert words not in player.text()
            held.gate.set()
            await seen(player, words)

    asyncio.run(go())


def test_what_the_model_saw(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer), (120, 60), "verdict") as player:
            await player.press("w")
            text = await seen(
                player, "step 1 of 2: verdict", "Exact text, the texts of its tokens joined", "“<|im_start|>user”"
            )
            assert "Is it true that 3? Answer yes or no.<|im_end|>" in text
            assert "max_tokens 5" in text
            assert "12 computed, 0 reused" in text
            await player.press("t")
            await seen(player, "step 2 of 2 reason")
            await player.press("left_square_bracket")
            await seen(player, "step 1 of 2 verdict")
            await player.press("right_square_bracket")
            await seen(player, "step 2 of 2 reason")
            await player.press("q")
            assert player.top() is player.play

    asyncio.run(go())


def test_views_can_be_clicked(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            await player.press("t")
            for view in ("difference", "saw", "agreement", "tokens"):
                tabs = {tab.name: tab for tab in player.top().query_one("#views").query(Tab)}
                await player.pilot.click(tabs[f"closer.{view}"])
                assert closer(player).view == view
                assert [name for name, tab in tabs.items() if tab.has_class("-here")] == [f"closer.{view}"]

    asyncio.run(go())


def test_agreement_of_all_columns(library: Path) -> None:
    says = {"alpha": "Yes.", "beta": "yes"}

    async def go() -> None:
        async with answered(library, FakeEngine(lambda question, prompt: says[question.model])) as player:
            await player.press("a")
            await seen(
                player, "All 2 answers say the same", "said by 2 of 2 100%", "The first, beta", "in 100% of the pairs"
            )
            await player.press("escape")
            await player.press("n")
            await player.type("so")
            says["alpha"] = "No."
            await player.press("ctrl+t")
            await player.until(lambda: len(player.play.cells) == 4)
            await player.ended()
            player.columns[0].body.focus()
            await player.press("a")
            text = await seen(player, "4 answers say 2 different things", "How often two columns say the same")
            assert "2 go on from other answers and need not agree." in text
            assert "They were asked with different inputs" not in text

    asyncio.run(go())


def test_the_next_turn(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            await player.press("n")
            assert isinstance(player.top(), TurnScreen)
            await seen(player, "Next turn for alpha", "four five", "ctrl+t or f9 asks all 2 columns")
            await player.press("ctrl+r")
            await seen(player, "Type something first")
            await player.press("escape")
            assert len(player.play.cells) == 2
            await player.press("n")
            player.top().query_one(Area).insert("And\nthen?")
            await player.press("ctrl+r")
            await player.until(lambda: len(player.play.cells) == 3)
            await player.ended()
            record = player.play.cells[-1].record
            assert record is not None
            assert [m.content for m in record.steps[0].messages] == ["Count to 3.", TEXTS["alpha"], "And\nthen?"]
            # One goes on from what was said last.
            (new,) = (c for c in player.columns if c.cell is player.play.cells[-1])
            await player.until(lambda: new.body.has_focus, "the focus")
            # Unless one has gone elsewhere meanwhile.
            await player.press("n")
            player.top().query_one(Area).insert("So?")
            await player.press("ctrl+r")
            player.columns[0].body.focus()
            await player.until(lambda: len(player.play.cells) == 4)
            await player.ended()
            assert player.columns[0].body.has_focus
            record = player.play.cells[-1].record
            assert record is not None
            assert [m.content for m in record.steps[0].messages][2:] == ["And\nthen?", TEXTS["alpha"], "So?"]

    asyncio.run(go())


@pytest.mark.parametrize("size", [(120, 40), (60, 20)])
def test_the_focus_goes_on_with_the_conversation_also_where_one_column_is_shown(
    library: Path, size: tuple[int, int]
) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer), size) as player:
            before = player.columns
            await player.press("n", "x", "ctrl+t")
            await player.until(lambda: len(player.play.cells) == 4)
            await player.ended()
            first = next(column for column in player.columns if column not in before)
            await player.until(lambda: first.body.has_focus, "the focus")

    asyncio.run(go())


def test_there_is_nothing_to_look_at_before_there_is_an_answer(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.press("t", "d", "w", "a", "n")
            assert player.top() is player.play

    asyncio.run(go())


def test_weights_that_are_gone_are_told_and_the_rest_is_shown(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            record = player.play.cells[0].record
            assert record is not None
            assert record.model.sha256 is not None
            model_file(record.model.sha256).unlink()
            player.app.push_screen(CloserScreen([record, player.play.cells[1]], 0, "tokens"))
            await seen(player, "What its tokens stand for is not known", "is not on disk", "models pull alpha")
            await player.press("w")
            await seen(player, "Count to 3.", "is not on disk", "Token ids, ")
            await player.press("d")
            await seen(player, "the tokens cannot be compared: alpha")

    asyncio.run(go())


def test_hostile_text_in_every_view(library: Path) -> None:
    engine = FakeEngine(lambda question, prompt: f"{EVIL} {question.model} {EVIL}")
    models = library / "models.yaml"
    models.write_text(models.read_text().replace("title: The first", "title: '[/b]\u202e'"))
    (library / "prompts" / "numbers" / "count.jinja").write_text(f"{{% raw %}}{EVIL}{{% endraw %}}")

    async def go() -> None:
        async with playing(library, engine, (400, 100)) as player:
            await player.choose("numbers/count")
            await player.run()
            player.columns[0].body.focus()
            await player.press("t")
            await seen(player, "token 1 of")
            assert squash(SEEN) in check(player)
            for _ in closer(player).subject.steps[0].tokens:
                await player.press("right")
                check(player)
            for key, text in (("d", "First token that differs"), ("w", "Token ids, "), ("a", "2 answers say")):
                await player.press(key)
                await seen(player, text)
                assert squash(SEEN).removesuffix("␍␈") in check(player)  # in a template, \r is a line break
            await player.press("escape", "n")
            await seen(player, "Next turn for alpha")
            assert squash(SEEN) in check(player)
            player.top().query_one(Area).insert(EVIL)
            await player.pilot.pause()
            check(player)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (10, ["1 “a”", "2 “日本”", f"3 “{'x' * 30}”", "4 “b”"]),
        (60, ["1 “a”                     2 “日本”", f"3 “{'x' * 30}”", "4 “b”"]),
        (100, ["1 “a”                     2 “日本”", f"3 “{'x' * 30}”" + " " * 18 + "4 “b”"]),
    ],
)
def test_token_ids_stand_in_as_many_columns_as_there_is_room_for(width: int, rows: list[str]) -> None:
    items = ["1 “a”", "2 “日本”", f"3 “{'x' * 30}”", "4 “b”"]
    assert list(_rows(items, width)) == rows
    assert list(_rows(["1", "2", "3"], 6)) == ["1  2", "3"]
    assert list(_rows([], 6)) == []


def test_another_width_has_other_columns_of_token_ids(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer), (120, 40)) as player:
            await player.press("w")
            await seen(player, "Token ids, ")

            def many() -> int:
                return max(len(re.findall(r"\d+ “", each.text)) for each in reading.paragraphs)

            reading = closer(player).query_one(Reading)
            await player.until(lambda: many() > 1, "columns")
            before = many()
            await player.pilot.resize_terminal(60, 40)
            await player.until(lambda: many() < before, "fewer columns")

    asyncio.run(go())


def test_tokens_of_every_shape_are_laid_out_and_surprise_is_told_without_colours(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            await player.press("t")
            await seen(player, "token 1 of")
            tokens = closer(player).query_one(TokenMap)
            long = "word " * 60
            tokens.show([Mark(text, 0, False) for text in ("", "\u0301", "日本", "\n", "\t", long, "end")])
            await player.pilot.pause()
            text = player.text()
            assert "◌" in text
            assert "日本↵" in text
            assert "⇥" in text
            await player.press("end")
            assert tokens.cursor == 6
            many = [Mark(long, 0, False)] * 60
            tokens.show(many)
            await player.pilot.pause()
            tokens.scroll_to(y=9, animate=False, immediate=True)
            tokens.show([*many, *many], grown=True)
            await player.pilot.pause()
            assert (tokens.cursor, round(tokens.scroll_y)) == (0, 9)
            tokens.show(many)
            assert round(tokens.scroll_y) == 0
            styles = [tokens.get_visual_style(f"tokenmap--level-{level}") for level in range(4)]
            assert len({(style.bold, style.underline) for style in styles}) == 4

    asyncio.run(go())


def test_a_line_of_tokens_is_broken_between_words(library: Path) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer)) as player:
            await player.press("t")
            await seen(player, "token 1 of")
            tokens = closer(player).query_one(TokenMap)
            width = tokens.scrollable_content_region.width

            def drawn(*texts: str, control: bool = False) -> list[str]:
                tokens.show([Mark(text, 0, control) for text in texts])
                lines = [tokens.render_line(y).text.rstrip() for y in range(tokens.virtual_size.height)]
                return [line for line in lines if line]

            full = "x" * (width - 4)
            assert drawn(full, " sky", ",", " often") == [full, " sky, often"]
            assert drawn(full, " sk", "y", "\n", "then") == [full, " sky↵", "then"]
            assert drawn(full, "y ", "sky", ",") == [full + "y", "sky,"]
            assert drawn(full, "<end>", control=True) == [full, "<end>"]
            # What is longer than a line, or has no blanks at all, is broken where it must be.
            assert drawn("a", *["日本"] * (width // 4 + 1)) == ["a" + "日本" * ((width - 1) // 4), "日本"]
            assert drawn(full, " sk", "y" * width) == [full + " sk", "y" * width]
            tokens.show([Mark(text, 0, False) for text in (full, " sk", "ies", " end")])
            await player.press("right", "right")
            assert tokens.cursor == 2
            await player.press("up")
            assert tokens.cursor == 0
            await player.press("down", "down")
            assert tokens.cursor == 1
            await player.pilot.click(TokenMap, offset=(4, 1))
            assert tokens.cursor == 2

    asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_alternatives_that_are_gone_to_stay_where_they_are(library: Path, size: tuple[int, int]) -> None:
    async def go() -> None:
        async with answered(library, FakeEngine(answer), size) as player:
            await player.press("t")
            await seen(player, "token 1 of", "go on from the marked one")
            beside = closer(player).query_one(Alternatives)
            region = beside.content_region
            await player.press("enter")
            assert beside.has_focus
            assert beside.content_region == region
            assert "go on from the marked one" in player.text()

    asyncio.run(go())
