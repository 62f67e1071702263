"""How long the prompt library takes: `uv run python benchmarks/prompts.py [FOLDER]`. No model is needed.

Builds (in FOLDER, or a temporary one; what is there already is used again) libraries of 1,000 prompts, and a repository
of 10,000 commits and 1,000 prompts. Runs each command as a whole process, all of them in turn, several rounds; prints
medians and the spread. The last part resolves a version, and takes steps through a sandbox, within one process.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from promptlab.app.lab import open_lab
from promptlab.core.prompt import parse
from promptlab.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.files import big_repository  # noqa: E402

ROUNDS = 7
STEPS = 2000
PROMPTLAB = Path(sys.executable).parent / "promptlab"


def library(folder: Path, name: str = "[!_]*") -> Path:
    """1,000 prompts like one that ships, or like all that ship by turns, without git."""
    prompts = folder / "prompts"
    if not prompts.is_dir():
        prompts.mkdir(parents=True)
        texts = [file.read_text() for file in sorted((ROOT / "prompts").glob(f"{name}.jinja"))]
        for used in ("_about.jinja", "extract.jinja"):
            shutil.copy(ROOT / "prompts" / used, prompts)
        for i in range(999):
            # No two alike: a text that was read before is not read again.
            (prompts / f"p{i}.jinja").write_text(f"{texts[i % len(texts)]}{{# {i} #}}\n")
    return folder


def repository(folder: Path) -> Path:
    """10,000 commits, 1,000 prompts in one folder."""
    if not folder.is_dir():
        big_repository.build(folder)
        subprocess.run(["git", "-C", str(folder), "gc", "-q"], check=True)
        subprocess.run(["git", "-C", str(folder), "checkout", "-q", "-f"], check=True)
    return folder


def timed(root: Path, *arguments: str, cold: bool = False) -> float:
    """Seconds of one command, Python's start included; with `cold`, nothing that was found out before is there."""
    if cold:
        shutil.rmtree(root / ".promptlab", ignore_errors=True)
    environment = {**os.environ, "PROMPTLAB_LIBRARY": str(root)}
    begin = time.perf_counter()
    subprocess.run(
        [str(PROMPTLAB), *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - begin


def show(name: str, times: list[float], unit: str = "s", scale: float = 1.0) -> None:
    """Print a line: median, and the smallest and largest."""
    low, middle, high = min(times) * scale, statistics.median(times) * scale, max(times) * scale
    print(f"{name:<46} {middle:8.3f} {unit}   ({low:.3f} to {high:.3f}, {len(times)} runs)", flush=True)


def commands(short: Path, long: Path, mixed: Path, big: Path) -> None:
    """The commands, in turn."""
    name = big_repository.name_of(7)
    cases = {
        "promptlab --version": (short, ("--version",), False),
        "prompts check, 1,000 prompts like explain": (short, ("prompts", "check"), False),
        "prompts check, 1,000 like all that ship": (mixed, ("prompts", "check"), False),
        "prompts check, 1,000 prompts like verdict": (long, ("prompts", "check"), False),
        "prompts list, 1,000 prompts, 10,000 commits": (big, ("prompts", "list"), False),
        "prompts show NAME@2, nothing kept": (big, ("prompts", "show", f"{name}@2"), True),
        "prompts show NAME@2, kept": (big, ("prompts", "show", f"{name}@2"), False),
        "prompts show NAME@HEAD~5000": (big, ("prompts", "show", f"{name}@HEAD~5000"), False),
        "prompts log NAME, kept": (big, ("prompts", "log", name), False),
    }
    times: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(ROUNDS):
        for case, (root, arguments, cold) in cases.items():
            times[case].append(timed(root, *arguments, cold=cold))
    for case, taken in times.items():
        show(case, taken)


def resolving(big: Path) -> None:
    """Resolving one version, as a program does that is running already; what was found out before is kept."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        with open_lab(big) as lab:
            for first in (True, False):
                begin = time.perf_counter()
                lab.library.load(f"{big_repository.name_of(number)}@2")
                taken[first].append(time.perf_counter() - begin)
    show("resolving NAME@2, sandbox not yet started", taken[True])
    show("resolving NAME@2, once more", taken[False])


def steps() -> None:
    """Steps through a warm sandbox."""
    small = parse("---\ninputs: {topic: string}\n---\n{% user %}Explain {{ topic }}.{% enduser %}", "small")
    with Sandbox() as sandbox:
        taken = []
        for _ in range(STEPS):
            begin = time.perf_counter()
            sandbox.step(small, {"topic": "rain"}, ())
            taken.append(time.perf_counter() - begin)
    show("a step of a small template, warm", taken[1:], "ms", 1000)


def main() -> None:
    """Build, run, print."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        short, long = library(folder / "short", "explain"), library(folder / "long", "verdict")
        mixed = library(folder / "mixed")
        big = repository(folder / "big")
        commands(short, long, mixed, big)
        resolving(big)
        steps()


if __name__ == "__main__":
    main()
