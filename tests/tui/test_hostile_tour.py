"""Every widget in a real terminal, with a library, a repository, models and answers of a stranger: no byte of theirs is
anything but text.
"""

from __future__ import annotations

import base64
import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from textual.widget import Widget

import promptlab.tui
from tests import gitkit
from tests.tui.hostile import LIBRARY, OWN_WORDS, TEXTUALS, hostile, make_hostile, quoted, shown
from tests.tui.ptykit import ESCAPE, QUIT, Step, Terminal, copied, plain

DOWN, END, HOME, F3, F4, F5, F6 = b"\x1b[B", b"\x1b[F", b"\x1b[H", b"\x1bOR", b"\x1bOS", b"\x1b[15~", b"\x1b[17~"
PALETTE, RUN, TAB = b"\x10", b"\x12", b"\t"


def paste(text: str) -> bytes:
    """What a terminal sends for it."""
    return b"\x1b[200~" + text.encode() + b"\x1b[201~"


PASTED = "\x9b2J\u202eevil\U000e0041"
PASTED_SHOWN = "<U+009B>2J<U+202E>evil<U+E0041>"

START: Step = (b"", (shown("ABOUT"), shown("FIRST"), "Inputs of choose", "FINDING\\x1b[2J", "5 prompts"))
AT_THE_TAB_OF_BATCH = b"\x1b[<35;20;1M"
PROMPTS: list[Step] = [
    (b"", ("SETTING\\x1b[2J",)),  # a toast
    START,
    (b"v", (shown("SUBJECT"), "source of choose", "{% generate pick")),
    (ESCAPE, ("Inputs of choose",)),
    (DOWN, ("Inputs of evil", shown("HINT"), shown("GIVEN"), shown("CHOICE"), shown("LONG"))),
    (b"v", (shown("SHORT"), "⌂ LABEL<U+202E>gnp", shown("SUBJECT"))),
    (DOWN, (shown("CHANGE"), "from evil@2 to the working copy")),
    (b"d", ("source of evil@2", shown("SOURCE"))),
    (TAB, ()),
    (paste(PASTED), (PASTED_SHOWN,)),
    (b"\r", ("[ ] " + PASTED_SHOWN,)),
    (ESCAPE, ("Inputs of evil",)),
    (b"/", ("part of a name",)),
    (paste(PASTED), (PASTED_SHOWN, "1 of 5")),
    (ESCAPE, ("Inputs of evil",)),
    (PALETTE, ("Search for commands",)),
    (paste(PASTED), ("🔎 " + PASTED_SHOWN,)),
    (ESCAPE, ("Inputs of evil",)),
    (AT_THE_TAB_OF_BATCH, ("f3: Compare prompts",)),  # a tooltip
    (DOWN, ("Inputs of found", "FINDING\\x1b[2J", "✗ 2:1")),
    (b"e", ("esc leaves",)),
    (paste(PASTED), (PASTED_SHOWN, "● prompts/found.jinja unsaved")),
    (ESCAPE, ("Not saved",)),
    (b"d", ("v versions",)),
    (b"\x1b[A", ("Inputs of evil", shown("GIVEN"), shown("LONG"))),
    (b"\r", ()),
    (paste("ONE\rTWO"), ("ONE  ", "TWOGIVEN")),
    (TAB, ()),
    (b"\r", (shown("OTHER"),)),  # the open select
    (ESCAPE, ("Inputs of evil",)),
    (b"\x14", ("temperature", "STOP\\u001b[2J")),
    (paste(PASTED), ("wants", PASTED_SHOWN)),
    (ESCAPE, ("Inputs of evil",)),
    (b"k", ("Cases for evil", shown("SET"), shown("FILE"), "✗ broken", "BROKEN\\x1b[2J")),
    (ESCAPE, ("Inputs of evil",)),
]
ANSWERS: list[Step] = [
    START,
    (DOWN, ("Inputs of evil", shown("HINT"))),
    (b"\x1b[19~", ("2 samples each",)),
    (RUN, (shown("SAID"), "✓ 1/2", "[A]", "done: stop")),
    (F6, ()),
    (ESCAPE, ()),  # to the first column
    (b"y", ("Copied the answer of", shown("FIRST"))),
    (b"l", ("Layout: grid",)),
    (b"l", ("[✓ " + shown("FIRST"),)),  # the names of tabs
    (b"l", ("as they fit",)),
    (b"s", ("Keep as a case", "this text", shown("SAID"))),
    (b"\r", ("evil.yaml, 1 case", shown("FILE"))),
    (ESCAPE, ()),
    (ESCAPE, ("Inputs of evil",)),
    (b"x", ("A worked example in",)),
    (ESCAPE, ("Inputs of evil",)),
    (b"n", ("Next turn for", shown("SAID"))),
    (paste(PASTED), (PASTED_SHOWN,)),
    (ESCAPE, ("Inputs of evil",)),
    (b"t", ("token 1 of", shown("SAID"))),
    (b"d", ("First token that differs", shown("SAID"))),
    (b"o", ("enter chooses", shown("FIRST"))),
    (ESCAPE, ("First token that differs",)),
    (b"w", ("Exact text", shown("GIVEN"), shown("SOURCE"))),
    (b"a", ("different things", shown("SAID"))),
    (ESCAPE, ("Inputs of evil",)),
    (b"/", ("part of a name",)),
    (b"steps", ("1 of 5",)),
    (b"\r", ("Inputs of steps",)),
    (b"\r", ()),
    (b"hello\r", ("▸ returned", shown("SAID"), "done: stop")),
    (ESCAPE, ()),
    (b"f", ()),
    (HOME, ("▸ first", "user:", "First.")),
    (b"/", ("part of a name",)),
    (b"plain", ("1 of 5",)),
    (b"\r", ("Inputs of plain",)),
    (b"\r", ()),
    (b"CODE\r", (shown("CODE"), "done: stop")),
    (ESCAPE, ()),
    (b"c", ("Copied the code block",)),
    (b"Y", ("answers as Markdown",)),
    (b"/", ("part of a name",)),
    (b"plain", ("1 of 5",)),
    (b"\r", ("Inputs of plain",)),
    (b"\r", ()),
    (b"CRASH\r", (shown("REASON"), shown("STDERR"), "✗ crashed")),
]
SHELF: list[Step] = [
    START,
    (DOWN, ("Inputs of evil", shown("HINT"))),
    (F3, ("Tick what to compare", "[x] evil", shown("SET"), shown("FILE"), "BROKEN\\x1b[", shown("FIRST"))),
    (b"v", ("[ ] evil@1", shown("SUBJECT"))),
    (F6, ()),
    (DOWN, ()),
    (DOWN, ()),
    (b" ", ("││ [x] evil",)),
    (RUN, ("MISFIT",)),  # a refusal
    (b" ", ("││ [ ] evil",)),
    (HOME, ()),
    (b" ", ("[x] " + shown("FILE"),)),
    (RUN, ("2 of 2 answers", "done", "CASE<U+202E>")),
    (b"\r", ("THE-END", shown("SAID"), shown("WHAT"), shown("VALUE"), shown("WANTED"))),
    (ESCAPE, ("The marked case",)),
    (b"a", ("How often two columns say the same", shown("METRIC"))),
    (ESCAPE, ("The marked case",)),
    (b"/", ("Cases with",)),
    (paste(PASTED), (PASTED_SHOWN, "0 of 1 cases")),
    (ESCAPE, ()),
    (b"w", ("Write (.html",)),
    (paste(PASTED), (PASTED_SHOWN,)),
    (b"\r", (PASTED_SHOWN,)),
    (F4, ("2 runs", "Identity", shown("VALUE"), shown("SAID"))),
    (DOWN, ()),
    (b"i", ("Asked: output", "▸ user")),
    (b"R", ("✓ identical",)),
    (b"x", ("Write the 2 runs found to",)),
    (paste(PASTED), (PASTED_SHOWN,)),
    (ESCAPE, ()),
    (b"d", ("Delete 1 run",)),
    (b"n", ()),
    (b"/", ()),
    (paste(PASTED), (PASTED_SHOWN, "No run matches")),
    (F5, (shown("NAMED"), shown("TOKENS"), shown("TAGGED"))),
    (b"t", ()),
    (F6, ()),
    (END, ("{{ messages }}",)),
    (b"?", ("Everywhere",)),
    (ESCAPE, ()),
]
NEWCOMER: list[Step] = [
    (b"", ("No models yet", shown("FIRST"), "p pulls these two")),
]


