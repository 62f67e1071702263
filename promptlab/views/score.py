"""How likely texts are to models, as a table, and token by token."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from rich.text import Text

from promptlab.core.likelihood import Likelihood
from promptlab.core.schema import shorten
from promptlab.views.pages import Lines, heading, page
from promptlab.views.table import Grid, as_text, grid

TEXT_START = 60
"""Characters of a text that the table shows."""


def score_grid(found: Sequence[Likelihood]) -> Grid:
    """A row for each model and text."""
    several = any(each.probability is not None for each in found)
    share = ("PROBABILITY",) if several else ()
    headers = ("MODEL", "LOGPROB", "TOKENS", "MEAN", "PERPLEXITY", "BITS/BYTE", *share, "TEXT")
    rows = [_row(each, several) for each in found]
    spare = headers.index("MEAN"), headers.index("TOKENS")  # the perplexity says as much, and so do total and mean
    return grid(headers, rows, right=range(1, len(headers) - 1), cut_last=True, spare=spare)


def _row(each: Likelihood, several: bool) -> tuple[str, ...]:
    numbers = [
        _fixed(each.logprob),
        f"{len(each.tokens):,}",
        _fixed(each.mean),
        "" if each.perplexity is None else f"{each.perplexity:,.2f}" if each.perplexity < 1e9 else "over 1e9",
        _fixed(each.bits_per_byte),
    ]
    if several:
        numbers.append(probability(each.probability))
    return (each.model, *numbers, shorten(" ".join(each.text.split()) or repr(each.text), TEXT_START))


def _fixed(number: float | None) -> str:
    return "" if number is None else f"{number:,.3f}"


def probability(share: float | None) -> str:
    """A probability for a reader: `0.9312`, `2.1e-07`."""
    if share is None:
        return ""
    return f"{share:.4f}" if share >= 0.0001 or share == 0 else f"{share:.1e}"


def tokens_page(found: Sequence[Likelihood]) -> Text:
    """The tokens of each text, one on a line: id, log-probability, probability, and what it stands for."""
    return page(map(_tokens, found))


def _tokens(each: Likelihood) -> Lines:
    title = f"{each.model}: {shorten(' '.join(each.text.split()) or repr(each.text), TEXT_START)}"
    rows = [(str(t.id), _fixed(t.logprob), probability(exp(t.logprob)), repr(t.text)) for t in each.tokens]
    headers, *lines = as_text(grid(("ID", "LOGPROB", "PROBABILITY", "TOKEN"), rows, right=range(3))).splitlines()
    return [heading(title), Text(headers, style="dim"), *map(Text, lines)]
