"""Which parts of a prompt's source mean what, line by line: for colours. Pure.

One line at a time, with a state that goes from each to the next, so that an editor need not read a whole file again for
every key. It takes time in proportion to the text, whatever a stranger has written.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

State: TypeAlias = Literal["start", "front", "text", "comment", "open", "tag", "value", "open raw", "raw"]
"""Where a line begins: before everything, in the front matter, in the text around tags, or inside one of these."""

Kind: TypeAlias = Literal["mark", "key", "string", "number", "word", "comment", "name"]

FRONT = "---"
_MAX_KEY = 80

_YAML = re.compile(
    r"(?P<comment>(?:^|(?<=\s))\#.*)"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"?|(?<![\w])'[^']*'?)"
    rf"|(?P<key>[^\s\"'\#:{{}}\[\],-][^\"'\#:{{}}\[\],]{{0,{_MAX_KEY}}}:(?=\s|$))"
    r"|(?P<number>(?<![\w.-])-?\d+(?:\.\d+)?(?![\w.-]))"
    r"|(?P<word>\b(?:true|false|null)\b)"
    r"|[\w-]+"  # so that the middle of a word is no beginning
)
_OPEN = re.compile(r"\{[%{#]")
_ENDRAW = re.compile(r"\{%[-+]?\s{0,40}endraw")
_JINJA = re.compile(
    r"(?P<end>[-+]?[%}]\})"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<key>[A-Za-z_]\w*(?==[^=]))"
    r"|(?P<word>\b(?:and|or|not|in|is|if|else|elif|for|recursive|with|without|context|ignore|missing|import|as|set"
    r"|true|false|none|True|False|None)\b)"
    r"|(?P<name>[A-Za-z_]\w*)"
)


class Span(NamedTuple):
    """A part of a line."""

    start: int
    end: int
    kind: Kind


def scan(line: str, state: State) -> tuple[list[Span], State]:
    """The parts of a line that begins in a state, and the state in which the next begins."""
    if state == "start":
        if line.rstrip() == FRONT:
            return [Span(0, len(line), "mark")], "front"
        state = "text"
    if state == "front":
        if line.rstrip() == FRONT:
            return [Span(0, len(line), "mark")], "text"
        return [Span(m.start(), m.end(), m.lastgroup) for m in _YAML.finditer(line) if m.lastgroup], state  # type: ignore[arg-type]
    spans: list[Span] = []
    at = 0
    while at < len(line):
        at, state = _step(line, at, state, spans)
    return spans, state


def _step(line: str, at: int, state: State, spans: list[Span]) -> tuple[int, State]:
    """Go on to where something else begins."""
    match state:
        case "text":
            return _text(line, at, spans)
        case "comment":
            end = line.find("#}", at)
            stop = len(line) if end < 0 else end + 2
            spans.append(Span(at, stop, "comment"))
            return stop, "comment" if end < 0 else "text"
        case "raw":
            found = _ENDRAW.search(line, at)
            return (found.start(), "text") if found else (len(line), "raw")
    return _inside(line, at, state, spans)


def _text(line: str, at: int, spans: list[Span]) -> tuple[int, State]:
    found = _OPEN.search(line, at)
    if not found:
        return len(line), "text"
    if found[0] == "{#":
        return found.start(), "comment"
    end = found.end() + (line[found.end() : found.end() + 1] in ("-", "+"))
    spans.append(Span(found.start(), end, "mark"))
    return end, "open" if found[0] == "{%" else "value"


def _inside(line: str, at: int, state: State, spans: list[Span]) -> tuple[int, State]:
    """Inside a tag or a value: up to its end, or to the end of the line."""
    for found in _JINJA.finditer(line, at):
        kind = found.lastgroup
        if kind == "end":
            spans.append(Span(found.start(), found.end(), "mark"))
            return found.end(), "raw" if state == "open raw" else "text"
        if state == "open":  # the first word of a tag says what it does
            state = "open raw" if found[0] == "raw" else "tag"
            kind = "word"
        spans.append(Span(found.start(), found.end(), kind))  # type: ignore[arg-type]
    return len(line), state
