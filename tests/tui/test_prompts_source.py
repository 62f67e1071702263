from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import OptionList

from promptlab.app.lab import Labs
from promptlab.engine.fake import FakeEngine
from promptlab.tui.app import Playground
from promptlab.tui.screens.unsaved import UnsavedScreen
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.source import SourcePane
from tests.conftest import EXPLAIN
from tests.tui.kit import Gate, Player, playing
from tests.tui.test_hostile import EVIL, SEEN, check, squash


def pane(player: Player) -> SourcePane:
    return player.play.query_one(SourcePane)


async def opened(player: Player, name: str) -> SourcePane:
    """Choose a prompt and begin to edit it."""
    await player.choose(name)
    await player.until(lambda: pane(player).base and pane(player).base.name == name, "the source")  # type: ignore[union-attr]
    await player.press("e")
    return pane(player)


def test_a_source_is_edited_checked_and_saved(library: Path, engine: FakeEngine) -> None:
    file = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine) as player:
            source = await opened(player, "explain")
            assert source.body.has_focus
            await player.press("ctrl+end")
            await player.type("{{ to")
            await player.until(lambda: any("unexpected end" in f.message for f in source.findings), "a finding")
            assert "✗ 10:" in player.text()
            assert "unsaved" in player.text()
            await player.press("ctrl+r")
            assert "changes that are not saved" in player.play.reasons[0]
            await player.type("pic }}")
            await player.until(lambda: not source.findings, "no finding")
            await player.press("enter", "tab", "x", "ctrl+z", "ctrl+s")
            await player.until(lambda: not source.is_changed, "the file")
            assert file.read_text().startswith(EXPLAIN + "{{ topic }}\n")
            assert "Saved prompts/explain.jinja" in player.text()
            await player.press("escape")
            assert player.play.query_one(PromptList).has_focus
            assert not player.play.looking

    asyncio.run(go())


def test_enter_on_a_finding_goes_there(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            source = await opened(player, "broken")
            await player.until(lambda: source.findings, "findings")
            assert "'whole' is not a type" in player.within(source.query_one(OptionList))
            await player.press("f6")
            assert source.query_one(OptionList).has_focus
            await player.press("down", "enter")
            assert source.body.cursor_location == (1, 9)
            assert source.body.has_focus
            (library / "prompts" / "broken.jinja").write_text("{% include '_part.jinja' %}")
            await player.press("ctrl+l")
            await player.until(lambda: any("_part" in f.message for f in source.findings), "another finding")
            (library / "prompts" / "_part.jinja").write_text("Hello.")
            await player.press("ctrl+l", "f6")
            await player.until(lambda: not source.findings, "no finding")
            await player.press("escape")
            assert not source.looking

    asyncio.run(go())


def test_leaving_asks_what_becomes_of_changes(library: Path, engine: FakeEngine) -> None:
    file = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            source = await opened(player, "explain")
            assert source.is_on_screen
            await player.press("x", "escape")
            assert isinstance(player.top(), UnsavedScreen)
            assert "explain" in player.text()
            await player.press("escape")
            assert player.play.looking
            await player.press("escape", "d")
            await player.until(lambda: not player.play.looking)
            assert source.text == EXPLAIN
            assert player.play.sidebar
            await player.press("e", "y", "escape", "s")
            await player.until(lambda: not player.play.looking)
            assert file.read_text() == "y" + EXPLAIN
            assert not player.play.unsaved

    asyncio.run(go())


async def typed_twice(player: Player) -> None:
    """Changes of two prompts, one of which is shown."""
    source = await opened(player, "explain")
    await player.press("x")
    await player.choose("verdict")
    await player.until(lambda: source.base and source.base.name == "verdict")
    source.body.focus()
    await player.press("y")
    await player.until(lambda: player.play.unsaved == ("verdict", "explain"))


@pytest.mark.parametrize("key", ["s", "enter"])
def test_what_was_typed_is_saved_before_leaving(library: Path, engine: FakeEngine, key: str) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            before = (library / "prompts" / "verdict.jinja").read_text()
            await typed_twice(player)
            await player.press("f4", "ctrl+q")
            assert isinstance(player.top(), UnsavedScreen)
            assert "s  saves" in player.text()
            await player.press(key)
            await player.until(lambda: player.app.return_code == 0, "the end")
        assert (library / "prompts" / "explain.jinja").read_text() == "x" + EXPLAIN
        assert (library / "prompts" / "verdict.jinja").read_text() == "y" + before

    asyncio.run(go())


def test_nobody_leaves_where_saving_fails(library: Path, engine: FakeEngine) -> None:
    explain = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine) as player:
            await typed_twice(player)
            explain.write_text("other\n")
            await player.press("ctrl+q", "s")
            await player.until(lambda: "explain.jinja has changed on disk" in player.text(), "the reason")
            assert player.play.unsaved == ("explain",)  # the other one is on disk
            assert player.top() is player.play
            assert player.app.return_code is None
            assert explain.read_text() == "other\n"
            await player.press("ctrl+q", "d")
        assert player.app.return_code == 0

    asyncio.run(go())


