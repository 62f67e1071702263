"""Adds a worked example to a prompt: a question as it was asked, and the answer that was good.

It stands before the user block of the prompt's first question, in a role tag for each, and says exactly what was said:
nothing in it is taken for template code. Reading a stranger's template belongs where it can be killed
(promptlab.sandbox).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from jinja2 import nodes

from promptlab.core.formats import template_of
from promptlab.core.interchange.jinjatext import JinjaText
from promptlab.core.language import Tag, as_tag
from promptlab.core.prompt import SUFFIX
from promptlab.core.source import Source, read_source
from promptlab.errors import Problem, SourceError

SHORT = 90
"""Characters of a text that stands on one line with its tags."""

_USER = re.compile(r"\{%[-+]?\s*user\s*[-+]?%\}")
_ODD = re.compile("([\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+)")
"""Characters that an editor hides, changes, or obeys: they are written as escapes."""


def add_example(source: str, file: str, question: str, answer: str) -> str:
    """Add an example to the text of a prompt's file, by its path below prompts/.

    Raises SourceError where the template cannot be read, or where it is not clear what the first question is.
    """
    if not file.endswith(SUFFIX):
        raise _unclear(file, 0, f"examples are written into files that end in {SUFFIX} only; write it by hand")
    template, first_line = template_of(source, file)
    read = read_source(template, file, first_line)
    tag = _first_question(read)
    start = len(source) - len(template)
    at = start + _offset(read, tag, template, first_line)
    line_start = source.rfind("\n", 0, at) + 1
    alone = not source[max(line_start, start) : at].strip()
    pair = _block("user", question) + _block("assistant", answer)
    if "\r\n" in source:
        pair = pair.replace("\n", "\r\n")
    at = max(line_start, start) if alone else at
    return source[:at] + ("" if alone else "\n") + pair + source[at:]


def _first_question(read: Source) -> Tag:
    """The tag that begins the last user block before the first generation."""
    if not read.inclusions and not any(tag.kind == "begin" for tag in read.tags):
        reason = "it has no role tags: put its text between {% user %} and {% enduser %} first"
        raise _unclear(read.file, 0, reason)
    found: Tag | None = None
    for node in read.tree.body:
        tag = as_tag(node)
        if tag is not None and tag.kind == "call_prompt":
            raise _unclear(read.file, tag.line, f"the first question is asked by {tag.target}, which it calls")
        if tag is not None and tag.kind in ("generate", "return"):
            break
        if tag is not None and tag.name == "user":
            found = tag
        inside = list(_tags_in(node)) if tag is None else []
        if any(each.name == "user" for each in inside if each.kind == "begin") or isinstance(node, nodes.Include):
            found = None
        if any(each.kind in ("generate", "call_prompt") for each in inside):
            break
    if found is None:
        reason = "the {% user %} block of its first question stands in another tag or file; write the example by hand"
        raise _unclear(read.file, 0, reason)
    return found


def _tags_in(node: nodes.Node) -> Iterator[Tag]:
    return (tag for each in node.find_all(nodes.ExprStmt) if (tag := as_tag(each)))


def _offset(read: Source, tag: Tag, template: str, first_line: int) -> int:
    """Where a user tag stands in the template."""
    lines = template.split("\n")
    number = tag.line - first_line
    same = [each for each in read.tags if each.kind == "begin" and each.name == "user" and each.line == tag.line]
    places = list(_USER.finditer(lines[number])) if number < len(lines) else []
    if len(places) != len(same):  # a tag over several lines, or one in a comment
        raise _unclear(read.file, tag.line, "this line has more than a {% user %} tag on it; put that on its own line")
    return sum(len(line) + 1 for line in lines[:number]) + places[same.index(tag)].start()


def _block(role: str, text: str) -> str:
    """A message as a role tag with its text."""
    text = text.strip()
    short = "\n" not in text and len(text) <= SHORT
    made = JinjaText()
    made.tag(role, newline=not short)
    for number, part in enumerate(_ODD.split(text)):
        if number % 2:
            made.code(json.dumps(part))
        else:
            made.text(part)
    if not short:
        made.text("\n")
    made.tag(f"end{role}", newline=True)
    return made.finish()


def _unclear(file: str, line: int, reason: str) -> SourceError:
    return SourceError([Problem(file, line, 0, reason)])
