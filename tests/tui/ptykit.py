"""The playground as a process in a terminal of its own, and every byte that it sends there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pyte

PATIENCE_S = 60.0
SILENCE_S = 0.4
"""A screen that says nothing so long has shown all."""
Step = tuple[bytes, tuple[str, ...]]
"""What is pressed, and what must stand on the screen after that."""


def tour(script: str, steps: Sequence[Step], size: tuple[int, int] = (160, 50)) -> bytes:
    """Run a script in a terminal, press what the steps say, leave by ctrl+q, and return what the terminal was sent."""
    width, height = size
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", PYTHONPATH=str(Path(__file__).parents[2]))
        os.environ.update(COLUMNS=str(width), LINES=str(height))
        os.execv(sys.executable, [sys.executable, "-c", script])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    screen = pyte.Screen(width, height)
    stream = pyte.ByteStream(screen)
    sent = b""
    for keys, wanted in steps:
        if keys:
            os.write(terminal, keys)
        deadline = time.monotonic() + PATIENCE_S
        while not all(text in "\n".join(screen.display) for text in wanted):
            assert time.monotonic() < deadline, f"after {keys!r}, {wanted} never came:\n" + "\n".join(screen.display)
            chunk = read(terminal)
            stream.feed(chunk)
            sent += chunk
        while chunk := read(terminal, wait=SILENCE_S):  # what is pressed next is then a key of its own
            stream.feed(chunk)
            sent += chunk
    os.write(terminal, b"\x11")
    shown = sent
    while read(terminal, wait=30):
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown


def read(terminal: int, wait: float = 1.0) -> bytes:
    """What it sends next; nothing where it says nothing so long, or has gone."""
    if not select.select([terminal], [], [], wait)[0]:
        return b""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end has gone
        return b""
