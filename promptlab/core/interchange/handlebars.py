"""Handlebars, as far as dotprompt uses it: a template's text to a tree, with the place of each tag.

The tags, their words and what `~` and lines of their own do follow the grammar that Handlebars publishes
(https://handlebarsjs.com/guide/, and spec/handlebars in https://github.com/google/dotprompt). Nothing is evaluated
here, and reading takes time in proportion to the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from promptlab.core.interchange.handlebars_space import take_space
from promptlab.core.interchange.handlebars_tag import Tag, Token, tokens
from promptlab.core.interchange.handlebars_tree import (
    NO_STRIP,
    SPACE,
    Block,
    Comment,
    Node,
    Odd,
    Output,
    Partial,
    Program,
    Source,
    Strip,
    Text,
    shown,
)

MAX_DEPTH = 15
"""Blocks in blocks: Python, to which Jinja compiles, takes 20 loops in each other."""
MAX_CHAIN = 50
"""`else if` in one block."""

_OPEN = re.compile(
    rf"\{{\{{\{{\{{|\{{\{{~?(?:(?P<otherwise>\^[{SPACE}]*~?\}}\}}|[{SPACE}]*else[{SPACE}]*~?\}}\}})"
    rf"|(?P<sign>#>|\#\*?|[>/^{{&!*]|[{SPACE}]*else\b)?)"
)
_COMMENT_END = re.compile(r"\}\}")
_LONG_COMMENT_END = re.compile(r"--~?\}\}")
_KINDS = {"#*": "decorator", "#>": "partial block"}


def parse(source: Source, start: int, end: int) -> list[Node]:
    """Read the template that stands between two offsets of a file.

    Raises SourceError at the first thing that cannot be read.
    """
    program = _Parser(source, start, end).program()
    take_space(program)
    return program.nodes


@dataclass(slots=True)
class _Opened:
    """A block that is not closed yet."""

    block: Block
    program: Program
    """Where nodes go now."""
    chained: int = 0
    """How many `else if` lead to it."""


class _Parser:
    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.text = source.text
        self.position = start
        self.end = end
        self.root = Program()
        self.opened: list[_Opened] = []

    def program(self) -> Program:
        while self.position < self.end:
            at = self.plain_text()
            if at is not None:
                self.tag(at)
        if self.opened:
            call = self.opened[-1].block.call
            raise self.source.error(f"{shown(call.text)} is not closed", call.place)
        return self.root

    def add(self, node: Node) -> None:
        (self.opened[-1].program if self.opened else self.root).nodes.append(node)

    def plain_text(self) -> int | None:
        """Read up to the next tag and give its offset. One backslash before a tag makes it text."""
        begin, at = self.position, self.find("{{", self.position)
        slashes = self.slashes(at, begin)
        if before := self.text[begin : at - (slashes > 0)]:
            self.add(Text(before))
        self.position = at
        if at == self.end or slashes != 1:
            return None if at == self.end else at
        self.position = self.find("{{", at + 2)
        self.position -= self.slashes(self.position, at + 2)
        self.add(Text(self.text[at : self.position]))
        return None

    def find(self, what: str, start: int) -> int:
        found = self.text.find(what, start, self.end)
        return self.end if found < 0 else found

    def slashes(self, at: int, begin: int) -> int:
        """Count the backslashes right before a tag: none, one, or two that stand for one."""
        if at == self.end:
            return 0
        return next((n for n in (2, 1) if self.text.endswith("\\" * n, begin, at)), 0)

    def tag(self, at: int) -> None:
        match = _OPEN.match(self.text, at, self.end)
        assert match is not None
        before = self.text.startswith("{{~", at)
        if match.group() == "{{{{":
            self.raw_block(at)
        elif match["sign"] == "!":
            self.comment(at, match.end(), before)
        elif match["otherwise"]:
            self.position = match.end()
            self.otherwise(at, Strip(before, match.group().endswith("~}}")))
        else:
            self.statement(at, match.end(), match["sign"] or "", before)

    def statement(self, at: int, inside: int, sign: str, before: bool) -> None:
        *found, close = tokens(self.source, inside, self.end)
        self.closes(close, unescaped=sign == "{")
        self.position = close.offset + len(close.text)
        text = self.text[at : self.position]
        tag, strip = Tag(self.source, found, text, at), Strip(before, "~" in close.text)
        if sign.endswith("else"):
            self.chain(tag, at, strip)
        elif sign == "/":
            self.close(tag.name(), at, strip)
        elif sign == ">":
            self.add(Partial(tag.call(), strip))
        elif sign == "*":
            self.add(Odd(text, self.source.place(at), strip))
        elif sign[:1] in ("#", "^") and sign:
            self.open(tag, at, sign, strip)
        else:
            self.add(Output(tag.call(), strip))

    def closes(self, close: Token, *, unescaped: bool) -> None:
        if close.text.startswith("}") and (close.text in ("}}}", "}~}}")) == unescaped:
            return
        if close.text == "~}}" and not unescaped:
            return
        raise self.source.error(f"{'}}}' if unescaped else '}}'} is expected here", close.offset)

    def comment(self, at: int, inside: int, before: bool) -> None:
        long = self.text.startswith("--", inside)
        match = (_LONG_COMMENT_END if long else _COMMENT_END).search(self.text, inside + 2 * long, self.end)
        if match is None:
            raise self.source.error("this comment is not closed", at)
        self.position = match.end()
        after = self.text[match.end() - 3] == "~"
        text = self.text[inside + 2 * long : match.start()]
        self.add(Comment(text.removesuffix("~").strip(), Strip(before, after)))

    def raw_block(self, at: int) -> None:
        inside = self.find("}}}}", at)
        # One tag's tokens end at `}}`, of which there are two here.
        *found, _ = tokens(self.source, at + 4, min(inside + 2, self.end))
        call = Tag(self.source, found, self.text[at : inside + 4], at).call()
        closing = "{{{{/" + call.name.text + "}}}}"
        close = self.find(closing, inside)
        if close == self.end:
            raise self.source.error(f"{shown(call.text)} is not closed", at)
        body = Program([Text(self.text[inside + 4 : close])])
        self.add(Block(call, "raw block", (), NO_STRIP, body))
        self.position = close + len(closing)

    def open(self, tag: Tag, at: int, sign: str, strip: Strip) -> None:
        if sum(not each.chained for each in self.opened) >= MAX_DEPTH or len(self.opened) > MAX_CHAIN:
            raise self.source.error(f"blocks are nested deeper than {MAX_DEPTH} levels", at)
        call, names = tag.call_with_names()
        program = Program()
        body, inverse = (None, program) if sign == "^" else (program, None)
        block = Block(call, _KINDS.get(sign, "block"), names, strip, body, inverse)
        self.add(block)
        self.opened.append(_Opened(block, program))

    def otherwise(self, at: int, strip: Strip) -> Program:
        """Go on in the other part of the innermost block."""
        if not self.opened:
            raise self.source.error("{{else}} stands outside any block", at)
        opened = self.opened[-1]
        block = opened.block
        if block.body is not None and block.inverse is not None:
            raise self.source.error(f"{shown(block.call.text)} has a second {{{{else}}}}", at)
        opened.program = Program()
        if block.body is None:
            block.body = opened.program
        else:
            block.inverse = opened.program
        block.inverse_strip = strip
        return opened.program

    def chain(self, tag: Tag, at: int, strip: Strip) -> None:
        """`{{else if x}}`: a block that is all of the other part, and ends with the outer one."""
        program = self.otherwise(at, strip)
        program.chained = True
        length = self.opened[-1].chained + 1
        if length > MAX_CHAIN:
            raise self.source.error(f"a block has more than {MAX_CHAIN} {{{{else …}}}}", at)
        call, names = tag.call_with_names()
        block = Block(call, "block", names, strip, Program(), close_strip=strip)
        program.nodes.append(block)
        assert block.body is not None
        self.opened.append(_Opened(block, block.body, length))

    def close(self, name: str, at: int, strip: Strip) -> None:
        chained: list[Block] = []
        while self.opened and self.opened[-1].chained:
            chained.append(self.opened.pop().block)
        if not self.opened:
            raise self.source.error(f"{{{{/{shown(name)}}}}} closes nothing", at)
        opened = self.opened.pop()
        if opened.block.call.name.text != name:
            expected = shown(opened.block.call.name.text)
            raise self.source.error(f"{{{{/{shown(name)}}}}} stands where {{{{/{expected}}}}} is expected", at)
        opened.block.close_strip = strip
        if chained:  # only the first of them sees the end; the others have their own beginning for it
            chained[-1].close_strip = strip
