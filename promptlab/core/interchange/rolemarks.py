"""The body of a `.prompty` file as a body of ours: lines such as `user:` become role tags, on the same lines.

Prompty renders first and looks for markers afterwards. Here the markers of the file become tags, which is the same as
long as the file alone says where messages begin and end; where it does not, that is a problem with a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import jinja2

from promptlab.core.schema import shorten
from promptlab.core.tape import ROLES
from promptlab.core.templates import syntax_error
from promptlab.core.yamltext import MAX_PROBLEMS
from promptlab.errors import Problem

_LEXER = jinja2.Environment(keep_trailing_newline=True).lexer
"""Cuts a body at its tags, as prompty's renderer does. Nothing is rendered with it."""
_MARKER = re.compile(r"#?\s*(system|user|assistant|developer|tool)(\[.*\])?\s*:", re.IGNORECASE)
"""A marker's line, stripped. Not all of prompty's runtimes have `developer` and `tool`."""
_SPANS = ("if", "for", "with")
"""Blocks that can hold markers."""
_BLOCKS = (*_SPANS, "macro", "call", "filter", "set", "block", "autoescape")
MAX_DEPTH = 50
"""Blocks in blocks; Jinja cannot compile many more."""
MAX_TOKENS = 40_000
"""Of all tags together: Jinja cuts a dense body of the largest size in 2 s, and nothing can kill us here."""
_PARTIALS = ("include", "import", "from", "extends")
_DEFAULT = (("|", "default"), ("|", "d"), ("is", "defined"), ("is", "undefined"))
"""What asks whether a name before it has a value."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A tag, a comment, or a raw block, from its first to its last character."""

    kind: str
    """`block`, `variable`, `comment` or `raw`."""
    start: int
    end: int
    words: tuple[str, ...]
    """What stands in it, without blanks; of a raw block, its text."""
    signs: tuple[str, str]
    """The `-` or `+` at its begin and its end."""


def _pieces(text: str) -> Iterator[_Piece]:
    """Find all tags, in linear time. Raises TemplateSyntaxError where Jinja cannot."""
    position = start = 0
    kind = opening = ""
    words: list[str] = []
    for count, (line, token, value) in enumerate(_LEXER.tokeniter(text, None)):
        if count > MAX_TOKENS:
            raise jinja2.TemplateSyntaxError(f"the tags have more than {MAX_TOKENS:,} words", line)
        while not text.startswith(value, position):  # what `-` strips is in no token
            position += 1
        if token.endswith("_begin"):
            kind, start, opening, words = token.removesuffix("_begin"), position, value, []
        elif token.endswith("_end"):
            closing = value.rstrip()
            signs = (_sign(opening[2:3]), _sign(closing[-3:-2]))
            yield _Piece(kind, start, position + len(closing), tuple(words), signs)
            kind = ""
        elif kind and token != "whitespace":
            words.append(value)
        position += len(value)
    if kind:
        raise jinja2.TemplateSyntaxError("this tag is not closed", text.count("\n", 0, start) + 1)


def _sign(character: str) -> str:
    return character if character in ("-", "+") else ""


def _guarded(words: tuple[str, ...]) -> set[str]:
    """Names of which a tag asks whether they have a value."""
    plain = [word for word in words if word != "not"]
    return {name for name, *asked in zip(plain, plain[1:], plain[2:], strict=False) if tuple(asked) in _DEFAULT}


def _is_assignment(words: tuple[str, ...]) -> bool:
    """Whether a set tag gives the value itself, and does not open a block."""
    return next((word for word in words if word in ("=", "|")), "") == "="