def test_saving_twice_saves_what_was_typed_last(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, "promptlab.app.editing.save_source")

    async def go() -> None:
        async with playing(library, engine) as player:
            await opened(player, "explain")
            await player.press("x", "ctrl+s")
            await player.until(lambda: gate.calls)
            await player.press("y", "ctrl+s", "ctrl+s")
            await gate.open(player)
            await player.until(lambda: not player.play.unsaved)
            assert (library / "prompts" / "explain.jinja").read_text() == "xy" + EXPLAIN
            assert {each.severity for each in player.app._notifications} == {"information"}

    asyncio.run(go())


def test_what_was_typed_is_kept_beside_other_prompts_and_before_quitting(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            source = await opened(player, "explain")
            await player.press("x")
            await player.choose("verdict")
            await player.until(lambda: source.base and source.base.name == "verdict")
            assert player.play.unsaved == ("explain",)
            assert "● explain" in player.text()
            await player.choose("explain")
            await player.until(lambda: source.base and source.base.name == "explain")
            assert source.text == "x" + EXPLAIN
            await player.press("ctrl+q")
            assert isinstance(player.top(), UnsavedScreen)
            await player.press("ctrl+q", "escape")
            assert player.top() is player.play
            await player.press("ctrl+q", "d")
        assert player.app.return_code == 0
        assert (library / "prompts" / "explain.jinja").read_text() == EXPLAIN

    asyncio.run(go())


def test_what_is_not_saved_is_marked_among_the_prompts(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            source = await opened(player, "numbers/count")
            marked = player.play.query_one(PromptList)
            await player.press("x")
            assert marked.unsaved == {"numbers/count"}
            await player.press("ctrl+r")
            assert "not saved: e in the list of prompts shows it, ctrl+s saves them" in player.play.reasons[0]
            await player.press("ctrl+b")
            assert source.body.has_focus
            await player.press("escape", "k")
            await player.until(lambda: not player.play.looking, "the list")
            assert "● count" in player.text()
            await player.press("ctrl+r")
            assert "not saved: e in the list of prompts shows it, ctrl+s saves them" in player.play.reasons[0]
            marked.focus()
            await player.press("left")
            assert "▸ ● numbers" in player.text()
            await player.press("right", "slash", *"count")
            assert "● numbers/count" in player.text()
            await player.press("escape")
            await player.choose("numbers/count")
            await player.press("e", "ctrl+s")
            await player.until(lambda: not source.is_changed, "the file")
            await player.until(lambda: not marked.unsaved, "the mark")
            await player.press("escape")
            assert "● count" not in player.text()
            assert "count" in player.text()

    asyncio.run(go())


def test_a_file_that_changes_on_disk(library: Path, engine: FakeEngine) -> None:
    file = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine) as player:
            source = await opened(player, "explain")
            file.write_text("Another.\n")
            await player.press("ctrl+l")
            await player.until(lambda: source.text == "Another.\n")
            await player.press("x")
            file.write_text("A third.\n")
            await player.press("ctrl+l")
            await player.until(lambda: "has changed on disk" in player.text())
            assert source.text == "xAnother.\n"
            await player.press("ctrl+s")
            await player.until(lambda: "since it was read" in player.text())
            assert file.read_text() == "A third.\n"
            await player.press("escape", "d", "e")
            assert source.text == "A third.\n"
            assert "has changed on disk." not in player.within(source)

    asyncio.run(go())


def test_changes_are_noticed_where_somebody_watches(library: Path, engine: FakeEngine) -> None:
    class Stub:
        stopped = False

        def __init__(self, root: Path, changed: Callable[[], object]) -> None:
            self.root = root
            self.changed = changed

        def stop(self) -> None:
            self.stopped = True

    made: list[Stub] = []

    def watch(root: Path, changed: Callable[[], object]) -> Stub:
        made.append(Stub(root, changed))
        return made[-1]

    async def go() -> None:
        app = Playground(partial(Labs, library, lambda: engine), watch)  # type: ignore[arg-type]
        async with app.run_test() as pilot:
            player = Player(app, pilot)
            await player.until(lambda: made, "the watch")
            (library / "prompts" / "aaa.jinja").write_text("Hello.")
            made[0].changed()
            await player.until(lambda: len(app.play.prompts) == 5)
        assert [(stub.root, stub.stopped) for stub in made] == [(library, True)]

    asyncio.run(go())


def test_answers_give_way_to_the_source_and_come_back(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            assert not pane(player).is_on_screen
            player.play.query_one(PromptList).focus()
            await player.press("e")
            await player.until(lambda: pane(player).is_on_screen)
            assert not player.columns[0].is_on_screen
            await player.press("escape")
            await player.until(lambda: player.columns[0].is_on_screen)
            await player.press("e", "ctrl+r")
            await player.ended()
            await player.until(lambda: player.columns[0].is_on_screen)

    asyncio.run(go())


def test_what_is_not_saved_is_reached_from_anywhere_on_a_narrow_screen(library: Path, engine: FakeEngine) -> None:
    file = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            source = await opened(player, "explain")
            await player.press("x", "ctrl+r")
            await player.until(lambda: player.play.reasons, "the refusal")
            assert not source.is_on_screen
            player.play.query_one(PromptList).focus()
            await player.press("e")
            await player.until(lambda: source.body.has_focus and source.is_on_screen, "the editor")
            assert not isinstance(player.top(), UnsavedScreen)
            await player.press("ctrl+r")
            await player.until(lambda: not source.is_on_screen, "the refusal")
            await player.press("ctrl+s")
            await player.until(lambda: file.read_text() == "x" + EXPLAIN, "the file")
            assert player.play.unsaved == ()

    asyncio.run(go())


def test_what_cannot_be_edited_here_says_so(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "evil.jinja").write_text(f"---\ndescription: x\n---\n{{# {EVIL} #}}")
    (library / "prompts" / "huge.jinja").write_text("x {{ a }}\n" * 60_000)
    (library / "prompts" / "bytes.jinja").write_bytes(b"caf\xe9")

    async def go() -> None:
        async with playing(library, engine, (200, 60)) as player:
            source = await opened(player, "evil")
            await player.press("x", "backspace")
            assert source.body.read_only
            assert "cannot be shown as they are: o opens it" in player.within(source)
            assert squash(SEEN) in check(player)
            await player.press("escape")
            await opened(player, "huge")
            assert "larger than 256 KiB" in player.within(source)
            assert len(source.text) < 40_000
            await player.press("escape")
            await player.choose("bytes")
            await player.until(lambda: "is not UTF-8 text" in player.within(source))
            await player.press("e", "x", "ctrl+s", "escape")
            assert (library / "prompts" / "bytes.jinja").read_bytes() == b"caf\xe9"

    asyncio.run(go())


def test_hostile_text_that_is_pasted_is_seen(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "includes.jinja").write_text(f"{{% include {EVIL[:30]!r} %}}")

    async def go() -> None:
        async with playing(library, engine, (200, 60)) as player:
            source = await opened(player, "includes")
            await player.until(lambda: source.findings)
            check(player)
            source.body.insert(EVIL, (0, 0))
            await player.until(lambda: SEEN in source.text)
            check(player)

    asyncio.run(go())


@pytest.mark.parametrize("works", [True, False])
def test_the_users_own_editor(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    script = "import sys; open(sys.argv[1], 'w').write('Written elsewhere.')" if works else "raise SystemExit(3)"
    monkeypatch.setenv("EDITOR", f'{sys.executable} -c "{script}"')
    monkeypatch.setattr(Playground, "suspend", lambda self: contextlib.nullcontext())

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.until(lambda: pane(player).base)
            await player.press("o")
            if works:
                await player.until(lambda: pane(player).text == "Written elsewhere.")
            else:
                await player.until(lambda: any("exit code 3" in each.message for each in player.app._notifications))
                assert (library / "prompts" / "explain.jinja").read_text() == EXPLAIN

    asyncio.run(go())


def test_without_an_editor_o_says_so(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(variable, raising=False)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.until(lambda: pane(player).base)
            await player.press("o")
            await player.until(lambda: "no editor is set" in player.text())
            monkeypatch.setenv("EDITOR", "vi")  # this terminal, which is none, cannot be lent
            await player.press("o")
            await player.until(lambda: "cannot be lent" in player.text())
            await player.press("e", "x", "escape", "escape")
            player.play.query_one(PromptList).focus()
            await player.press("o")
            await player.until(lambda: "Save what you typed first" in player.text())

    asyncio.run(go())


def test_saving_does_not_wait_for_a_log(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, "promptlab.app.versions.list_versions")
    file = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("v")
            await player.until(lambda: gate.calls, "the log")
            await player.press("escape")
            source = await opened(player, "explain")
            await player.press("ctrl+end", "x", "ctrl+s")
            await player.until(lambda: not source.is_changed, "the file")
            assert file.read_text() == EXPLAIN + "x"
            await gate.open(player)

    asyncio.run(go())
