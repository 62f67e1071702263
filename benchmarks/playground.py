"""What the playground costs, and how soon it answers: `uv run python benchmarks/playground.py`. No model is needed.

Prints the time from the start of `python -m promptlab` in a terminal to its first paint (of several starts, bytecode at
hand). Then runs the playground over a fake engine whose three models stream at 60 tokens a second each: the processor
time of the interface's thread while nobody presses a key, in percent of one core, and how long a key takes to show its
effect while the answers stream: a letter in a field, and the sidebar, which lays all columns out anew. Last, with 500
prompts more and nothing else under way: how long a letter takes to narrow the list of prompts down.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import psutil

MODELS = ("alpha", "beta", "gamma")
RATE = 60
"""Tokens a second from each model."""
PROMPT = "---\ninputs: {topic: {type: string, default: rain}}\n---\nExplain {{ topic }}.\n"
SENTENCE = "the light of a low sun meets drops in front of it and comes back as colours, red on the outside,\n"
"""Without the letter that is typed."""
MANY = 500
"""Prompts that are looked through."""
BUSY = 0.5
"""A load of the machine above which no number is to be trusted."""


def library(root: Path) -> None:
    """One prompt, and three models whose files hold next to nothing."""
    from promptlab.files.paths import model_file

    (root / "prompts").mkdir(parents=True)
    (root / "prompts" / "explain.jinja").write_text(PROMPT)
    entries = []
    for name in MODELS:
        weights = struct.pack("<4sIQQ", b"GGUF", 3, 0, 0) + name.encode()
        sha256 = hashlib.sha256(weights).hexdigest()
        model_file(sha256).parent.mkdir(parents=True, exist_ok=True)
        model_file(sha256).write_bytes(weights)
        entries.append(
            f"  {name}: {{license: mit, sha256: {sha256}, sources: [{name}.gguf], default: true,"
            f" options: {{max_tokens: 100000}}}}\n"
        )
    (root / "models.yaml").write_text("models:\n" + "".join(entries))


def more_prompts(root: Path) -> None:
    """Many prompts of twenty lines, in twenty folders."""
    for number in range(MANY):
        file = root / "prompts" / f"group-{number % 20:02}" / f"case-{number:03}.jinja"
        file.parent.mkdir(exist_ok=True)
        inputs = "{topic: string, kind: {enum: [a, b]}, long: boolean}"
        head = f"---\ndescription: Number {number}\ninputs: {inputs}\n---\n"
        file.write_text(head + "Explain {{ topic }} as {{ kind }}{{ long }}.\n" * 20)


def play(root: Path, seconds: float) -> None:
    """The playground itself, in the process that is watched."""
    from promptlab.tui.app import SWITCH_S, Playground

    sys.setswitchinterval(SWITCH_S)  # as `run_playground` does
    Playground(partial(_labs, root, seconds)).run()


def _labs(root: Path, seconds: float) -> object:
    from promptlab.app.lab import Labs
    from promptlab.engine.fake import FakeEngine

    answer = " ".join(islice(cycle(SENTENCE.split(" ")), round(seconds * RATE)))
    return Labs(root, lambda: FakeEngine(lambda question, prompt: answer, delay=1 / RATE / len(MODELS)))


class Terminal:
    """A process in a terminal, what it writes, and the keys that it is sent."""

    def __init__(self, arguments: list[str], width: int, height: int) -> None:
        self.began = time.perf_counter()
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(width), "LINES": str(height)}
            os.execv(sys.executable, [sys.executable, *arguments])
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.written = 0
        """Bytes, in all."""

    def read(self, seconds: float) -> bytes:
        """What it writes within a time, as soon as there is something."""
        ready, _, _ = select.select([self._file], [], [], max(0.0, seconds))
        data = os.read(self._file, 1 << 16) if ready else b""
        self.written += len(data)
        return data

    def until(self, wanted: bytes, seconds: float = 30.0) -> float:
        """Wait until it has written something; gives when it had."""
        seen, end = b"", time.perf_counter() + seconds
        while wanted not in seen:
            seen += self.read(end - time.perf_counter())
            if time.perf_counter() > end:
                raise SystemExit(f"{wanted!r} never came: {seen[-2000:]!r}")
        return time.perf_counter()

    def press(self, key: bytes) -> float:
        """Send a key; gives when."""
        os.write(self._file, key)
        return time.perf_counter()

    def idle(self, seconds: float) -> None:
        """Take what it writes."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def processor_s(self) -> float:
        """Processor time of the first thread, which is the interface's."""
        main = next(thread for thread in psutil.Process(self.pid).threads() if thread.id == self.pid)
        return float(main.user_time + main.system_time)

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._file)


