"""What is wrong with a prompt, found without any model: in its front matter, its template, and all that it uses.

Everything is said at once, each with its place. Like all reading of strangers' templates this belongs where it can be
killed (promptlab.sandbox).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import jinja2
from jinja2 import nodes

from promptlab.core.formats import examine_file, is_partial, template_of
from promptlab.core.language import Environment, generated, with_lists
from promptlab.core.names import Names
from promptlab.core.program import BUFFERED, both, list_of
from promptlab.core.prompt import SUFFIX, Prompt, unsound
from promptlab.core.source import Source, read_source
from promptlab.core.tagcheck import TagCheck
from promptlab.errors import Problem, SourceError

DEEP = 8
"""Nesting of statements from which on compiling may fail: Python takes 20 blocks, and a statement may need two."""

MAX_FINDINGS = 500
"""A prompt wrong in more places is not worth a longer list."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to say about a file."""

    file: str
    """Below prompts/."""
    line: int
    """From 1; 0 for the whole file, and so for the column."""
    column: int
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else f"{self.severity}: "
        return str(Problem(self.file, self.line, self.column, mark + self.message))


def check(file: str, files: Mapping[str, str]) -> list[Finding]:
    """Check a prompt, or a partial by itself, by its path below prompts/.

    `files` are the texts of all files that could be found of those that it uses, itself among them. The findings are
    in the order of files and lines.
    """
    found: list[Finding] = []
    checker = _Checker(file, files, found)
    try:
        checker.run()
    except RecursionError:
        found.append(Finding(file, 0, 0, "is nested too deeply"))
    return sorted(dict.fromkeys(found), key=lambda f: (f.file, f.line, f.column))


class _Checker:
    def __init__(self, file: str, files: Mapping[str, str], found: list[Finding]) -> None:
        self.file = file
        self.files = files
        self.found = found
        self.sources: dict[str, Source] = {}

    def run(self) -> None:
        partial = is_partial(self.file)
        prompt = None if partial else self._front()
        if not self._read_templates() or (prompt is None and not partial):
            return
        names = generated(tag for source in self.sources.values() for tag in source.tags)
        if prompt is not None:
            self._clashes(prompt, names)
        for source in self.sources.values():
            if source.buffered and not any(tag.kind == "begin" for s in self.sources.values() for tag in s.tags):
                self._say(source.buffered.file, source.buffered.line, source.buffered.column, BUFFERED)
        TagCheck(self.sources, self.files, self._say).run(self.file if prompt else "")
        self._loops()
        self._compile(names)
        if prompt is not None:
            Names(self.sources, self.file, prompt, names, self._say).run()

    def _say(self, file: str, line: int, column: int, message: str, severity: Severity = "error") -> None:
        if len(self.found) < MAX_FINDINGS:
            self.found.append(Finding(file, line, column, message, severity))
        elif len(self.found) == MAX_FINDINGS:
            self.found.append(Finding(self.file, 0, 0, f"there are more than {MAX_FINDINGS} findings"))

    def _problems(self, error: SourceError) -> None:
        for p in error.problems:
            self._say(p.file, p.line, p.column, p.message)

    def _front(self) -> Prompt | None:
        """The prompt, as far as its front matter can be read."""
        try:
            prompt, problems = examine_file(self.files[self.file], self.file)
        except SourceError as error:
            self._problems(error)
            return None
        self._problems(SourceError([*problems, *unsound(prompt)]))
        return prompt

    def _read_templates(self) -> bool:
        """Read the file and all that it includes; whether the file itself could be read."""
        waiting = [self.file]
        while waiting:
            file = waiting.pop()
            if file in self.sources or file not in self.files:
                continue
            try:
                text, line = template_of(self.files[file], file)
                source = read_source(text, file, line)
                # Of another tool's file the lines are the same, but not the columns.
                foreign = not file.endswith(SUFFIX)
                self.sources[file] = replace(source, text=self.files[file]) if foreign else source
            except SourceError as error:
                self._problems(error)
                continue
            waiting += [name for _, name in self.sources[file].includes]
        return self.file in self.sources

    def _clashes(self, prompt: Prompt, names: frozenset[str]) -> None:
        declared = {i.name: i.place for i in prompt.inputs}
        for name in sorted(with_lists(names) & declared.keys()):
            self._say(prompt.file, *declared[name], both(name))
        for name in sorted(n for n in names if f"{n}_all" in names):
            source, tag = next((s, t) for s in self.sources.values() for t in s.tags if t.name == f"{name}_all")
            self._say(source.file, tag.line, source.column(tag.line, tag.name), list_of(name))

    def _loops(self) -> None:
        """Files that include each other without an end."""
        done: set[str] = set()

        def visit(file: str, path: tuple[str, ...]) -> None:
            always = [
                (e.line, name) for e in self.sources[file].inclusions if not e.sometimes for name in e.names if name
            ]
            for line, name in always:  # what stands under a condition may well end
                if name in path:
                    loop = " → ".join((*path[path.index(name) :], name))
                    self._say(
                        file, line, self.sources[file].column(line, name), f"includes itself without an end: {loop}"
                    )
                elif name in self.sources and name not in done:
                    visit(name, (*path, name))
            done.add(file)

        visit(self.file, (self.file,))

    def _compile(self, names: frozenset[str]) -> None:
        """What only compiling finds: blocks of one name, and deeper nesting than Python takes. Elsewhere it is slow."""
        for source in [s for s in self.sources.values() if s.file.endswith(SUFFIX)]:
            blocks = [node.name for node in source.tree.find_all(nodes.Block)] if source.depth else []
            if source.depth < DEEP and len(set(blocks)) == len(blocks):
                continue
            environment = Environment({}, with_lists(names))
            try:
                environment.compile(source.text, source.file, source.file)
            except jinja2.TemplateSyntaxError as error:
                column = source.column(error.lineno, "")
                self._say(source.file, error.lineno, column, error.message or "cannot be read")
            except (SyntaxError, ValueError, MemoryError, OverflowError) as error:
                self._say(source.file, 0, 0, f"the template cannot be compiled: {type(error).__name__}")
