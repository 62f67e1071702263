"""What stands in one Handlebars tag: words, and the expressions that they make."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from promptlab.core.interchange.handlebars_tree import SPACE, Call, Expr, Literal, Path, Source, shown

MAX_NESTING = 10
"""Brackets in brackets."""
MAX_PATH = 20
"""Parts of a path."""

_AHEAD = rf"(?=[=~}}{SPACE}/.)|]|\Z)"
_LITERAL_AHEAD = rf"(?=[~}}{SPACE})]|\Z)"
_TOKEN = re.compile(
    "|".join(
        [
            r"(?P<close>\}?~?\}\})",
            rf"(?P<space>[{SPACE}]+)",
            r"(?P<string>\"(?:\\\"|[^\"])*\"|'(?:\\'|[^'])*')",
            rf"(?P<number>-?[0-9]+(?:\.[0-9]+)?){_LITERAL_AHEAD}",
            rf"(?P<word>true|false|null|undefined){_LITERAL_AHEAD}",
            rf"(?P<names>as[{SPACE}]+\|)",
            rf"(?P<dots>\.\.|\.{_AHEAD})",
            rf"(?P<id>[^{SPACE}!\"#%-,./;->@\[-^`{{-~]+){_AHEAD}",
            r"(?P<segment>\[(?:\\\]|[^\]])*\])",
            r"(?P<mark>[()=|@/.])",
        ]
    )
)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "undefined": None}
_PARTS = ("id", "dots", "segment")


class Token(NamedTuple):
    """A word or mark of a tag, and its offset in the file."""

    kind: str
    text: str
    offset: int


def tokens(source: Source, start: int, end: int) -> list[Token]:
    """Read the tokens from an offset up to the tag's end, which is the last of them.

    Raises SourceError at what cannot stand in a tag, and where it is not closed before `end`.
    """
    found: list[Token] = []
    position = start
    while not found or found[-1].kind != "close":
        match = _TOKEN.match(source.text, position, end)
        if match is None and position < end:
            raise source.error(f"{source.text[position]!r} cannot stand in a tag", position)
        if match is None:
            raise source.error("this tag is not closed", source.text.rfind("{{", 0, start))
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    return found


class Tag:
    """Reads the expressions of one tag."""

    def __init__(self, source: Source, found: list[Token], text: str, offset: int) -> None:
        self.source = source
        self.text = text
        self.offset = offset
        self.end = Token("end", "", offset)
        self.rest = found[::-1]

    def call(self) -> Call:
        """Read a name, its arguments and nothing more. Raises SourceError."""
        call = self._call(self.text, self.offset, 0)
        self._done()
        return call

    def call_with_names(self) -> tuple[Call, tuple[str, ...]]:
        """Read a name, its arguments and `as |a b|`. Raises SourceError."""
        call = self._call(self.text, self.offset, 0)
        names: list[str] = []
        if self._peek().kind == "names":
            self.rest.pop()
            while self._peek().kind == "id":
                names.append(self.rest.pop().text)
            self._expect("|")
        self._done()
        return call, tuple(names)

    def name(self) -> str:
        """Read a name alone, as a block's end has it. Raises SourceError."""
        name = self._simple()
        self._done()
        return name.text

    def _peek(self, ahead: int = 1) -> Token:
        return self.rest[-ahead] if len(self.rest) >= ahead else self.end

    def _expect(self, mark: str) -> None:
        if self._peek().text != mark:
            raise self._wrong()
        self.rest.pop()

    def _done(self) -> None:
        if self.rest:
            raise self._wrong()

    def _wrong(self) -> Exception:
        token = self._peek()
        what = f"{shown(token.text)} is not expected here" if token.text else f"{shown(self.text)} is not complete"
        return self.source.error(what, token.offset)

    def _call(self, text: str, offset: int, depth: int) -> Call:
        name = self._param(depth)
        params: list[Expr] = []
        while self._peek().kind not in ("end", "names") and self._peek().text != ")" and not self._at_pair():
            params.append(self._param(depth))
        pairs: dict[str, Expr] = {}
        while self._at_pair():
            key = self.rest.pop().text
            self._expect("=")
            pairs[key] = self._param(depth)
        return Call(name, tuple(params), pairs, text, self.source.place(offset))

    def _at_pair(self) -> bool:
        return self._peek().kind == "id" and self._peek(2).text == "="

    def _param(self, depth: int) -> Expr:
        if self._peek().text != "(":
            return self._simple()
        begin = self.rest.pop()
        if depth >= MAX_NESTING:
            raise self.source.error(f"brackets are nested deeper than {MAX_NESTING} levels", begin.offset)
        call = self._call("", begin.offset, depth + 1)
        end = self._peek().offset + 1
        self._expect(")")
        return Call(call.name, call.params, call.hash, self.source.text[begin.offset : end], call.place)

    def _simple(self) -> Path | Literal:
        token = self._peek()
        place = self.source.place(token.offset)
        match token.kind:
            case "string":
                self.rest.pop()
                quote = token.text[0]
                return Literal(token.text[1:-1].replace(f"\\{quote}", quote), token.text, place)
            case "number":
                self.rest.pop()
                return Literal(_number(token.text), token.text, place)
            case "word":
                self.rest.pop()
                return Literal(_WORDS[token.text], token.text, place)
        return self._path()

    def _path(self) -> Path:
        begin = self._peek()
        data = begin.text == "@"
        if data:
            self.rest.pop()
        words = [self._part()]
        while self._peek().text in ("/", ".") and self._peek().kind == "mark":
            self.rest.pop()
            words.append(self._part())
            if len(words) > MAX_PATH:
                raise self.source.error(f"a path has more than {MAX_PATH} parts", begin.offset)
        last = words[-1]
        text = self.source.text[begin.offset : last.offset + len(last.text)]
        up, parts = 0, []
        for word in words:
            if word.kind == "segment" or word.text not in ("..", ".", "this"):
                parts.append(_unwrapped(word))
            elif parts:
                raise self.source.error(f"{shown(text)} is not a path", begin.offset)
            else:
                up += word.text == ".."
        scoped = words[0].kind == "dots" or words[0].text == "this"
        return Path(tuple(parts), text, self.source.place(begin.offset), up, data, scoped)

    def _part(self) -> Token:
        if self._peek().kind not in _PARTS:
            raise self._wrong()
        return self.rest.pop()


def _number(text: str) -> int | float:
    return float(text) if "." in text or len(text) > 15 else int(text)


def _unwrapped(word: Token) -> str:
    return word.text[1:-1].replace("\\]", "]").replace("\\\\", "\\") if word.kind == "segment" else word.text
