"""The body of a dotprompt file, from Handlebars to our Jinja; what has no counterpart is reported and made a comment.

What is written is a row of items, which `core.dotprompt_turns` puts into turns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from promptlab.core.interchange import dotprompt_values as values
from promptlab.core.interchange.dotprompt_scope import Inputs, Loop, Names, Scope, Unmapped, helper, is_name
from promptlab.core.interchange.dotprompt_turns import Code, Fork, Item, Note, Part, Report, Say, Setting, Single, Turn
from promptlab.core.interchange.dotprompt_values import Value
from promptlab.core.interchange.handlebars_tree import (
    Block,
    Call,
    Comment,
    Expr,
    Literal,
    Node,
    Odd,
    Output,
    Partial,
    Path,
    Program,
    Text,
    shown,
)
from promptlab.core.prompt import NAME

ROLES = {"system": "system", "user": "user", "model": "assistant", "assistant": "assistant"}
_REASONS = {
    "media": "messages here are text, without media",
    "section": "a message here has no parts",
    "log": "there is no log here",
}


class Body:
    """Writes the nodes of one template as items."""

    def __init__(self, nodes: list[Node], inputs: Inputs, report: Report) -> None:
        self.nodes = nodes
        self.inputs = inputs
        self.report = report
        self.names = Names(inputs, {part for path in _paths(nodes) if not path.data for part in path.parts[:1]})
        self.partials: dict[str, None] = {}
        """The names of the files that it includes."""

    def items(self) -> tuple[Item, ...]:
        """The whole template."""
        return self._row(self.nodes, Scope())

    def _row(self, nodes: Iterable[Node], scope: Scope) -> tuple[Item, ...]:
        return tuple(item for node in nodes for item in self._node(node, scope))

    def _program(self, program: Program | None, scope: Scope) -> tuple[Item, ...]:
        return self._row(program.nodes, scope) if program else ()

    def _node(self, node: Node, scope: Scope) -> Iterable[Item]:
        match node:
            case Text():
                return [Say(node.value)] if node.value else []
            case Comment():
                return [Note(node.text)]
            case Odd():
                self.report("lost", node.place, f"{shown(node.text)}: decorators have no counterpart")
                return [Note(node.text)]
        try:
            if isinstance(node, Output):
                return self._output(node.call, scope)
            return self._partial(node, scope) if isinstance(node, Partial) else self._block(node, scope)
        except Unmapped as error:
            self.report("lost", error.place, str(error))
        return self._kept(node, scope) if isinstance(node, Block) else [Note(node.call.text)]

    def _kept(self, block: Block, scope: Scope) -> Iterator[Item]:
        """A block without a counterpart: all that is in it, between comments."""
        yield Note(block.call.text)
        yield from self._program(block.body, scope)
        if block.inverse:
            yield Note("{{else}}")
            yield from self._program(block.inverse, scope)
        yield Note(f"{{{{/{block.call.name.text}}}}}")

    def _output(self, call: Call, scope: Scope) -> list[Item]:
        match helper(call, scope):
            case "role":
                return [self._role(call)]
            case "history":
                self.report("lost", call.place, "{{history}}: a prompt here begins a conversation of its own")
                return [Note(call.text), Turn("assistant", call.text, call.place)]
            case "json":
                return [self._json(call, scope)]
            case "lookup" | None if not isinstance(call.name, Literal):
                return [self._printed(call, scope)]
            case "media" | "section" | "log" as name:
                raise Unmapped(f"{shown(call.text)}: {_REASONS[name]}", call.place)
        raise Unmapped(f"{shown(call.text)} is neither a value nor a helper that there is", call.place)

    def _printed(self, call: Call, scope: Scope) -> Code:
        value = self.names.value(call, scope)
        code, difference = values.printed(value)
        if difference:
            self.report("changed", call.place, f"{shown(call.text)}: {difference}")
        return Code(code, value.null or value.missing)

    def _role(self, call: Call) -> Turn:
        name = call.params[0] if len(call.params) == 1 else None
        if not isinstance(name, Literal) or not isinstance(name.value, str) or name.value not in ROLES:
            raise Unmapped(f"{shown(call.text)}: a role is system, user or model here, as a text", call.place)
        if self.inputs.partial:
            self.report("changed", call.place, f"{shown(call.text)} in a partial: include it outside any turn")
        return Turn(ROLES[name.value], call.text, call.place)

    def _json(self, call: Call, scope: Scope) -> Code:
        if len(call.params) != 1:
            raise Unmapped(f"{shown(call.text)}: json takes one value", call.place)
        indent = call.hash.get("indent")
        width = 0 if indent is None else indent.value if isinstance(indent, Literal) else None
        if isinstance(width, bool) or not isinstance(width, int) or not 0 <= width <= 10:
            raise Unmapped(f"{shown(call.text)}: indent is a number from 0 to 10 here", call.place)
        code, difference = values.as_json(self.names.value(call.params[0], scope), width)
        if difference:
            self.report("changed", call.place, f"{shown(call.text)}: {difference}")
        return Code(code)

    def _partial(self, partial: Partial, scope: Scope) -> list[Item]:
        call = partial.call
        folder, slash, name = call.name.text.strip("\"'").rpartition("/")
        file = f"{folder}{slash}_{name}"
        if isinstance(call.name, Call) or call.params or not NAME.fullmatch(f"{folder}{slash}x{name}"):
            raise Unmapped(f"{shown(call.text)}: a partial has a plain name here, and takes key=value", call.place)
        if wrong := next((key for key in call.hash if not is_name(key)), None):
            raise Unmapped(f"{shown(call.text)}: {shown(wrong)!r} cannot be a name here", call.place)
        pairs = [f"{key} = {self.names.value(each, scope).code}" for key, each in call.hash.items()]
        if scope.value is not None:
            self.report("changed", call.place, f"{shown(call.text)}: a partial sees the inputs here, not `this`")
        if partial.indented:
            self.report("changed", call.place, f"{shown(call.text)}: only its first line is indented here")
        self.partials[file] = None
        include = Single(f'include "{file}.jinja"', partial.alone)
        return [Fork(((f"with {', '.join(pairs)}", (include,)),), "endwith", partial.alone)] if pairs else [include]

    def _block(self, block: Block, scope: Scope) -> Iterable[Item]:
        call = block.call
        if block.kind != "block":
            raise Unmapped(f"{shown(call.text)}: a {block.kind} has no counterpart", call.place)
        match helper(call, scope):
            case "each":
                return [self._each(block, self._only(call, scope), scope)]
            case "with":
                return self._with(block, self._only(call, scope), scope)
            case "if" | "unless" | "ifEquals" | "unlessEquals":
                return [self._if(block, scope)]
            case None:
                return self._section(block, scope)
        raise Unmapped(f"{shown(call.text)}: there is no such helper", call.place)

    def _only(self, call: Call, scope: Scope) -> Value:
        if len(call.params) != 1:
            raise Unmapped(f"{shown(call.text)} takes one value", call.place)
        return self.names.value(call.params[0], scope)

    def _if(self, block: Block, scope: Scope) -> Fork:
        parts: list[Part] = []
        current: Block | None = block
        while current:
            yes, no = self._test(current.call, scope)
            self._check_null(current.call)
            word = "elif" if parts else "if"
            if current.body is None:
                parts.append((f"{word} {no}", self._program(current.inverse, scope)))
                break
            parts.append((f"{word} {yes}", self._program(current.body, scope)))
            chained = self._chained(current, scope)
            if current.inverse is not None and chained is None:
                parts.append(("else", self._program(current.inverse, scope)))
            current = chained
        return Fork(tuple(parts), "endif", block.alone)

    def _chained(self, block: Block, scope: Scope) -> Block | None:
        """The `{{else if}}` of a block, where it is one that can be tested."""
        chained = block.inverse.nodes[0] if block.inverse and block.inverse.chained else None
        if not isinstance(chained, Block) or helper(chained.call, scope) not in _TESTS:
            return None
        try:
            self._test(chained.call, scope)
        except Unmapped:
            return None
        return chained

    def _test(self, call: Call, scope: Scope) -> tuple[str, str]:
        """Expressions for whether the part of a block is taken, and whether it is not."""
        name = helper(call, scope)
        if name in ("ifEquals", "unlessEquals"):
            if len(call.params) != 2:
                raise Unmapped(f"{shown(call.text)} takes two values", call.place)
            left, right = (self.names.value(each, scope) for each in call.params)
            yes, no = values.equal(left, right)
        else:
            zero = call.hash.get("includeZero")
            with_zero = isinstance(zero, Literal) and bool(zero.value)
            value = self._only(call, scope)
            yes, no = values.truth_or_zero(value) if with_zero else values.truth(value)
        return (no, yes) if name in ("unless", "unlessEquals") else (yes, no)

    def _check_null(self, call: Call) -> None:
        if any(isinstance(each, Literal) and each.text in ("null", "undefined") for each in call.params):
            message = f"{shown(call.text)}: null and what is missing are the same here"
            self.report("changed", call.place, message)

    def _when(self, block: Block, value: Value, scope: Scope, inside: Scope) -> Fork:
        """A block that is taken when its value is true, with another scope in it."""
        yes, no = values.truth(value)
        if block.body is None:
            return Fork(((f"if {no}", self._program(block.inverse, scope)),), "endif", block.alone)
        parts: list[Part] = [(f"if {yes}", self._program(block.body, inside))]
        if block.inverse is not None:
            parts.append(("else", self._program(block.inverse, scope)))
        return Fork(tuple(parts), "endif", block.alone)

    def _with(self, block: Block, value: Value, scope: Scope) -> Iterable[Item]:
        sure = value.sure()
        inside = Scope(sure, scope, None, dict(zip(block.names, [sure], strict=False)))
        if values.truth(value)[0] == "true" and block.inverse is None:
            return self._program(block.body, inside)
        return [self._when(block, value, scope, inside)]

    def _each(self, block: Block, value: Value, scope: Scope) -> Fork:
        if value.kinds and not value.kinds & {"array", "object"}:
            raise Unmapped(f"{shown(block.call.text)}: this is neither a list nor a mapping", block.call.place)
        if block.body is None:
            return self._when(block, value, scope, scope)
        mapping = value.kinds == {"object"}
        item = self.names.new("value" if mapping else _singular(value.code))
        loop = Loop(self.names.new("key") if mapping else "")
        body = self._program(block.body, self._in_loop(block, loop, values.value(item, values.items(value)), scope))
        if loop.alias:
            body = (Setting(f"set {loop.alias} = loop"), *body)
        self.names.free(item, loop.key, loop.alias)
        if value.code in self.inputs.undeclared:
            self.inputs.undeclared[value.code].kind = "fields" if loop.used == {"key"} else "list"
        targets = f"{loop.key}, {item}" if mapping else item
        parts: list[Part] = [(f"for {targets} in {values.listed(value)}", body)]
        if block.inverse is not None:
            parts.append(("else", self._program(block.inverse, scope)))
        return Fork(tuple(parts), "endfor", block.alone)

    def _in_loop(self, block: Block, loop: Loop, item: Value, scope: Scope) -> Scope:
        first, second, *_ = (*block.names, "", "")
        names = {first: item} if first else {}
        if second and loop.key:
            names[second] = Value(loop.key, {"type": "string"})
        return Scope(item, scope, loop, names, "" if loop.key else second)

    def _section(self, block: Block, scope: Scope) -> Iterable[Item]:
        """`{{#name}} … {{/name}}`, which is if, each or with, by what the value turns out to be."""
        value = self.names.value(block.call, scope)
        if value.kinds == {"boolean"}:
            return [self._when(block, value, scope, scope)]
        if value.kinds == {"array"}:
            return [self._each(block, value, scope)]
        if value.kinds == {"object"}:
            return self._with(block, value, scope)
        raise Unmapped(f"{shown(block.call.text)}: write #if, #each or #with", block.call.place)


_TESTS = ("if", "unless", "ifEquals", "unlessEquals")


def _singular(code: str) -> str:
    """A name for one of many: `user` for `users`."""
    word = re.split(r"[^A-Za-z0-9_]", code)[-1]
    one = f"{word[:-3]}y" if word.endswith("ies") else word[:-1]
    plural = word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return one if plural and len(one) > 2 and is_name(one) else "item"


def _paths(nodes: Iterable[Node]) -> Iterator[Path]:
    """All paths below nodes."""
    for node in nodes:
        if isinstance(node, Output | Partial | Block):
            yield from _paths_of(node.call)
        if isinstance(node, Block):
            for program in (node.body, node.inverse):
                yield from _paths(program.nodes if program else ())


def _paths_of(expr: Expr) -> Iterator[Path]:
    if isinstance(expr, Path):
        yield expr
    elif isinstance(expr, Call):
        for each in (expr.name, *expr.params, *expr.hash.values()):
            yield from _paths_of(each)
