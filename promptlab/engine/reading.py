"""Texts read after a prompt, for the probability of each of their tokens; nothing is generated.

Texts that begin alike are read together: their tokens form a tree, and each node is computed once, depth first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from promptlab.engine.answer import Pick, look
from promptlab.engine.rules import Rules
from promptlab.engine.sampling import Peaks, Row

OUTPUTS = 32
"""Tokens of a text computed in one call. Each asks for a row of logits: 1 MiB with 262,144 tokens."""


@dataclass(slots=True)
class _Node:
    children: dict[int, _Node] = field(default_factory=dict)
    picks: dict[int, Pick] = field(default_factory=dict)
    """Of each child."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens to be computed in one call."""

    start: int
    """The position of the first; what stands from there on is to be forgotten."""
    tokens: tuple[int, ...]
    outputs: int
    """For how many of them, counted from the end, logits are wanted."""


class Reading:
    """The work on some texts after one prompt."""

    def __init__(self, prompt: Sequence[int], texts: Sequence[Sequence[int]], top: int = 0) -> None:
        """`prompt` has one token at least, and so has each text. `top` alternatives are noted for each token."""
        self.prompt = tuple(prompt)
        self.texts = [tuple(text) for text in texts]
        self._top = top
        self._root = _Node()
        for text in self.texts:
            node = self._root
            for token in text:
                node = node.children.setdefault(token, _Node())
        self._pieces = list(self._plan())
        self._path: list[_Node] = []

    @property
    def longest(self) -> int:
        """Tokens of the prompt and the longest text."""
        return len(self.prompt) + max(len(text) for text in self.texts)

    def begin(self, logits: Row) -> None:
        """Take the logits after the prompt."""
        self._note(self._root, logits)

    def next_piece(self, rules: Rules) -> Piece | None:
        """What to compute next; None when all is read.

        Where the rules want it, some tokens before are computed again, so that what a text gets does not depend on
        where its parts happen to begin.
        """
        if not self._pieces:
            return None
        text, start, end = self._pieces.pop(0)
        self._path = list(self._nodes(text))[start + 1 : end + 1]
        before = len(self.prompt)
        at = min(before + start, max(before + end - rules.least, 0)) // rules.align * rules.align
        tokens = (*self.prompt[at:], *text[:end]) if at < before else text[at - before : end]
        return Piece(at, tokens, end - start)

    def take(self, row: int, logits: Row) -> None:
        """Take the logits after the `row`-th of a piece's outputs, from 0."""
        self._note(self._path[row], logits)

    def picks(self, text: Sequence[int]) -> list[Pick]:
        """What the model says of each token of a text, once all is read."""
        nodes = self._nodes(text)
        return [node.picks[token] for node, token in zip(nodes, text, strict=False)]

    def _note(self, node: _Node, logits: Row) -> None:
        if node.children:
            node.picks = {pick.id: pick for pick in look(Peaks(logits), list(node.children), self._top)}

    def _nodes(self, text: Sequence[int]) -> Iterator[_Node]:
        node = self._root
        yield node
        for token in text:
            node = node.children[token]
            yield node

    def _plan(self) -> Iterator[tuple[tuple[int, ...], int, int]]:
        """Ranges of texts to compute. A text's last token need not be: nothing is asked about what follows it."""
        done: tuple[int, ...] = ()
        for text in sorted(set(self.texts)):
            start = _common(done, text)
            if len(text) - 1 <= start:
                continue
            for at in range(start, len(text) - 1, OUTPUTS):
                yield text, at, min(at + OUTPUTS, len(text) - 1)
            done = text[:-1]


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def distribution(texts: Sequence[tuple[int, ...]], logprobs: Sequence[float]) -> list[float]:
    """The probability of each of some different texts, if it must be one of them: they add up to 1.

    `logprobs` are those of whole texts. Where a text begins another one, the longer one's probability is taken off it,
    because it would be counted twice: what is left is that of saying this one and not going on to the other.
    """
    highest = max(logprobs)
    whole = dict(zip(texts, (math.exp(each - highest) for each in logprobs), strict=True))
    own = dict(whole)
    for text in texts:
        shorter = [text[:n] for n in range(len(text) - 1, 0, -1) if text[:n] in whole]
        if shorter:
            own[shorter[0]] = max(own[shorter[0]] - whole[text], 0.0)
    total = math.fsum(own.values())
    return [own[text] / total for text in texts]


def choose(probabilities: Mapping[str, float], temperature: float, seed: int) -> str:
    """Draw one of the choices: the most probable at temperature 0, else by the probabilities to the power of 1/T.

    The draw is Python's own generator, the same on every machine.
    """
    names = list(probabilities)
    if temperature == 0:
        return max(names, key=lambda name: probabilities[name])
    highest = max(probabilities.values())
    weights = [(probabilities[name] / highest) ** (1 / temperature) for name in names]
    return Random(seed).choices(names, weights)[0]
