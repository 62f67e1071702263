"""White space around Handlebars tags: what `~` takes, and what a tag takes that stands on a line of its own.

The rules are those of Handlebars' own whitespace control, its oddities included: a tag alone on its line takes that
line's indentation and end, but a program's first and last line count as lines only at the top of the template.
"""

from __future__ import annotations

from promptlab.core.interchange.handlebars_tree import BLANK, Block, Comment, Node, Partial, Program, Strip, Text


def take_space(program: Program, root: bool = True) -> None:
    """Take the white space that tags take, in a tree that has just been read."""
    nodes = program.nodes
    for index, node in enumerate(nodes):
        if isinstance(node, Text):
            continue
        first, last = _inside(node) if isinstance(node, Block) else (True, True)
        strip = Strip(node.open_strip.before, node.close_strip.after) if isinstance(node, Block) else node.strip
        before, after = _ends_line(nodes, index, root), _begins_line(nodes, index, root)
        if strip.after:
            _take_right(nodes, index + 1, every=True)
        if strip.before:
            _take_left(nodes, index - 1, every=True)
        if isinstance(node, Partial | Comment) and before and after:
            _take_right(nodes, index + 1)
            indented = _take_left(nodes, index - 1)
            if isinstance(node, Partial):
                node.alone, node.indented = True, indented
        if isinstance(node, Block):
            _take_lines(nodes, index, node, first and before, last and after)


def _take_lines(nodes: list[Node], index: int, block: Block, first: bool, last: bool) -> None:
    """Take the lines of a block's first and last tag, where they stand alone."""
    block.alone = first
    if first:
        _take_right(_main(block).nodes, 0)
        _take_left(nodes, index - 1)
    if last:
        _take_right(nodes, index + 1)
        end = block.inverse if block.inverse is not None else _main(block)
        _take_left(end.nodes, len(end.nodes) - 1)


def _main(block: Block) -> Program:
    program = block.body if block.body is not None else block.inverse
    assert program is not None
    return program


def _inside(block: Block) -> tuple[bool, bool]:
    """Take white space inside a block; say whether its first and its last tag may stand alone, seen from inside."""
    for program in (block.body, block.inverse):
        if program is not None:
            take_space(program, root=False)
    main = _main(block)
    inverse = block.inverse if block.body is not None else None
    first, last = (_first_inverse(inverse), _last_inverse(inverse)) if inverse else (None, main)
    ending = first if first is not None else main
    alone = (
        _begins_line(main.nodes, -1, False),
        _ends_line(ending.nodes, len(ending.nodes), False),
    )
    if block.open_strip.after:
        _take_right(main.nodes, 0, every=True)
    if first is not None:
        _around_else(block, main, first)
    if block.close_strip.before:
        _take_left(last.nodes, len(last.nodes) - 1, every=True)
    return alone


def _around_else(block: Block, main: Program, first: Program) -> None:
    if block.inverse_strip.before:
        _take_left(main.nodes, len(main.nodes) - 1, every=True)
    if block.inverse_strip.after:
        _take_right(first.nodes, 0, every=True)
    if _ends_line(main.nodes, len(main.nodes), False) and _begins_line(first.nodes, -1, False):
        _take_left(main.nodes, len(main.nodes) - 1)
        _take_right(first.nodes, 0)


def _first_inverse(inverse: Program) -> Program:
    if inverse.chained and isinstance(inverse.nodes[0], Block):
        return _main(inverse.nodes[0])
    return inverse


def _last_inverse(inverse: Program) -> Program:
    while inverse.chained and isinstance(inverse.nodes[-1], Block):
        inverse = _main(inverse.nodes[-1])
    return inverse


def _ends_line(nodes: list[Node], index: int, root: bool) -> bool:
    """Whether nothing but white space stands before a node on its line."""
    if index <= 0:
        return root
    node = nodes[index - 1]
    if not isinstance(node, Text):
        return False
    kept = node.original.rstrip(BLANK)
    return "\n" in node.original[len(kept) :] or (root and index == 1 and not kept)


def _begins_line(nodes: list[Node], index: int, root: bool) -> bool:
    """Whether nothing but white space stands after a node on its line."""
    if index + 1 >= len(nodes):
        return root
    node = nodes[index + 1]
    if not isinstance(node, Text):
        return False
    kept = node.original.lstrip(BLANK)
    return "\n" in node.original[: len(node.original) - len(kept)] or (root and index + 2 >= len(nodes) and not kept)


def _take_right(nodes: list[Node], index: int, every: bool = False) -> None:
    """Take white space from the beginning of a text: all of it, or what is left of the line, once."""
    node = nodes[index] if 0 <= index < len(nodes) else None
    if not isinstance(node, Text) or (node.taken_right and not every):
        return
    value = node.value.lstrip(BLANK) if every else node.value.lstrip(" \t").removeprefix("\n")
    node.taken_right, node.value = value != node.value, value


def _take_left(nodes: list[Node], index: int, every: bool = False) -> bool:
    """Take white space from the end of a text: all of it, or the indentation, once. Says whether there was any."""
    node = nodes[index] if 0 <= index < len(nodes) else None
    if not isinstance(node, Text) or (node.taken_left and not every):
        return False
    value = node.value.rstrip(BLANK) if every else node.value.rstrip(" \t")
    node.taken_left, node.value = value != node.value, value
    return node.taken_left
