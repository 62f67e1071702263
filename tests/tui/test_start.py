"""The real process: what is imported before the first paint, and what its terminal is sent."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte

from tests.tui.test_hostile import PROMPT, QUOTED

HEAVY = ("pydantic", "jsonschema", "llama_cpp", "numpy", "jinja2", "yaml", "sqlite3")

SCRIPT = """
from functools import partial
from pathlib import Path
from promptlab.app.lab import Labs
from promptlab.engine.fake import FakeEngine
from promptlab.tui.app import Playground
evil = "x\\x1b]52;c;aGk=\\x07\\x1b[2J\\x9b31m\\u202e [@click=app.quit]y[/]"
engine = FakeEngine(lambda question, prompt: evil + " THE-END")
Playground(partial(Labs, Path("."), lambda: engine)).run()
"""


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    code = f"import sys, promptlab.tui.app; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_terminal_is_sent_nothing_that_a_stranger_wrote(library: Path) -> None:
    for path in (library / "prompts").rglob("*.jinja"):
        path.unlink()
    (library / "prompts" / "evil.jinja").write_text(
        PROMPT.replace(f'n: {{type: [integer, "null"], default: {QUOTED}}}', "")
    )
    models = library / "models.yaml"
    models.write_text(models.read_text().replace("title: The first", f"title: {QUOTED}"))
    sent = _drive([b"\r", b"\x12"], until=[b"evil", b"Inputs of", b"THE-END"])
    for attack in (b"\x1b]52;c;aGk", b"\x1b[2Jx", b"\xe2\x80\xae", b"\xc2\x9b", b"\xe2\x81\xa6"):
        assert attack not in sent
    assert "␛]52;c;aGk=␇␛[2J<U+009B>31m<U+202E>" in re.sub(rb"\x1b\[[0-9;]*m", b"", sent).decode(errors="replace")
    screen = pyte.Screen(160, 50)
    pyte.ByteStream(screen).feed(sent)
    assert any("promptlab" in line for line in screen.display)


def _drive(keys: list[bytes], until: list[bytes]) -> bytes:
    """Run the script in a terminal of its own; press the next key once the screen has shown what to wait for."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", PYTHONPATH=str(Path(__file__).parents[2]))
        os.execv(sys.executable, [sys.executable, "-c", SCRIPT])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    sent, deadline = b"", time.monotonic() + 60
    for number, wanted in enumerate(until):
        while wanted not in sent:
            assert time.monotonic() < deadline, sent[-2000:]
            sent += _read(terminal)
        if number < len(keys):
            os.write(terminal, keys[number])
    os.write(terminal, b"\x11")
    shown = sent
    while chunk := _read(terminal, wait=30):
        sent += chunk
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown


def _read(terminal: int, wait: float = 1.0) -> bytes:
    if not select.select([terminal], [], [], wait)[0]:
        return b""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end has gone
        return b""