def _bindings(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Cut a tag into the names that it binds, and the names that it reads."""
    tag = words[0] if words else ""
    ends = {"set": ("=", "|"), "for": ("in",), "macro": ("(",)}.get(tag, ())
    cut = next((n for n, word in enumerate(words) if word in ends), len(words) if ends else 0)
    bound = [word for word in words[1:cut] if word.isidentifier()] if "." not in words[:cut] else []
    pairs = zip(words[max(cut, 1) - 1 :], words[max(cut, 1) :], strict=False)
    first = [] if tag and cut else list(words[:1])
    return bound, first + [word for before, word in pairs if word.isidentifier() and before != "."]


class _Names:
    """Names that are set within a role. Our role tags are scopes, prompty's roles are not: others cannot see these."""

    def __init__(self) -> None:
        self.bound: dict[str, int] = {}
        """Each name, and the role that it was last set in, by its number."""
        self.set: list[str] = []
        """Names that were set since the outermost block was entered; they are outside the role if it ends there."""
        self.used: list[str] = []
        """Names that were used since then."""

    def enter(self) -> None:
        self.set, self.used = [], []

    def read(self, words: tuple[str, ...], part: int | None) -> str | None:
        """Note what a tag binds and reads. Returns a name that is out of its reach, or None."""
        bound, used = _bindings(words)
        lost = next((name for name in used if self.bound.get(name, part) != part), None)
        self.used += used
        for name in bound:
            if part is not None and words[0] != "for":
                self.bound[name] = part
                self.set.append(name)
            else:
                self.bound.pop(name, None)
        return lost

    def leave(self, part: int) -> str | None:
        """The role has ended before the outermost block. Returns a name that this put out of reach, or None."""
        for name in self.set:
            self.bound.pop(name, None)
        return next((name for name in self.used if self.bound.get(name) == part), None)


class Body:
    """Turns role markers into role tags, and keeps what stands in the way of that.

    A role ends at the next marker. Where that stands in a block that nothing was said in before it, the role ends
    before that block; and a role that begins in a block ends with it.
    """

    def __init__(self, text: str, file: str, first_line: int) -> None:
        self.source = re.sub(r"\r\n?", "\n", text)
        self.file = file
        self.first_line = first_line
        self.problems: list[Problem] = []
        self.guarded: set[str] = set()
        """Names that the body asks about: `name | default(…)`, `name is defined`."""
        self._edits: list[tuple[int, int, str]] = []
        """Where, how many characters, and what to put in their place."""
        self._blocks: list[tuple[str, int]] = []
        """Open blocks, and where each begins."""
        self._mute = 0
        """How many of them keep their text for later: macro and set."""
        self._role: str | None = None
        self._depth = 0
        """How many blocks were open where the role began."""
        self._part = 0
        """Counts roles."""
        self._outer = 0
        """Where the outermost of the blocks begins that were opened since the role began."""
        self._silent = True
        """Whether nothing has been said since then."""
        self._names = _Names()

    def rewrite(self) -> str:
        """The body in our language. What is wrong with it stands in `problems`."""
        position, before = 0, None
        try:
            for piece in _pieces(self.source):
                self._text(position, piece.start, before, piece)
                self._piece(piece)
                position, before = piece.end, piece
        except jinja2.TemplateSyntaxError as error:
            error.lineno += self.first_line - 1
            lines = "\n" * (self.first_line - 1) + self.source
            self.problems += syntax_error(error, {self.file: lines}, self.file).problems
            return ""
        self._text(position, len(self.source), before, None)
        for name, start in self._blocks[:1]:
            self._complain(start, f"{{% {name} %}} is not closed")
        if not self._part and not self.problems:
            self._complain(0, "the body says nothing")
        self._close(len(self.source))
        return self._edited()

    def _complain(self, position: int, message: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            line = self.source.count("\n", 0, position) + self.first_line
            column = position - self.source.rfind("\n", 0, position)
            self.problems.append(Problem(self.file, line, column, message))

    def _edited(self) -> str:
        parts, position = [], 0
        for start, length, text in sorted(self._edits, key=lambda edit: edit[0]):
            parts += [self.source[position:start], text]
            position = start + length
        return "".join([*parts, self.source[position:]])

    def _text(self, start: int, end: int, before: _Piece | None, after: _Piece | None) -> None:
        """Look for markers in what stands between two tags."""
        lines = self.source[start:end].split("\n")
        filled = [number for number, line in enumerate(lines) if line.strip()]
        position = start
        for number, line in enumerate(lines):
            begin, stop, position = position, position + len(line), position + len(line) + 1
            if not line.strip():
                continue
            # What stands on the same line, and what a `-` pulls to it.
            beside = [p for p in (before if number == 0 else None, after if number == len(lines) - 1 else None) if p]
            pulled = (number == filled[0] and before is not None and before.signs[1] == "-") or (
                number == filled[-1] and after is not None and after.signs[0] == "-"
            )
            match = None if any(p.kind == "variable" for p in beside) else _MARKER.fullmatch(line.strip())
            if match:
                place = begin + len(line) - len(line.lstrip())
                if beside or pulled:
                    self._complain(place, "a role marker stands alone on its line, and no tag beside it has a -")
                self._marker(match, place, begin, stop)
            else:
                if before and number == 0 and len(beside) == 1 and line.strip() == ":":
                    self._computed(before)
                self._say(begin)

    def _computed(self, piece: _Piece) -> None:
        """Complain of `{{ turn.role }}:`, which would be a marker only once it is rendered."""
        left = self.source[self.source.rfind("\n", 0, piece.start) + 1 : piece.start]
        if not left.strip(" \t#") and any(word.strip("'\"") == "role" for word in piece.words[-2:]):
            self._complain(piece.start, "a computed role is no marker: write the roles out, with if around them")

    def _marker(self, match: re.Match[str], place: int, start: int, stop: int) -> None:
        role = match[1].lower()
        if role not in ROLES:
            self._complain(place, f"there is no role {role} here: use {', '.join(ROLES)}")
        if match[2]:
            self._complain(place, f"attributes of a role: a message here has none; write {role}: alone")
        close = ""
        if any(name not in _SPANS for name, _ in self._blocks[-MAX_DEPTH:]):
            self._complain(place, f"a role marker can stand inside {', '.join(_SPANS)} only")
        elif self._role and self._depth == len(self._blocks):
            close = f"{{% end{self._role} %}}"
        elif self._role and self._silent:
            if name := self._names.leave(self._part):
                self._complain(
                    place, f"{shorten(name)} is set within the message before this, and used between the two"
                )
            self._close(self._outer)
        elif self._role:
            self._complain(place, "the block around this marker begins with text of the message before it")
        self._edits.append((start, stop - start, f"{close}{{% {role} %}}"))
        self._begin(role, len(self._blocks))

    def _begin(self, role: str, depth: int) -> None:
        self._role, self._depth, self._part = role, depth, self._part + 1

    def _close(self, position: int) -> None:
        if self._role is not None:
            self._edits.append((position, 0, f"{{% end{self._role} %}}"))
            self._role = None

    def _say(self, position: int) -> None:
        """Note that something is said here; before the first marker, by the system."""
        if self._mute:
            return
        if self._role is None:
            begin = self._outer if self._blocks else position
            if self._part:
                self._complain(position, "whose text is this, after a block with role markers? Put a marker before it")
            self._edits.append((begin, 0, "{% system %}"))
            self._begin("system", len(self._blocks) if self._part else 0)
        self._silent = False

    def _piece(self, piece: _Piece) -> None:
        if piece.kind == "variable":
            self._say(piece.start)
        else:
            # Prompty keeps the blanks and the line ends around blocks. So does ours where a + says so.
            places = ((piece.signs[0], piece.start + 2), (piece.signs[1], piece.end - 2))
            self._edits += [(place, 0, "+") for sign, place in places if not sign]
        if piece.kind == "raw":
            self._raw(piece)
        if piece.kind == "block":
            self._tag(piece.words[0] if piece.words else "", piece)
        if piece.kind in ("block", "variable"):
            self.guarded |= _guarded(piece.words)
            if name := self._names.read(piece.words, self._part if self._role else None):
                self._complain(
                    piece.start, f"{shorten(name)} is set within another message: set it before the first marker"
                )

    def _raw(self, piece: _Piece) -> None:
        text = "".join(piece.words)
        position = self.source.find(text, piece.start)
        end = self.source.rfind("{%", piece.start, piece.end) + 2
        if self.source[end] not in "-+":
            self._edits.append((end, 0, "+"))
        if text.strip():
            self._say(piece.start)
        for line in text.split("\n"):
            if _MARKER.fullmatch(line.strip()):
                self._complain(
                    position + len(line) - len(line.lstrip()), "a role marker inside raw: prompty takes it as one"
                )
            position += len(line) + 1

    def _tag(self, name: str, piece: _Piece) -> None:
        start = piece.start
        if name in ("else", "elif") and self._blocks and self._blocks[-1][0] in ("if", "for"):
            self._branch(start)
        elif name[3:] in _BLOCKS and name.startswith("end"):
            self._leave(name[3:], start)
        elif name == "print":
            self._say(start)
        elif name in _BLOCKS:
            if name != "set" or not _is_assignment(piece.words):
                self._enter(name, start)
        elif name in _PARTIALS:
            self._complain(start, f"{{% {name} %}}: a .prompty file has no partials")
        elif name.removeprefix("end") in ROLES:
            self._complain(
                start, f"{{% {name} %}} is no tag of prompty: a role is a line `{name.removeprefix('end')}:`"
            )
        else:
            self._complain(start, f"{{% {shorten(name)} %}} is no tag of prompty, or not here")

    def _enter(self, name: str, start: int) -> None:
        if name == "call":
            self._say(start)
        if len(self._blocks) == (self._depth if self._role else 0):
            self._outer, self._silent = start, True
            self._names.enter()
        if len(self._blocks) == MAX_DEPTH:
            self._complain(start, f"blocks are nested deeper than {MAX_DEPTH} levels")
        self._blocks.append((name, start))
        self._mute += name in ("macro", "set")

    def _branch(self, start: int) -> None:
        """A block, or a part of it, ends here; and with it a role that began in it."""
        if self._blocks and self._depth == len(self._blocks):
            self._close(start)

    def _leave(self, name: str, start: int) -> None:
        if not self._blocks or self._blocks[-1][0] != name:
            self._complain(start, f"{{% end{name} %}} has no {{% {name} %}} that it could close")
            return
        self._branch(start)
        self._blocks.pop()
        self._mute -= name in ("macro", "set")
