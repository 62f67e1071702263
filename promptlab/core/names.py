"""Which names a template uses, and whether they are there: a walk over its syntax tree, in the order of rendering.

What is said is certain: a name that no path through the template can have given a value, a generation that is used
before any path can have made it. What only some paths leave out is for the template to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from jinja2 import nodes

from promptlab.core.language import BARE, as_tag, bound_by, with_lists
from promptlab.core.prompt import Prompt
from promptlab.core.source import Source

Say = Callable[..., None]
"""Called with file, line, column, message, and perhaps a severity."""

GLOBALS = frozenset(BARE.globals) | {"self", "super"}
_ASKS_WHETHER_DEFINED = ("default", "d")


@dataclass
class Scope:
    """What has a value at a point of the rendering."""

    names: set[str]
    made: set[str]
    """Generations and calls that may have been answered."""
    anywhere: bool = False
    """Inside a macro, which may be called at any time later: all generations may have been made."""
    blocks: dict[str, list[nodes.Block]] = field(default_factory=dict)

    def inner(self, *names: str) -> Scope:
        """A scope in which more names have values; what it makes, the outer one has made too."""
        return Scope({*self.names, *names}, self.made, self.anywhere, self.blocks)

    def branch(self) -> Scope:
        """One of several ways on."""
        return Scope(set(self.names), set(self.made), self.anywhere, self.blocks)

    def join(self, branches: Iterable[Scope]) -> None:
        """Go on after one of several ways, whichever it was."""
        for each in branches:
            self.names |= each.names
            self.made |= each.made


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
        self.stack.append(file)
        source = self.sources[file]
        parent = next((each.node for each in source.inclusions if isinstance(each.node, nodes.Extends)), None)
        if parent is None:
            self._walk(source.tree.body, scope)
        else:
            self._child(source.tree, parent, scope)
        self.stack.pop()

    def _child(self, tree: nodes.Template, parent: nodes.Extends, scope: Scope) -> None:
        """A file that extends another: what stands outside its blocks runs first, but its text does not come out."""
        for block in tree.find_all(nodes.Block):
            scope.blocks.setdefault(block.name, []).append(block)
        outside = [n for n in tree.body if not isinstance(n, nodes.Block | nodes.Extends | nodes.Output)]
        self._walk(outside, scope)
        for block in tree.find_all(nodes.Block):  # in this file, so that it is this file's name that is said
            self._walk(block.body, Scope(set(scope.names), set(self.generations), True, scope.blocks))
        for file in _literals(parent.template):
            self._file(file, scope)

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
        for part in (node, *node.elif_):
            self._node(part.test, scope)
            branches.append(scope.branch())
            self._walk(part.body, branches[-1])
        branches.append(scope.branch())
        self._walk(node.else_, branches[-1])
        scope.join(branches)

    def _on_for(self, node: nodes.For, scope: Scope) -> None:
        self._node(node.iter, scope)
        # What one round makes, the next one has.
        made = {tag.name for n in node.find_all(nodes.ExprStmt) if (tag := as_tag(n)) and tag.kind != "return"}
        inner = Scope({*scope.names, "loop"}, scope.made | (made & self.generations), scope.anywhere, scope.blocks)
        self._node(node.target, inner)
        if node.test is not None:
            self._node(node.test, inner)
        self._walk(node.body, inner)
        scope.made |= inner.made
        self._walk(node.else_, scope.inner())

    def _on_macro(self, node: nodes.Macro, scope: Scope) -> None:
        scope.names.add(node.name)
        self._macro_body(node, scope)

    def _on_callblock(self, node: nodes.CallBlock, scope: Scope) -> None:
        self._node(node.call, scope)
        self._macro_body(node, scope)

    def _macro_body(self, node: nodes.Macro | nodes.CallBlock, scope: Scope) -> None:
        self._each(node.defaults, scope)
        inner = Scope(
            {*scope.names, *self._source.defined, "caller", "varargs", "kwargs"},
            set(self.generations),
            True,
            scope.blocks,
        )
        self._each(node.args, inner)
        self._walk(node.body, inner)
        # Its generations are made when it is called; where that is, is not followed.
        scope.made |= {t.name for n in node.find_all(nodes.ExprStmt) if (t := as_tag(n)) and t.name in self.generations}

    def _on_with(self, node: nodes.With, scope: Scope) -> None:
        self._each(node.values, scope)
        inner = scope.inner()
        self._each(node.targets, inner)
        self._walk(node.body, inner)

    def _on_block(self, node: nodes.Block, scope: Scope) -> None:
        if node.name in scope.blocks:
            inner = Scope({*scope.names}, set(self.generations), True, scope.blocks)
            scope.made |= self.generations
            self._walk(node.body, inner)
            return
        self._walk(node.body, scope.inner())

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
            inner = scope.inner() if node.with_context else Scope(set(), scope.made, scope.anywhere)
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
        there = self.sources[file].defined
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
        if node.name in self.late:
            if not scope.anywhere and not {node.name, node.name.removesuffix("_all")} & scope.made:
                self._complain(node, node.name, f"{node.name!r} is used before it has been generated")
        elif node.name not in scope.names and node.name not in GLOBALS:
            self._complain(node, node.name, f"{node.name!r} is undefined")

    def _on_nsref(self, node: nodes.NSRef, scope: Scope) -> None:
        self._on_name(nodes.Name(node.name, "load", lineno=node.lineno), scope)

    def _on_filter(self, node: nodes.Filter, scope: Scope) -> None:
        if node.name not in BARE.filters:
            self._complain(node, node.name, f"there is no filter {node.name!r}")
        asks = node.name in _ASKS_WHETHER_DEFINED and isinstance(node.node, nodes.Name)
        self._operand(node.node, scope, asks)
        self._arguments(node, scope)

    def _on_test(self, node: nodes.Test, scope: Scope) -> None:
        if node.name not in BARE.tests:
            self._complain(node, node.name, f"there is no test {node.name!r}")
        self._operand(node.node, scope, node.name in ("defined", "undefined"))
        self._arguments(node, scope)

    def _operand(self, node: nodes.Node | None, scope: Scope, asks_whether_defined: bool) -> None:
        if node is None:  # of a filter block
            return
        if asks_whether_defined and isinstance(node, nodes.Name):
            self.used.add(node.name)
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
