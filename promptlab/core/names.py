"""Which names a template uses, and whether they are there: a walk over its syntax tree, in the order of rendering.

What is said is certain: a name that no path through the template can have given a value, a generation that is used
before any path can have made it. What only some paths leave out is for the template to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jinja2 import nodes

from promptlab.core.language import BARE, as_tag, bound_by, with_lists
from promptlab.core.prompt import Prompt
from promptlab.core.schema import shorten
from promptlab.core.source import Source

Say = Callable[..., None]
"""Called with file, line, column, message, and perhaps a severity."""

GLOBALS = frozenset(BARE.globals) | {"self"}
_ASKS_WHETHER_DEFINED = ("default", "d")
LIMIT = 40
"""Characters of a name in a message."""


@dataclass
class Scope:
    """What has a value at a point of the rendering."""

    names: set[str]
    made: set[str]
    """Generations and calls that may have been answered."""
    anywhere: bool = False
    """Inside a macro, which may be called at any time later: all generations may have been made."""
    local: frozenset[str] = frozenset()
    """Names of loops and `with`: a block does not see them, unless it is `scoped`."""
    block: str = ""
    """The block that this is in."""

    def inner(self, *names: str) -> Scope:
        """A scope in which more names have values; what it makes, the outer one has made too."""
        return replace(self, names={*self.names, *names}, local=self.local | frozenset(names))

    def branch(self, sure: Iterable[str] = ()) -> Scope:
        """One of several ways on; on it, `sure` have values."""
        bare = {name.removesuffix("_all") for name in sure}
        return replace(self, names={*self.names, *sure}, made={*self.made, *sure, *bare})

    def join(self, branches: Iterable[Scope]) -> None:
        """Go on after one of several ways, whichever it was."""
        for each in branches:
            self.names |= each.names
            self.made |= each.made


def assured(test: nodes.Node, outcome: bool) -> frozenset[str]:
    """Names that have values where a test has this outcome: `x is defined`, and what `not`, `and`, `or` make of it."""
    match test:
        case nodes.Test(node=nodes.Name(name=name), name="defined" | "undefined" as asked):
            return frozenset([name]) if (asked == "defined") == outcome else frozenset()
        case nodes.Not(node=inner):
            return assured(inner, not outcome)
        case nodes.And(left=left, right=right) if outcome:
            return assured(left, True) | assured(right, True)
        case nodes.Or(left=left, right=right) if not outcome:
            return assured(left, False) | assured(right, False)
    return frozenset()


class Names:
    """Checks the names of a prompt and of all that it includes."""

    def __init__(
        self, sources: Mapping[str, Source], file: str, prompt: Prompt, generations: frozenset[str], say: Say
    ) -> None:
        self.sources = sources
        self.main = file
        self.prompt = prompt
        self.generations = generations
        self.late = with_lists(generations)
        self.say = say
        self.used: set[str] = set()
        self.stack: list[str] = []
        """Files that are being walked."""
        self.overridden: set[str] = set()
        """Blocks that a file which extends this one fills itself."""
        self.walked: dict[tuple[Any, ...], tuple[frozenset[str], frozenset[str]]] = {}
        """For a file and what was there before it: what is there after it. There may be many ways to one file."""

    def run(self) -> None:
        """Say what is wrong, and warn of inputs that nothing uses."""
        scope = Scope({i.name for i in self.prompt.inputs}, set())
        self._file(self.main, scope)
        for each in self.prompt.inputs:
            if each.name not in self.used:
                self.say(self.main, *each.place, f"the input {each.name} is not used", "warning")

    @property
    def _source(self) -> Source:
        return self.sources[self.stack[-1]]

    def _complain(self, node: nodes.Node, word: str, message: str) -> None:
        source = self._source
        where = f" (in what {self.main} includes)" if source.file != self.main else ""
        self.say(source.file, node.lineno, source.column(node.lineno, word), message + where)

    # --- files ---

    def _file(self, file: str, scope: Scope) -> None:
        """Walk a whole file, unless it is missing or being walked already: both are told elsewhere."""
        if file not in self.sources or file in self.stack:
            return
        key = (file, frozenset(scope.names), frozenset(scope.made), scope.anywhere, frozenset(self.overridden))
        if key not in self.walked:
            self.stack.append(file)
            self._whole(self.sources[file], scope)
            self.stack.pop()
            self.walked[key] = frozenset(scope.names), frozenset(scope.made)
        scope.names |= self.walked[key][0]
        scope.made |= self.walked[key][1]

    def _whole(self, source: Source, scope: Scope) -> None:
        parent = next((each.node for each in source.inclusions if isinstance(each.node, nodes.Extends)), None)
        if parent is None:
            self._walk(source.tree.body, scope)
        else:
            self._child(source.tree, parent, scope)

    def _child(self, tree: nodes.Template, parent: nodes.Extends, scope: Scope) -> None:
        """A file that extends another: what stands outside its blocks runs first, but its text does not come out."""
        self._walk([n for n in tree.body if not isinstance(n, nodes.Block | nodes.Extends | nodes.Output)], scope)
        bases = [self.sources[f] for f in self._bases(_literals(parent.template))]
        there = {block.name for base in bases for block in base.tree.find_all(nodes.Block)}
        known = scope.names.union(*(base.defined for base in bases))
        for block in tree.find_all(nodes.Block):  # in this file, so that it is this file's name that is said
            names = {*known, "loop", *(["super"] if block.name in there else [])}
            self._walk(block.body, Scope(names, set(self.generations), True, block=block.name))
        before = set(self.overridden)
        self.overridden |= {block.name for block in tree.find_all(nodes.Block)}
        for file in _literals(parent.template):
            self._file(file, scope)
        self.overridden = before

    def _bases(self, files: Iterable[str]) -> list[str]:
        """Files, and those that they extend, and so on."""
        found: list[str] = []
        waiting = list(files)
        while waiting:
            file = waiting.pop()
            if file in self.sources and file not in found:
                found.append(file)
                extended = [e.node for e in self.sources[file].inclusions if isinstance(e.node, nodes.Extends)]
                waiting += [name for node in extended for name in _literals(node.template)]
        return found

    def _made_in(self, node: nodes.Node) -> set[str]:
        """Generations and calls somewhere in a node, or in what it includes."""
        tags = [tag for statement in node.find_all(nodes.ExprStmt) if (tag := as_tag(statement))]
        files: list[str] = []
        for each in node.find_all((nodes.Include, nodes.Import, nodes.FromImport)):
            files += _literals(each.template)  # type: ignore[attr-defined]
        seen: set[str] = set()
        while files:
            file = files.pop()
            if file in self.sources and file not in seen:
                seen.add(file)
                tags += self.sources[file].tags
                files += [name for _, name in self.sources[file].includes]
        return {tag.name for tag in tags} & self.generations

    # --- statements ---

    def _walk(self, body: Iterable[nodes.Node], scope: Scope) -> None:
        for node in body:
            self._node(node, scope)

    def _node(self, node: nodes.Node, scope: Scope) -> None:
        if isinstance(node, nodes.ExprStmt) and (tag := as_tag(node)):
            self._each(tag.node.args[1:] if tag.kind != "return" else tag.node.args, scope)
            if tag.kind in ("generate", "call_prompt"):
                scope.made.add(tag.name)
            return
        if isinstance(node, nodes.Macro | nodes.Import | nodes.FromImport):
            for name in self.late.intersection(bound_by(node)):
                self._complain(node, name, f"{name!r} is a generation and cannot be set")
        visit = _visitor(type(node))
        if visit is not None:
            getattr(self, visit)(node, scope)
        else:
            self._each(node.iter_child_nodes(), scope)

    def _each(self, children: Iterable[nodes.Node], scope: Scope) -> None:
        for child in children:
            self._node(child, scope)

    def _on_if(self, node: nodes.If, scope: Scope) -> None:
        branches = []
        sure: frozenset[str] = frozenset()
        for part in (node, *node.elif_):
            self._node(part.test, scope.branch(sure))
            branches.append(scope.branch(sure | assured(part.test, True)))
            self._walk(part.body, branches[-1])
            sure |= assured(part.test, False)
        branches.append(scope.branch(sure))
        self._walk(node.else_, branches[-1])
        scope.join(branches)

    def _on_for(self, node: nodes.For, scope: Scope) -> None:
        self._node(node.iter, scope)
        # What one round makes, the next one has.
        inner = replace(scope.inner(), made=scope.made | self._made_in(node))
        self._node(node.target, inner)
        inner = inner.inner(*(inner.names - scope.names))
        if node.test is not None:
            self._node(node.test, inner)
        looped = inner.inner("loop")
        self._walk(node.body, looped)
        scope.made |= looped.made
        self._walk(node.else_, scope.inner())

    def _on_macro(self, node: nodes.Macro, scope: Scope) -> None:
        scope.names.add(node.name)
        # It may be called later, when more has a value.
        self._macro_body(node, Scope({*scope.names, *self._source.defined}, set(self.generations), True))
        # Its generations are made when it is called; where that is, is not followed.
        scope.made |= self._made_in(node)

    def _on_callblock(self, node: nodes.CallBlock, scope: Scope) -> None:
        self._node(node.call, scope)
        self._macro_body(node, replace(scope.inner(), made=scope.made | self._made_in(node)))
        scope.made |= self._made_in(node)

    def _macro_body(self, node: nodes.Macro | nodes.CallBlock, scope: Scope) -> None:
        inner = scope.inner("caller", "varargs", "kwargs")
        self._each(node.args, inner)
        self._each(node.defaults, inner)
        self._walk(node.body, inner)

    def _on_with(self, node: nodes.With, scope: Scope) -> None:
        self._each(node.values, scope)
        inner = scope.inner()
        self._each(node.targets, inner)
        self._walk(node.body, inner.inner(*(inner.names - scope.names)))

    def _on_block(self, node: nodes.Block, scope: Scope) -> None:
        names = set(scope.names) if node.scoped else scope.names - scope.local
        if node.name in self.overridden:
            scope.made |= self.generations  # by what stands in its place
            self._walk(node.body, Scope(names, set(self.generations), True, block=node.name))
        else:
            self._walk(node.body, replace(scope, names=names, block=node.name))

    def _on_assign(self, node: nodes.Assign, scope: Scope) -> None:
        self._node(node.node, scope)
        self._node(node.target, scope)

    def _on_assignblock(self, node: nodes.AssignBlock, scope: Scope) -> None:
        self._walk(node.body, scope.inner())
        if node.filter is not None:
            self._node(node.filter, scope)
        self._node(node.target, scope)

    def _on_filterblock(self, node: nodes.FilterBlock, scope: Scope) -> None:
        self._walk(node.body, scope.inner())
        self._node(node.filter, scope)

    def _on_include(self, node: nodes.Include, scope: Scope) -> None:
        for file in _literals(node.template):
            inner = scope.inner()
            inner.names.discard("loop")
            self._file(file, inner)

    def _on_import(self, node: nodes.Import, scope: Scope) -> None:
        self._imported(node, scope)
        scope.names.add(node.target)

    def _on_fromimport(self, node: nodes.FromImport, scope: Scope) -> None:
        self._imported(node, scope)
        for file in _literals(node.template):
            if file in self.sources:
                self._exported(node, file)
        scope.names.update(bound_by(node))

    def _exported(self, node: nodes.FromImport, file: str) -> None:
        there = frozenset().union(*(self.sources[f].defined for f in self._bases([file])))
        for name in [n if isinstance(n, str) else n[0] for n in node.names]:
            if name not in there:
                self._complain(node, name, f"imports {name!r}, which {file} does not define")

    def _imported(self, node: nodes.Import | nodes.FromImport, scope: Scope) -> None:
        for file in _literals(node.template):
            names = set(scope.names) if node.with_context else set()
            self._file(file, Scope(names, scope.made, scope.anywhere))

    # --- expressions ---

    def _on_name(self, node: nodes.Name, scope: Scope) -> None:
        if node.ctx != "load":
            if node.name in self.late:
                self._complain(node, node.name, f"{node.name!r} is a generation and cannot be set")
            scope.names.add(node.name)
            return
        self.used.add(node.name)
        shown = repr(shorten(node.name, LIMIT))
        if node.name in self.late:
            is_list = node.name not in self.generations  # which is empty before the first
            if not scope.anywhere and not is_list and node.name not in scope.made:
                self._complain(node, node.name, f"{shown} is used before it has been generated")
        elif node.name == "self":
            scope.made |= self.generations  # it may run any block
        elif node.name == "super" and "super" not in scope.names and scope.block:
            self._complain(node, node.name, f"there is no parent block called {shorten(scope.block, LIMIT)!r}")
        elif node.name not in scope.names and node.name not in GLOBALS:
            self._complain(node, node.name, f"{shown} is undefined")

    def _on_and(self, node: nodes.And, scope: Scope) -> None:
        self._node(node.left, scope)
        self._node(node.right, scope.branch(assured(node.left, True)))

    def _on_or(self, node: nodes.Or, scope: Scope) -> None:
        self._node(node.left, scope)
        self._node(node.right, scope.branch(assured(node.left, False)))

    def _on_condexpr(self, node: nodes.CondExpr, scope: Scope) -> None:
        self._node(node.test, scope)
        self._node(node.expr1, scope.branch(assured(node.test, True)))
        if node.expr2 is not None:
            self._node(node.expr2, scope.branch(assured(node.test, False)))

    def _on_nsref(self, node: nodes.NSRef, scope: Scope) -> None:
        self._on_name(nodes.Name(node.name, "load", lineno=node.lineno), scope)

    def _on_filter(self, node: nodes.Filter, scope: Scope) -> None:
        if node.name not in BARE.filters:
            self._complain(node, node.name, f"there is no filter {shorten(node.name, LIMIT)!r}")
        self._operand(node.node, scope, node.name in _ASKS_WHETHER_DEFINED)
        self._arguments(node, scope)

    def _on_test(self, node: nodes.Test, scope: Scope) -> None:
        if node.name not in BARE.tests:
            self._complain(node, node.name, f"there is no test {shorten(node.name, LIMIT)!r}")
        self._operand(node.node, scope, node.name in ("defined", "undefined"))
        self._arguments(node, scope)

    def _operand(self, node: nodes.Node | None, scope: Scope, asks_whether_defined: bool) -> None:
        if node is None:  # of a filter block
            return
        if asks_whether_defined and isinstance(node, nodes.Name):
            self.used.add(node.name)
        elif asks_whether_defined and isinstance(node, nodes.Filter) and node.name in _ASKS_WHETHER_DEFINED:
            for each in (node.node, *node.args):  # `a | default(b) | default("")`
                self._operand(each, scope, True)
        else:
            self._node(node, scope)

    def _arguments(self, node: nodes.Filter | nodes.Test, scope: Scope) -> None:
        self._each([*node.args, *node.kwargs, *(a for a in (node.dyn_args, node.dyn_kwargs) if a is not None)], scope)


@cache
def _visitor(kind: type[nodes.Node]) -> str | None:
    """The name of the method that walks a kind of node, where there is one."""
    name = f"_on_{kind.__name__.lower()}"
    return name if hasattr(Names, name) else None


def _literals(target: nodes.Expr) -> list[str]:
    names = target.items if isinstance(target, nodes.List | nodes.Tuple) else [target]
    return [n.value for n in names if isinstance(n, nodes.Const) and isinstance(n.value, str)]
