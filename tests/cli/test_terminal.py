from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

import pyte
import pytest

from promptlab.core.text import sanitize
from tests.cli.test_main import program

HOSTILE = "\x1b]52;c;aGk=\x07 \x1b[2J \x9b2J \x1b]0;title\x07 \x1bc \u202eabc \r over [/red] [@click=app.quit]x"
ASK = ("run", "explain", "--var", "topic=rain")


def in_terminal(
    cwd: Path, *arguments: str, size: tuple[int, int] = (24, 120), press_after: bytes = b"", **environment: str
) -> tuple[bytes, int]:
    """Run the program in a terminal of its own. Returns all that it wrote there, and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    command = program("tests.cli.fake_main", *arguments, TERM="xterm-256color", **environment)
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    output = bytearray()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and select.select([master], [], [], 60)[0]:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            break
        output += chunk
        if press_after and press_after in output:
            os.write(master, b"\x03")
            press_after = b""
    os.close(master)
    return bytes(output), process.wait(10)


def screen(output: bytes, size: tuple[int, int]) -> list[str]:
    """What the terminal shows in the end."""
    shown = pyte.Screen(size[1], size[0])
    pyte.ByteStream(shown).feed(output)
    return [line.rstrip() for line in shown.display]


@pytest.mark.parametrize("size", [(24, 60), (40, 120)])
def test_nothing_that_a_model_says_reaches_the_terminal_raw(library: Path, size: tuple[int, int]) -> None:
    output, code = in_terminal(library, *ASK, size=size, FAKE_ANSWER=HOSTILE, FAKE_DELAY="0.01")
    text = output.decode()
    assert code == 0
    for bad in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\x1bc", "\u202e", "\r over"):
        assert bad not in text, ascii(bad)
    shown = "\n".join(screen(output, size))
    for visible in ("␛]52;c;aGk=␇", "␛[2J", "<U+009B>2J", "<U+202E>abc", "[/red]"):
        assert visible in shown


@pytest.mark.parametrize(
    "command", [("runs", "list"), ("prompts", "list"), ("models", "list"), ("prompts", "show", "evil")]
)
def test_nothing_hostile_comes_from_listings(library: Path, command: tuple[str, ...]) -> None:
    quoted = "".join(f"\\u{ord(c):04x}" if not c.isascii() or c < " " else c for c in HOSTILE)
    (library / "prompts" / "evil.jinja").write_text(f'---\ndescription: "{quoted}"\n---\n{HOSTILE}\n')
    (library / "models.yaml").write_text(f'models:\n  evil: {{license: x, title: "{quoted}"}}\n')
    in_terminal(library, *ASK, "--no-log", FAKE_ANSWER=HOSTILE)
    output, code = in_terminal(library, *command, FAKE_ANSWER=HOSTILE)
    assert code == 0
    assert not {b"\x1b]", b"\x1b[2J", b"\xc2\x9b", b"\x07", b"\x1bc", "\u202e".encode()} & set(_windows(output))


def _windows(output: bytes) -> list[bytes]:
    return [output[i : i + n] for n in (1, 2, 3, 4) for i in range(len(output))]


def test_side_by_side_where_there_is_room(library: Path) -> None:
    output, _ = in_terminal(library, *ASK, size=(24, 80), FAKE_ANSWER="Drops of water.")
    lines = screen(output, (24, 80))
    assert lines[0].startswith("╭─ alpha ")
    assert "╭─ beta " in lines[0]
    assert lines[1].count("Drops of water.") == 2
    assert any(line.count("tokens/s") == 2 for line in lines)


def test_stacked_where_there_is_none(library: Path) -> None:
    output, _ = in_terminal(library, *ASK, size=(24, 60), FAKE_ANSWER="Drops of water.")
    shown = [line for line in screen(output, (24, 60)) if line.startswith("╭")]
    assert [line.split()[1] for line in shown] == ["alpha", "beta"]


def test_the_whole_answer_stays_when_it_is_taller_than_the_screen(library: Path) -> None:
    answer = "\n".join(f"line{n}" for n in range(60))
    ask = (*ASK, "-o", "max_tokens=100")
    output, _ = in_terminal(library, *ask, size=(10, 80), FAKE_ANSWER=answer, FAKE_DELAY="0.005")
    assert b"\xe2\x80\xa6" in output  # the tail was shown while it grew
    history = pyte.HistoryScreen(80, 10, history=1000, ratio=1)
    pyte.ByteStream(history).feed(output)
    top = ["".join(row[x].data for x in range(80)) for row in history.history.top]
    whole = "\n".join([*top, *history.display])
    assert all(f" line{n} " in whole for n in range(60))


def test_ctrl_c_leaves_the_columns_and_says_so(library: Path) -> None:
    answer = " ".join(f"word{n}" for n in range(1000))
    output, code = in_terminal(library, *ASK, press_after=b"word5", FAKE_ANSWER=answer, FAKE_DELAY="0.02")
    assert code == 130
    shown = "\n".join(screen(output, (24, 120)))
    assert "cancelled before it was finished" in shown
    assert "promptlab: interrupted: 0 of 2 answers were finished" in shown
    assert output.endswith(b"\n")


def test_no_color(library: Path) -> None:
    output, _ = in_terminal(library, *ASK, FAKE_ANSWER="Fine.", NO_COLOR="1")
    assert b"\x1b[32m" not in output


def test_hostile_text_is_hostile() -> None:
    assert sanitize(HOSTILE) != HOSTILE


def test_json_on_a_terminal_is_counted_and_then_printed(library: Path) -> None:
    output, code = in_terminal(library, *ASK, "--json", FAKE_ANSWER=HOSTILE, FAKE_DELAY="0.02")
    assert code == 0
    assert b"of 2 done" in output
    assert b"\x1b]" not in output
    document = output[output.index(b"[\r\n") :]
    assert [r["output"] for r in json.loads(document)] == [HOSTILE, HOSTILE]


def test_a_very_low_terminal_and_many_jobs(library: Path) -> None:
    output, code = in_terminal(library, *ASK, "-n", "5", size=(5, 40), FAKE_ANSWER="Fine.", FAKE_DELAY="0.005")
    assert code == 0
    history = pyte.HistoryScreen(40, 5, history=1000, ratio=1)
    pyte.ByteStream(history).feed(output)
    top = ["".join(row[x].data for x in range(40)) for row in history.history.top]
    whole = "\n".join([*top, *history.display])
    for model in ("alpha", "beta"):
        assert all(f"─ {model} · sample {n}/5 ─" in whole for n in range(1, 6))
