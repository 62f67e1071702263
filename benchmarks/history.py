"""How long a search of a long history takes, as you type: `uv run python benchmarks/history.py [FOLDER]`. No model is
needed.

Builds (in FOLDER, or a temporary one; what is there already is used again) a history of 10,000 runs whose answers have
150 words each, and asks for the first 40 that fit, as the history screen does. All searches in turn, several rounds;
prints the median and the slowest of each, in milliseconds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from promptlab.app.history import look
from promptlab.app.lab import Lab, open_lab
from promptlab.core.record import ModelRef
from promptlab.core.search import read_search
from promptlab.core.tape import Message
from promptlab.files.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.files.test_store import record

RUNS = 10_000
SHOWN = 40
WORDS = "rain snow water cloud sea stone river mountain light dark green blue old man fish boat house tree wind fire"
SEARCHES = (
    *("", "r", "ra", "rain", "rain snow", "rain snow -fish", '"old man"', "zebra"),
    *("model:m1", "model:m1 rain failed:no", "prompt:p2 since:2026-01-01 water", "pinned:", "verdict:pass"),
)


def build(root: Path) -> None:
    """The history, unless it is there."""
    (root / "prompts").mkdir(parents=True, exist_ok=True)
    luck, words = random.Random(1), WORDS.split()
    with Store.open(root) as store:
        for number in range(len(store.recent(RUNS)), RUNS):
            asked, text = ("Explain " + " ".join(luck.choices(words, k=10)), " ".join(luck.choices(words, k=150)))
            like = record(f"01K{number:06}")
            prompt = replace(like.prompt, name=f"p{number % 5}", label=f"p{number % 5}@{number % 3}")
            step = replace(like.steps[0], messages=(Message("user", asked),), text=text)
            model = ModelRef(f"m{number % 4}", "a" * 64, None)
            store.append(replace(like, prompt=prompt, steps=(step,), output=text, inputs={"topic": asked}, model=model))
        store.pin([f"01K{number:06}" for number in range(0, RUNS, 500)])


def measure(lab: Lab, rounds: int) -> None:
    """Print a line for each search."""
    times: dict[str, list[float]] = {text: [] for text in SEARCHES}
    found = {}
    for _ in range(rounds):
        for text, taken in times.items():
            begin = time.perf_counter()
            found[text] = len(look(lab, read_search(text), SHOWN).ids)
            taken.append(1000 * (time.perf_counter() - begin))
    print(f"{'SEARCH':36} {'FOUND':>6} {'MEDIAN':>8} {'SLOWEST':>8}   of {rounds}, in ms")
    for text, taken in times.items():
        print(f"{text or '(nothing)':36} {found[text]:6} {statistics.median(taken):8.1f} {max(taken):8.1f}")


def main() -> None:
    """Build and measure."""
    parser = argparse.ArgumentParser(description="Searching a history of 10,000 runs.")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = asked.folder or Path(temporary)
        build(root)
        with open_lab(root) as lab:
            measure(lab, asked.rounds)


if __name__ == "__main__":
    main()
