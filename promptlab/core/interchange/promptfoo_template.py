"""Nunjucks templates to Jinja's: the text around tags comes out as it is, and tags are those that both have.

Where an expression has no counterpart, a comment stands in its place. Where a tag has none, neither has the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from promptlab.core.interchange.jinjatext import JinjaText
from promptlab.core.interchange.promptfoo_expr import Expression, Scope
from promptlab.core.interchange.promptfoo_values import ATOM, Value, elements, pairs, printed
from promptlab.core.interchange.promptfoo_words import FILTERS, Token, Unmapped, tokens
from promptlab.core.schema import shorten

_OPEN = re.compile(r"\{[{%#]")
_RAW = re.compile(r"\{%-?\s*(raw|verbatim)\s*(-?)%\}")
_END_RAW = re.compile(r"\{%(-?)\s*end(raw|verbatim)\s*-?%\}")
_LOOP = {"index": 1, "index0": 0, "revindex": 1, "revindex0": 0, "first": True, "last": True, "length": 1}
_SAME = {
    "elseif": "elif",
    "asyncEach": "for",
    "asyncAll": "for",
    "ifAsync": "if",
    "endeach": "endfor",
    "endall": "endfor",
}
_ENDS = {"if": "endif", "for": "endfor", "set": "endset", "macro": "endmacro", "call": "endcall", "filter": "endfilter"}
_ELSEWHERE = ("include", "import", "from", "extends", "block")
MAX_SHOWN = 60


@dataclass(slots=True)
class _Block:
    """A tag that is open."""

    word: str
    scope: Scope
    """What names meant before it."""


class Template:
    """Writes one template as Jinja."""

    def __init__(self, text: str, jinja: JinjaText, scope: Scope, place: Callable[[int], None]) -> None:
        """`place` is told where in the text things stand that are reported."""
        self.text = text
        self.jinja = jinja
        self.scope = scope
        self.place = place
        self.blocks: list[_Block] = []
        self.at = 0
        self.strip = False
        """Whether the tag before took the white space after it."""

    def write(self) -> None:
        """Write it. Raises Unmapped when it has no counterpart; part of it may be written then."""
        while match := _OPEN.search(self.text, self.at):
            start = match.start()
            before, self.at = self.text[self.at : start], match.end()
            minus = self.text.startswith("-", self.at)
            self.at += minus
            self._say(before, strip_end=minus)
            self.place(start)
            if match[0] == "{#":
                self._comment(start)
            elif match[0] == "{{":
                self._expression(start)
            elif raw := _RAW.match(self.text, start):
                self._raw(raw)
            else:
                self._tag()
        self._say(self.text[self.at :], strip_end=False)
        if self.blocks:
            raise Unmapped(f"{{% {self.blocks[-1].word} %}} is not closed")

    def _say(self, text: str, *, strip_end: bool) -> None:
        text = text.lstrip() if self.strip else text
        self.jinja.text(text.rstrip() if strip_end else text)
        self.strip = False

    def _comment(self, start: int) -> None:
        end = self.text.find("#}", self.at)
        if end < 0:
            raise Unmapped("a comment is not closed")
        inside = self.text[self.at : end]
        self.strip = inside.endswith("-")
        self.jinja.note(inside.removesuffix("-").strip())
        self.at = end + 2

    def _words(self, closed: str) -> list[Token]:
        words, end, self.at = tokens(self.text, self.at)
        if not end.endswith(closed):
            raise Unmapped(f"a tag is closed by {end}")
        self.strip = end.startswith("-")
        return words

    def _expression(self, start: int) -> None:
        words = self._words("}}")
        before = len(self.scope.uses)
        try:
            self.jinja.code(printed(Expression(words, self.scope).whole()))
        except Unmapped as error:
            for name in list(self.scope.uses)[before:]:
                del self.scope.uses[name]
            shown = shorten(" ".join(self.text[start : self.at].split()), MAX_SHOWN)
            self.scope.note("lost", f"{shown}: {error}")
            self.jinja.note(shown.strip("{}- "))

    def _raw(self, begin: re.Match[str]) -> None:
        for end in _END_RAW.finditer(self.text, begin.end()):
            if end[2] == begin[1]:
                break
        else:
            raise Unmapped(f"{{% {begin[1]} %}} is not closed")
        inside = self.text[begin.end() : end.start()]
        inside = inside.lstrip() if begin[2] else inside
        self.jinja.text(inside.rstrip() if end[1] else inside)
        self.at = end.end()
        self.strip = end[0].endswith("-%}")

    def _tag(self) -> None:
        words = self._words("%}")
        word = words[0].text if words else ""
        word = _SAME.get(word, word)
        expression = Expression(words, self.scope)
        expression.next = 1
        if self.blocks and word == _ENDS[self.blocks[-1].word]:
            self._end(word)
        elif word in ("elif", "else"):
            self._branch(word, expression)
        elif word in _ENDS:
            getattr(self, f"_on_{word}")(expression)
        elif word in _ELSEWHERE:
            raise Unmapped(f"{{% {word} %}} has no counterpart: put all of a prompt into one file")
        else:
            raise Unmapped(f"there is no tag {{% {shorten(word)} %}}")

    def _open(self, word: str, code: str, scope: Scope | None = None) -> None:
        self.jinja.tag(f"{word} {code}")
        self.blocks.append(_Block(word, self.scope))
        self.scope = scope or self.scope

    def _end(self, word: str) -> None:
        block = self.blocks.pop()
        self.jinja.tag(word)
        self.scope = block.scope

    def _branch(self, word: str, expression: Expression) -> None:
        if (
            not self.blocks
            or self.blocks[-1].word not in ("if", "for")
            or (word, self.blocks[-1].word) == ("elif", "for")
        ):
            raise Unmapped(f"{{% {word} %}} stands outside {{% if %}}")
        if self.blocks[-1].word == "for":
            self.scope = self.blocks[-1].scope
        self.jinja.tag(f"elif {expression.whole().sure().code}" if word == "elif" else "else")

    def _on_if(self, expression: Expression) -> None:
        self._open("if", expression.whole().sure().code)

    def _on_for(self, expression: Expression) -> None:
        names = [expression.name()]
        while expression.take(","):
            names.append(expression.name())
        expression.expect("in")
        value = expression.whole()
        inner = self.scope.inner()
        inner.names["loop"] = Value("loop", (_LOOP,))
        for name in names:
            inner.names[name] = replace(elements(value), code=name) if len(names) == 1 else Value(name)
        code = value.sure().code if len(names) == 1 else pairs(value)
        self._open("for", f"{', '.join(names)} in {code}", inner)

    def _on_set(self, expression: Expression) -> None:
        name = expression.name()
        if any(each.word == "for" for each in self.blocks) and name in self.scope.names:
            self.scope.note("changed", f"what is set in a loop is forgotten after each round: {shorten(name)}")
        if expression.next == len(expression.words):
            self._open("set", name, self.scope.inner())
            self.blocks[-1].scope.names[name] = Value(name, kind="text", missing=len(self.blocks) > 1)
            return
        if not expression.take("="):
            raise Unmapped("{% set %} sets one name at a time here")
        value = expression.whole()
        self.jinja.tag(f"set {name} = {value.sure().code}")
        self.scope.names[name] = replace(value, code=name, rank=ATOM, missing=bool(self.blocks), blank=False)
        if value.code.startswith(("cycler(", "joiner(")):
            self.scope.functions.add(name)

    def _on_macro(self, expression: Expression) -> None:
        name = expression.name()
        expression.expect("(")
        inner = self.scope.inner()
        arguments: list[str] = []
        while not expression.take(")"):
            argument = expression.name()
            default = f"={expression.value().sure().code}" if expression.take("=") else ""
            arguments.append(argument + default)
            inner.names[argument] = Value(argument, missing=not default)
            if not expression.take(",") and expression.word != ")":
                raise Unmapped("')' is missing")
        expression.finish()
        inner.functions |= {"caller", name}
        self.scope.functions.add(name)
        self._open("macro", f"{name}({', '.join(arguments)})", inner)

    def _on_call(self, expression: Expression) -> None:
        self._open("call", expression.whole().code)

    def _on_filter(self, expression: Expression) -> None:
        name = expression.filter_name()
        if name not in FILTERS:
            raise Unmapped(f"there is no filter {shorten(name)}")
        arguments = expression.arguments() if expression.take("(") else ""
        expression.finish()
        self._open("filter", name + arguments)