class Visit(NamedTuple):
    """What came of a tour."""

    sent: bytes
    drawn: dict[str, bool]
    """Every class of widgets that was drawn; whether hostile text stood in it."""


TOURS = {"prompts": PROMPTS, "answers": ANSWERS, "shelf": SHELF, "newcomer": NEWCOMER}


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Visit]]]:
    """All tours, each in a library of its own; at the same time, as they mostly wait."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(TOURS)) as pool:
        gitkit.use_own_settings(patch)
        found = {}
        for name in TOURS:
            home = tmp_path_factory.mktemp(name)
            environment = {
                f"XDG_{each.upper()}_HOME": str(home / each) for each in ("cache", "data", "config", "state")
            }
            for variable, folder in environment.items():
                patch.setenv(variable, folder)
            root = make_hostile(home / LIBRARY, models=name != "newcomer")
            settings = home / "config" / "promptlab" / "settings.yaml"
            settings.parent.mkdir(parents=True)
            settings.write_text(f"theme: {quoted('SETTING')}\n")
            found[name] = pool.submit(go, TOURS[name], root, environment)
        yield found


def go(steps: Sequence[Step], root: Path, environment: Mapping[str, str]) -> Visit:
    """Go on a tour."""
    notes = root.parent / "notes.json"
    with Terminal("-m", "tests.tui.hostile_program", str(notes), folder=root, environment=environment) as terminal:
        for keys, wanted in steps:
            terminal.press(keys, *wanted)
        terminal.press(QUIT)
        assert terminal.end() == 0, terminal.text
    return Visit(terminal.sent, json.loads(notes.read_text()))


@pytest.mark.parametrize("name", TOURS)
def test_nothing_that_a_stranger_wrote_is_anything_but_text(visits: dict[str, Future[Visit]], name: str) -> None:
    text = plain(visits[name].result().sent)
    assert shown("FIRST") in text


def test_what_is_copied_goes_to_the_clipboard_whole_and_as_base64(visits: dict[str, Future[Visit]]) -> None:
    answer, code, everything = (base64.b64decode(each).decode() for each in copied(visits["answers"].result().sent))
    assert answer.startswith(hostile("SAID") + " alpha")
    assert code.splitlines()[0] == hostile("CODE").splitlines()[0]
    assert everything.count(hostile("SAID")) >= 2


def test_every_widget_was_shown_with_hostile_text(visits: dict[str, Future[Visit]]) -> None:
    for module in pkgutil.walk_packages(promptlab.tui.__path__, "promptlab.tui."):
        importlib.import_module(module.name)
    ours = [each for each in _below(Widget) if each.__module__.startswith("promptlab.tui.")]
    kinds = {f"{each.__module__}.{each.__qualname__}": each for each in _below(Widget)}
    drawn: dict[type[Widget], bool] = {}
    for visit in visits.values():
        for name, found in visit.result().drawn.items():
            drawn[kinds[name]] = drawn.get(kinds[name], False) or found
    # A class that others are made of is shown in those.
    never = [each.__name__ for each in ours if not any(issubclass(one, each) for one in drawn)]
    assert not never, f"no tour shows {never}"
    hostile_in = [each for each, found in drawn.items() if found]
    # Of a window, what is on it counts, not what it lies over.
    looked_at = [*ours, *(each for each in drawn if each.__name__ in TEXTUALS)]
    harmless = {each.__name__ for each in looked_at if not any(issubclass(one, each) for one in hostile_in)}
    assert harmless == OWN_WORDS, "these were shown without hostile text"
    assert {one.__name__ for one in drawn} >= TEXTUALS


def _below(kind: type[Widget]) -> set[type[Widget]]:
    return {each for below in kind.__subclasses__() for each in (below, *_below(below))}
