"""The playground as a process in a terminal of its own, and every byte that it sends there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

PATIENCE_S = 60.0
SILENCE_S = 0.15
"""A screen that shows what was wanted, and says nothing so long, has shown all; or says nothing for twice as long."""
ESCAPE = b"\x1b[27u"
"""The escape key, as terminals with the newer protocol send it: never the beginning of something longer."""
QUIT = b"\x11"
Step = tuple[bytes, tuple[str, ...]]
"""What is pressed, and what must stand on the screen after that."""

_OURS = re.compile(
    rb"\x1b\[[0-9;]*m"  # colours
    rb"|\x1b\[\d+;\d+H"  # where to write
    rb"|\x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]"  # modes, on and off
    rb"|\x1b\[\?(?:2026|2048)\$p"  # and whether the terminal has them
    rb"|\x1b\[[<>]\d*u"  # how keys are told
    rb"|\x1b\]22;[a-z-]+\x07"  # the shape of the pointer
    rb"|\x1b\]52;c;(?P<copied>[A-Za-z0-9+/]*={0,2})\x07"  # what is copied
)
"""All that Textual, and we, tell a terminal besides text."""
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\U000e0000-\U000e007f]"
)
"""What no text on a screen may hold: whatever moves a cursor, reverses what is read, or hides."""


class Terminal:
    """A Python program, in a terminal that somebody looks at."""

    def __init__(
        self,
        *arguments: str,
        size: tuple[int, int] = (160, 50),
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`arguments` are Python's: `-c`, and a script; or `-m`, and a module with what it is given."""
        width, height = size
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", PYTHONPATH=str(Path(__file__).parents[2]))
            os.environ.update(COLUMNS=str(width), LINES=str(height))
            os.environ.update(environment or {})
            os.chdir(folder or Path.cwd())
            os.execv(sys.executable, [sys.executable, *arguments])
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.sent = b""
        """All that it was sent."""
        self._ended = False

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(self._screen.display)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Take what it says until something holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} never came:\n{self.text}"
            self.take()

    def wait(self, *texts: str) -> None:
        """Until all of these stand on the screen."""
        self.until(lambda: all(text in self.text for text in texts), str(texts))

    def gone(self, *texts: str) -> None:
        """Until none of these stands on the screen any more."""
        self.until(lambda: not any(text in self.text for text in texts), f"a screen without {texts}")

    def press(self, keys: bytes, *wanted: str) -> None:
        """Press keys, wait for what comes of it, and then until nothing more does."""
        os.write(self._terminal, keys)
        self.wait(*wanted)
        while self.take(SILENCE_S if wanted else 2 * SILENCE_S):  # what is pressed next is then a key of its own
            pass

    def take(self, wait: float = 1.0) -> bool:
        """Take what it says next; False where it says nothing so long, or has gone."""
        chunk = read(self._terminal, wait)
        self._stream.feed(chunk)
        self.sent += chunk
        return bool(chunk)

    def end(self) -> int:
        """Read what it still says, and wait for its end. Gives its exit code."""
        while chunk := read(self._terminal, wait=30):
            self.sent += chunk
        self._ended = True
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def tour(script: str, steps: Sequence[Step], size: tuple[int, int] = (160, 50)) -> bytes:
    """Run a script in a terminal, press what the steps say, leave by ctrl+q, and return what the terminal was sent."""
    with Terminal("-c", script, size=size) as terminal:
        for keys, wanted in steps:
            terminal.press(keys, *wanted)
        shown = terminal.sent
        terminal.press(QUIT)
        assert terminal.end() == 0
        return shown


def read(terminal: int, wait: float = 1.0) -> bytes:
    """What it sends next; nothing where it says nothing so long, or has gone."""
    if not select.select([terminal], [], [], wait)[0]:
        return b""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end has gone
        return b""


def plain(sent: bytes) -> str:
    """The text in what a terminal was sent. Fails where anything else is in it that is not ours."""
    text = _OURS.sub(b"", sent).decode().replace("\r\n", "\n")
    at = _UNSAFE.search(text)
    assert at is None, f"{at.group()!r} in {text[max(at.start() - 60, 0) : at.end() + 60]!r}"
    return text


def copied(sent: bytes) -> list[bytes]:
    """What was put into the clipboard, as it was sent."""
    return [each["copied"] for each in _OURS.finditer(sent) if each["copied"] is not None]
