"""The words of Nunjucks templates, and which of its filters and tests Jinja has too."""

from __future__ import annotations

import re
from dataclasses import dataclass

from promptlab.core.prompt import RESERVED
from promptlab.core.schema import shorten

FILTERS = frozenset(
    {"abs", "batch", "capitalize", "center", "default", "d", "dictsort", "escape", "e", "first", "float"}
    | {"forceescape", "groupby", "indent", "int", "join", "last", "length", "list", "lower", "reject", "rejectattr"}
    | {"replace", "reverse", "round", "select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title"}
    | {"trim", "truncate", "upper", "urlencode", "urlize", "wordcount"}
)
"""Those that both have."""
NEAR = frozenset(["escape", "e", "forceescape", "round", "striptags", "truncate", "urlize"])
"""Of these, the ones that do not always say the same."""
LISTS = frozenset(
    ["batch", "dictsort", "groupby", "list", "reject", "rejectattr", "select", "selectattr", "slice", "sort"]
)
"""Those that make lists."""
TESTS = frozenset(
    {"defined", "undefined", "divisibleby", "even", "odd", "lower", "upper", "number", "string", "iterable", "mapping"}
    | {"sameas", "eq", "equalto", "ne", "ge", "gt", "greaterthan", "le", "lt", "lessthan", "callable", "none"}
)
METHODS = {"toUpperCase": "upper", "toLowerCase": "lower", "trim": "trim", "join": "join"}
"""JavaScript's, for which there is a filter."""
COMPARED = {"==": "==", "===": "==", "!=": "!=", "!==": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
GLOBALS = ("range", "cycler", "joiner")

_TOKEN = re.compile(
    r"""[ \n\t\r\u00a0]*(?:
    (?P<end>-?%\}|-?\}\})
    |(?P<text>"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')
    |(?P<regex>r/[^/\\]*(?:\\.[^/\\]*)*/[gimy]*)
    |(?P<number>[0-9]+(?:\.[0-9]+)?(?![\w$]))
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<sign>===|!==|==|!=|<=|>=|//|\*\*|[()\[\]{}%*+~/,:|.<>=-])
    )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_INPUT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Unmapped(Exception):
    """Something has no counterpart; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the template language."""

    kind: str
    text: str


def tokens(text: str, start: int) -> tuple[list[Token], str, int]:
    """The words of a tag from `start` on, its end (`%}` or `}}`, perhaps with a minus), and where that ends.

    Raises Unmapped when it has no end, or holds what is no word.
    """
    found: list[Token] = []
    while match := _TOKEN.match(text, start):
        start = match.end()
        kind = str(match.lastgroup)
        if kind == "end":
            return found, match[kind], start
        found.append(Token(kind, match[kind]))
    rest = text[start : start + 20].strip()
    raise Unmapped(f"{shorten(rest)!r} is not understood" if rest else "a tag is not closed")


def unquoted(text: str) -> str:
    """What a text in quotation marks says."""
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text[1:-1])


def is_input(name: str) -> bool:
    """Whether a prompt of ours can have an input of this name."""
    return bool(_INPUT.fullmatch(name)) and name not in RESERVED