def first_paint(arguments: list[str], size: tuple[int, int], rounds: int) -> list[float]:
    """Seconds from the start to the first picture, for each round."""
    times = []
    for _ in range(rounds):
        terminal = Terminal(arguments, *size)
        times.append(terminal.until(b"Prompts") - terminal.began)
        terminal.close()
    return times


def letters(terminal: Terminal, presses: int) -> list[float]:
    """Seconds from a letter in a field to its being seen, for each press."""
    found = []
    for _ in range(presses):
        found.append(-terminal.press(b"z") + terminal.until(b"z"))
        terminal.idle(0.1)
        terminal.press(b"\x7f")
        terminal.idle(0.1)
    return found


def sidebars(terminal: Terminal, presses: int) -> list[float]:
    """Seconds from the key that brings the sidebar back to its being seen: all columns are laid out anew."""
    found = []
    for _ in range(presses):
        terminal.press(b"\x02")
        terminal.idle(0.5)
        found.append(-terminal.press(b"\x02") + terminal.until(b"Prompts"))
        terminal.idle(0.5)
    return found


def filters(arguments: list[str], size: tuple[int, int], presses: int) -> list[float]:
    """Seconds from a letter in the filter to what it finds being seen, for each press."""
    terminal = Terminal(arguments, *size)
    terminal.until(f"{MANY + 1} prompts".encode())
    terminal.idle(1.0)
    terminal.press(b"/")
    terminal.idle(0.5)
    found = []
    for _ in range(presses):
        found.append(-terminal.press(b"c") + terminal.until(f"of {MANY + 1}".encode()))
        terminal.idle(0.5)
        terminal.press(b"\x7f")
        terminal.idle(0.5)
    terminal.close()
    return found


def measure(asked: argparse.Namespace) -> None:
    """Print all numbers."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {f"XDG_{name}_HOME": str(home / name) for name in ("CACHE", "DATA", "CONFIG")}
        library(home / "library")
        size = (asked.width, asked.height)
        seconds = asked.seconds + asked.presses * 2 + 5
        arguments = [__file__, "--play", str(home / "library"), "--seconds", str(seconds)]
        program = ["-m", "promptlab"]
        os.environ["PROMPTLAB_LIBRARY"] = str(home / "library")
        first_paint(program, size, 1)
        painted = first_paint(program, size, asked.rounds)
        print(f"first paint: {statistics.median(painted):.2f} s (of {asked.rounds}: up to {max(painted):.2f} s)")
        terminal = Terminal(arguments, *size)
        terminal.until(b"3 of 3 models on disk")
        terminal.press(b"\r")
        terminal.idle(0.5)
        terminal.press(b"\x12")
        terminal.until(b"writing")
        terminal.idle(1.0)
        before, begun, written = terminal.processor_s(), time.perf_counter(), terminal.written
        terminal.idle(asked.seconds)
        took = time.perf_counter() - begun
        share, rate = (terminal.processor_s() - before) / took, (terminal.written - written) / took
        print(f"interface while {len(MODELS)} models stream: {share:.1%} of a core, {rate / 1000:.0f} kB/s written")
        told("a letter in a field", letters(terminal, asked.presses))
        told("the sidebar", sidebars(terminal, asked.presses))
        terminal.close()
        more_prompts(home / "library")
        told(f"a letter that is looked for among {MANY} prompts", filters(program, size, asked.presses))


def told(key: str, times: list[float]) -> None:
    """Print how long a key took to show its effect."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(f"key, {key}: median {1000 * statistics.median(times):.0f} ms, 95th percentile {1000 * p95:.0f} ms")


def main() -> None:
    """Measure, or be what is measured."""
    parser = argparse.ArgumentParser(description="The cost of the playground, and how soon it answers.")
    parser.add_argument("--seconds", type=float, default=10, help="of streaming that are watched (10)")
    parser.add_argument("--presses", type=int, default=30, help="of each key (30)")
    parser.add_argument("--rounds", type=int, default=5, help="starts (5)")
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--height", type=int, default=48)
    parser.add_argument("--play", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else whatever is new would be compiled at each start
    if asked.play:
        play(asked.play, asked.seconds)
        return
    if (load := os.getloadavg()[0]) > BUSY:
        print(f"something else runs here (load {load:.1f}): take no number of this for true", file=sys.stderr)
    measure(asked)


if __name__ == "__main__":
    main()
