"""The standard matrix: 8 cases, 4 samples of each, prompts of about 310 tokens that begin alike, 64 tokens each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SAMPLES = 4
NEW_TOKENS = 64
SAMPLER: dict[str, Any] = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
WARM_UP = "A short text that begins unlike all the others, so that nothing of it can be used again."
"""Everybody computes some tokens of this before the clock starts."""

COMMON = """\
The lighthouse on the northern cape had been without a keeper for eleven years when the harbour board sent Ada Lindqvist
to write down what was left in it. She came by the mail boat on a grey morning in March, with two trunks, a lamp, a box
of pencils, and a letter that gave her the right to open every door. There was one path, one well, one row of sheds with
their roofs fallen in, and above them all the tower, white where the wind did not reach it.

She began with the ground floor. In the first week she counted four hundred and twelve tins without labels, nineteen
coils of rope, a piano with no strings, and a shelf of notebooks in seven different hands. The notebooks were the reason
why she stayed longer than the board had planned. Each keeper had written a page a day: the weather first, then the
ships, then whatever else had seemed worth the ink. Some pages told of storms, and some of birds that had flown against
the glass; on others there was nothing but a single word, or a drawing of the stairs. Nobody had ever read them in
order, from first to last, and so nobody had noticed that the keepers, who never met, all wrote about the same thing.

Ada sorted the notebooks by year and read them aloud to herself in the evenings, while the stove ticked. """

ENDINGS = (
    "The oldest one, written by a man called Tobias, began with a long account of the winter in which",
    "In the second she found a list of questions that its keeper had asked himself, and the first was",
    "The third was about the sea alone, and on its opening page the keeper explained carefully that",
    "Half of the fourth had been eaten by mice, but one could still read how the supply ship had",
    "What surprised her in the fifth was a recipe, followed by a story about a neighbour who always",
    "The sixth keeper had been a woman, and she wrote in a clear round hand that every night she",
    "In the seventh, which was the thinnest, somebody had tried to draw a map of the island and noted",
    "Between two of the notebooks lay a loose sheet, folded twice, with a message that said:",
)


def prompts() -> list[str]:
    """The texts of the cases."""
    return [COMMON + ending for ending in ENDINGS]


class BenchError(Exception):
    """Why a competitor has no result, in one line."""


@dataclass(frozen=True, slots=True)
class Task:
    """What each competitor is given. The prompts are token ids, so that all read the same."""

    path: str
    """The file of weights."""
    threads: int
    prompts: tuple[tuple[int, ...], ...]
    warm_up: tuple[int, ...]
    seeds: tuple[tuple[int, ...], ...]
    """For each prompt, one for each sample."""
    new_tokens: int = NEW_TOKENS

    def plain(self) -> dict[str, Any]:
        """As a child process gets it."""
        return {**asdict(self), "sampler": SAMPLER}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a competitor came to; loading and warming up are not in it."""

    tokens: int
    """Generated."""
    seconds: float
    prompt_tokens: int
    computed: int
    """Of the prompts' tokens, how many were computed."""
    build: str = ""
    """Of a peer: its version and what it was compiled with."""

    @property
    def rate(self) -> float:
        """Generated tokens a second."""
        return self.tokens / self.seconds


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two prompts have in common from their start."""
    shorter = min(len(a), len(b))
    return next((i for i in range(shorter) if a[i] != b[i]), shorter)


def prefix_tree(prompts: Iterable[Sequence[int]]) -> int:
    """How many tokens there are if every beginning that prompts share is counted once."""
    ordered = sorted(tuple(ids) for ids in prompts)
    return sum(len(ids) - common(ids, before) for before, ids in zip([(), *ordered], ordered, strict=False))
