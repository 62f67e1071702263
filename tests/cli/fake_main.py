"""The command line with a fake engine, as a program of its own: `python -m tests.cli.fake_main run explain …`.

What the engine says comes from the variables FAKE_ANSWER and FAKE_DELAY. With FAKE_SPREAD it says it up to so many
times, by the question's seed: then not all answers end at once.
"""

from __future__ import annotations

import os
import sys

import promptlab.app.lab
from promptlab.cli.main import main
from promptlab.engine.fake import FakeEngine


def make() -> FakeEngine:
    answer = os.environ.get("FAKE_ANSWER", "Fine.")
    spread = int(os.environ.get("FAKE_SPREAD", "1"))
    delay = float(os.environ.get("FAKE_DELAY", "0"))
    return FakeEngine(lambda question, prompt: " ".join([answer] * (question.seed % spread + 1)), delay=delay)


if __name__ == "__main__":
    promptlab.app.lab._pool = make
    sys.exit(main(sys.argv[1:], lambda library: 42))
