"""The real program in a real terminal, while others change its files: another process, and the user's own editor."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import EXPLAIN
from tests.tui.ptykit import QUIT, Terminal, plain

PROGRAM = """
import sys
import promptlab.app.lab
from promptlab.engine.fake import FakeEngine
promptlab.app.lab._pool = FakeEngine
sys.argv = ["promptlab"]
from promptlab.__main__ import main
main()
"""
EDITOR = """
import os, sys, termios
print("IN-THE-EDITOR", flush=True)
lines = bool(termios.tcgetattr(0)[3] & termios.ICANON)
open(sys.argv[1], "w").write(f"Written elsewhere: {input()}, lines {lines}, {os.path.basename(sys.argv[1])}.")
"""
UP = b"\x1b[A"


def started(**environment: str) -> Terminal:
    """The program, with the prompt `explain` shown, its source and all."""
    terminal = Terminal("-c", PROGRAM, environment={"VISUAL": "", **environment})
    terminal.wait("4 prompts", "Inputs of")
    while "Inputs of explain" not in terminal.text:
        terminal.press(b"\x1b[B")
    terminal.wait("{% user %}Explain {{ topic }}.")
    return terminal


def left(terminal: Terminal) -> None:
    """Leave, and see that nothing else was sent than what belongs to a screen."""
    terminal.press(QUIT)
    assert terminal.end() == 0


def toast(text: str) -> str:
    """What stands in the corner of a screen, its lines joined."""
    return " ".join(" ".join(re.findall(r"▌([^│╯]*)", text)).split())


def test_what_another_process_writes_into_a_file_is_shown(library: Path) -> None:
    file = library / "prompts" / "explain.jinja"
    with started() as terminal:
        code = "import sys; open(sys.argv[1], 'w').write('Another has written this.')"
        subprocess.run([sys.executable, "-c", code, str(file)], check=True)
        terminal.wait("Another has written this.", "It takes none")
        terminal.gone("{% user %}Explain")
        (library / "prompts" / "later.jinja").write_text("---\ndescription: A later one.\n---\nHello.\n")
        terminal.wait("A later one.", "5 prompts")
        left(terminal)
    plain(terminal.sent)


def test_the_users_own_editor_has_the_terminal_and_gives_it_back(library: Path, tmp_path: Path) -> None:
    script = tmp_path / "editor.py"
    script.write_text(EDITOR)
    with started(EDITOR=shlex.join([sys.executable, str(script)])) as terminal:
        before = len(terminal.sent)
        terminal.press(b"o", "IN-THE-EDITOR")
        lent = terminal.sent[before:]
        assert b"\x1b[?1049l" in lent  # what was there before the program is shown again
        assert b"\x1b[?25h" in lent  # with a cursor
        assert "Inputs of" not in lent[lent.index(b"\x1b[?1049l") :].decode()
        before = len(terminal.sent)
        terminal.press(b"hello there\r", "Written elsewhere: hello there, lines True, explain.jinja.", "It takes none")
        assert b"\x1b[?1049h" in terminal.sent[before:]
        # The whole screen is drawn anew, not only what has changed.
        for each in ("promptlab", "Prompts", "numbers", "Models", "The first", "^r", "Menu"):
            assert each in terminal.text
        assert "IN-THE-EDITOR" not in terminal.text
        terminal.press(UP, "broken")  # and keys are keys again
        left(terminal)


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("false", "the editor false ended with exit code 1"),
        ("no-such-editor-anywhere -w", "the editor no-such-editor-anywhere does not start: No such file or directory"),
        ("", "no editor is set"),
    ],
)
def test_an_editor_that_fails_is_one_clear_line(library: Path, editor: str, said: str) -> None:
    with started(EDITOR=editor) as terminal:
        terminal.press(b"o")
        terminal.until(lambda: said in toast(terminal.text), said)
        assert "Traceback" not in terminal.text
        assert "Inputs of explain" in terminal.text
        assert (library / "prompts" / "explain.jinja").read_text() == EXPLAIN
        left(terminal)
