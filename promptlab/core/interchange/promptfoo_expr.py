"""Nunjucks expressions to Jinja's, which are nearly the same: https://mozilla.github.io/nunjucks/templating.html."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from promptlab.core.interchange.jinjatext import quoted
from promptlab.core.interchange.promptfoo_values import ATOM, FILTERED, LOOSE, Value, item
from promptlab.core.interchange.promptfoo_values import field as field_of
from promptlab.core.interchange.promptfoo_words import (
    COMPARED,
    FILTERS,
    GLOBALS,
    LISTS,
    METHODS,
    NEAR,
    TESTS,
    Token,
    Unmapped,
    unquoted,
)
from promptlab.core.schema import shorten

MAX_DEPTH = 25


@dataclass(slots=True)
class Scope:
    """What names mean at one place of a template."""

    inputs: Callable[[str], Value]
    """What an input is; every name that nothing else has is one. Raises Unmapped."""
    note: Callable[[str, str], None]
    """Called with a kind of finding and what is to be said."""
    names: dict[str, Value] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    """Macros, and what else can be called."""
    uses: dict[str, None] = field(default_factory=dict)
    """The inputs that are used, in their order; the same for all scopes of a template."""

    def inner(self) -> Scope:
        """A scope within this one."""
        return replace(self, names=dict(self.names), functions=set(self.functions))


class Expression:
    """Reads the words of one tag."""

    def __init__(self, words: list[Token], scope: Scope) -> None:
        self.words = words
        self.scope = scope
        self.next = 0
        self.depth = 0

    @property
    def word(self) -> str:
        """The next word, where it is no text; empty at the end."""
        return self._peek().text if self._peek().kind in ("name", "sign", "number") else ""

    def take(self, *wanted: str) -> str:
        """The next word, if it is one of these; else nothing."""
        if self.word in wanted and self.word:
            self.next += 1
            return self.words[self.next - 1].text
        return ""

    def expect(self, wanted: str) -> None:
        """Read a word that has to come. Raises Unmapped."""
        if not self.take(wanted):
            raise Unmapped(f"{wanted!r} is missing")

    def name(self) -> str:
        """Read a name. Raises Unmapped."""
        token = self._peek()
        if token.kind != "name":
            raise Unmapped("a name is missing")
        self.next += 1
        return token.text

    def finish(self) -> None:
        """Say that all has been read. Raises Unmapped."""
        if self.next < len(self.words):
            raise Unmapped(f"{shorten(self._peek().text)!r} is not understood")

    def whole(self) -> Value:
        """The expression that these words are. Raises Unmapped."""
        found = self.value()
        self.finish()
        return found

    def value(self) -> Value:
        """The expression that comes next. Raises Unmapped."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unmapped("is nested too deeply")
        found = self._or()
        if self.take("if"):
            test = self._or()
            other = self._or() if self.take("else") else Value('""', kind="text")
            code = f"{found.sure().code} if {test.sure().code} else {other.sure().code}"
            kind = found.kind if found.kind == other.kind else ""
            found = Value(code, rank=LOOSE, kind=kind)
        self.depth -= 1
        return found

    def arguments(self) -> str:
        """What stands in the brackets of a call, the first of which has been read, with the brackets."""
        parts: list[str] = []
        while not self.take(")"):
            following = self.words[self.next + 1] if self.next + 1 < len(self.words) else Token("end", "")
            keyword = f"{self.name()}=" if self._peek().kind == "name" and following.text == "=" else ""
            if keyword:
                self.expect("=")
            parts.append(keyword + self.value().sure().code)
            if not self.take(",") and self.word != ")":
                raise Unmapped("')' is missing")
        return f"({', '.join(parts)})"

    def _peek(self) -> Token:
        return self.words[self.next] if self.next < len(self.words) else Token("end", "")

    # --- operators, the loosest first ---

    def _or(self) -> Value:
        return self._joined(self._and, "or")

    def _and(self) -> Value:
        return self._joined(self._not, "and")

    def _joined(self, part: Callable[[], Value], word: str) -> Value:
        found = part()
        while self.take(word):
            other = part()
            kind = "truth" if found.types() == other.types() == {"truth"} else ""
            found = Value(f"{found.sure().code} {word} {other.sure().code}", rank=LOOSE, kind=kind)
        return found

    def _not(self) -> Value:
        if self.take("not"):
            return Value(f"not {self._nested(self._not).sure().code}", rank=LOOSE, kind="truth")
        return self._in()

    def _nested(self, part: Callable[[], Value]) -> Value:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unmapped("is nested too deeply")
        found = part()
        self.depth -= 1
        return found

    def _in(self) -> Value:
        found = self._is()
        while self.word in ("in", "not"):
            word = "not in" if self.take("not") else "in"
            self.expect("in")
            found = Value(f"{found.sure().code} {word} {self._is().sure().code}", rank=LOOSE, kind="truth")
        return found

    def _is(self) -> Value:
        found = self._compare()
        if not self.take("is"):
            return found
        negated = bool(self.take("not"))
        test = {"null": "none"}.get(self.word, self.word)
        self.name()
        if test not in TESTS:
            raise Unmapped(f"the test `is {shorten(test)}` has no counterpart")
        word = "is not" if negated else "is"
        if found.blank and test in ("defined", "undefined"):
            there = (test == "defined") != negated
            return Value(f'{found.operand} {"!=" if there else "=="} ""', rank=LOOSE, kind="truth")
        arguments = self.arguments() if self.take("(") else ""
        code = found.operand if test in ("defined", "undefined") else found.sure().operand
        return Value(f"{code} {word} {test}{arguments}", rank=LOOSE, kind="truth")

    def _compare(self) -> Value:
        found = self._concat()
        while sign := self.take(*COMPARED):
            code = f"{found.sure().code} {COMPARED[sign]} {self._concat().sure().code}"
            found = Value(code, rank=LOOSE, kind="truth")
        return found

    def _concat(self) -> Value:
        found = self._add()
        while self.take("~"):
            found = _concatenated(found, self._add())
        return found

    def _add(self) -> Value:
        found = self._multiply()
        while sign := self.take("+", "-"):
            other = self._multiply()
            if sign == "+" and (found.is_text or other.is_text):  # to JavaScript a text and a number are a text
                found = _concatenated(found, other)
            else:
                kind = "number" if found.kind == other.kind == "number" or sign == "-" else ""
                found = Value(f"{found.sure().code} {sign} {other.sure().operand}", rank=LOOSE, kind=kind)
        return found

    def _multiply(self) -> Value:
        found = self._power()
        while sign := self.take("*", "/", "//", "%"):
            if sign == "/":
                self.scope.note("changed", "a quotient that is whole, like 4 / 2, is written 2.0 here")
            found = Value(f"{found.sure().operand} {sign} {self._power().sure().operand}", rank=LOOSE, kind="number")
        return found

    def _power(self) -> Value:
        found = self._unary()
        while self.take("**"):
            found = Value(f"{found.sure().operand} ** {self._unary().sure().operand}", rank=LOOSE, kind="number")
        return found

    def _unary(self) -> Value:
        if sign := self.take("-", "+"):
            inside = self._nested(self._unary)
            return self._filtered(Value(f"{sign}{inside.sure().operand}", rank=FILTERED, kind="number"))
        return self._filtered(self._postfix())

    def _filtered(self, value: Value) -> Value:
        while self.take("|"):
            value = self._filter(value, self.filter_name())
        return value

    def filter_name(self) -> str:
        """Read the name of a filter, which may have dots."""
        name = self.name()
        while self.take("."):
            name += f".{self.name()}"
        return name

    def _filter(self, value: Value, name: str) -> Value:
        arguments = self.arguments() if self.take("(") else ""
        if name == "safe":  # nothing is escaped, there or here
            return value
        if name == "dump":
            return Value(f"{value.sure().operand}|tojson{arguments}", kind="text", rank=FILTERED)
        if name in ("load", "random"):
            raise Unmapped(f"the filter {name} has no counterpart")
        if name not in FILTERS:
            self.scope.note("lost", f"there is no filter {shorten(name)}: the value is written without it")
            return value
        if name in NEAR:
            self.scope.note("changed", f"the filter {name} does not always say exactly the same here")
        return _applied(value, name, arguments)

    # --- what stands between operators ---

    def _postfix(self) -> Value:
        found = self._primary()
        while sign := self.take(".", "["):
            if sign == ".":
                found = self._member(found, self.name())
                continue
            token = self._peek()
            literal = unquoted(token.text) if token.kind == "text" else _number(token)
            key = self.value()
            self.expect("]")
            found = item(found, key, literal if key.kind in ("text", "number") and key.rank == ATOM else None)
        return found

    def _member(self, base: Value, name: str) -> Value:
        if self.word != "(":
            return field_of(base, name)
        self.next += 1
        arguments = self.arguments()
        if name in METHODS:
            return _applied(base, METHODS[name], "" if arguments == "()" else arguments)
        if name == "next" and base.seen is None:  # of a cycler
            return Value(f"{base.atom}.next()")
        raise Unmapped(f"the method {shorten(name)}() has no counterpart")

    def _primary(self) -> Value:
        token = self._peek()
        self.next += 1
        if token.kind == "text":
            return Value(quoted(unquoted(token.text)), (unquoted(token.text),), kind="text")
        if token.kind == "number":
            return Value(token.text, kind="number")
        if token.kind == "name":
            return self._named(token.text)
        if token.kind == "regex":
            raise Unmapped("regular expressions have no counterpart in templates")
        match token.text:
            case "(":
                inside = self.value()
                self.expect(")")
                return replace(inside, code=f"({inside.sure().code})", rank=ATOM, missing=False, blank=False)
            case "[":
                return Value(f"[{', '.join(self._list())}]")
            case "{":
                return Value(f"{{{', '.join(self._pairs())}}}")
        raise Unmapped(f"{shorten(token.text)!r} is not understood" if token.text else "an expression is missing")

    def _list(self) -> Iterator[str]:
        while not self.take("]"):
            yield self.value().sure().code
            if not self.take(",") and self.word != "]":
                raise Unmapped("']' is missing")

    def _pairs(self) -> Iterator[str]:
        while not self.take("}"):
            token = self._peek()
            self.next += 1
            if token.kind not in ("name", "text"):
                raise Unmapped("a key is a name or a text")
            key = quoted(unquoted(token.text) if token.kind == "text" else token.text)
            self.expect(":")
            yield f"{key}: {self.value().sure().code}"
            if not self.take(",") and self.word != "}":
                raise Unmapped("'}' is missing")

    def _named(self, name: str) -> Value:
        if name in ("true", "false"):
            return Value(name, kind="truth")
        if name in ("none", "null"):
            return Value("none", (None,))
        if self.word == "(":
            return self._call(name)
        if name in self.scope.names:
            return self.scope.names[name]
        found = self.scope.inputs(name)
        self.scope.uses[name] = None
        return found

    def _call(self, name: str) -> Value:
        if name not in self.scope.functions and name not in GLOBALS:
            raise Unmapped(f"there is no function {shorten(name)}")
        self.next += 1
        return Value(f"{name}{self.arguments()}")


def _number(token: Token) -> int | None:
    return int(token.text) if token.kind == "number" and token.text.isdecimal() and len(token.text) < 10 else None


def _concatenated(left: Value, right: Value) -> Value:
    return Value(f"{left.sure().operand} ~ {right.sure().operand}", rank=LOOSE, kind="text")


def _applied(value: Value, name: str, arguments: str) -> Value:
    """A filter that both have."""
    if name in ("default", "d"):
        # An input that is not given is an empty text here, so that has to count as not given.
        given = f"{arguments[:-1]}, true)" if value.blank and arguments.count(",") == 0 and arguments else arguments
        return Value(f"{value.operand}|{name}{given}", rank=FILTERED)
    code = f"{value.sure().operand}|{name}{arguments}"
    if name == "round":
        return Value(f"{code}|int" if not arguments else code, kind="number", rank=FILTERED)
    if name in ("first", "last"):
        return Value(code, missing=True, rank=FILTERED)
    kind = "number" if name in ("length", "wordcount", "int", "float", "abs") else "list" if name in LISTS else ""
    return Value(code, rank=FILTERED, kind=kind)
