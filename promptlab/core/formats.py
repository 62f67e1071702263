"""The files that hold prompts: ours, and those of other tools that mean the same."""

from __future__ import annotations

from promptlab.core.interchange import prompty
from promptlab.core.prompt import SUFFIX, Prompt, examine, parse, split
from promptlab.errors import Problem

SUFFIXES = (SUFFIX, prompty.SUFFIX)
"""What the name of a prompt's file ends in: ours, and Microsoft's `.prompty`."""


def is_partial(file: str) -> bool:
    """Whether a file, by its path below prompts/, holds no prompt but what prompts include."""
    return file.rpartition("/")[2].startswith("_")


def parse_file(source: str, file: str) -> Prompt:
    """Read a prompt from the text of a file, by its path below prompts/. Raises SourceError."""
    if file.endswith(prompty.SUFFIX):
        return prompty.parse_prompty(source, file.removesuffix(prompty.SUFFIX))
    return parse(source, file.removesuffix(SUFFIX))


def examine_file(source: str, file: str) -> tuple[Prompt, list[Problem]]:
    """Read as much of a prompt as can be read, and say what cannot. Raises SourceError when that is nothing."""
    if file.endswith(prompty.SUFFIX):
        return prompty.examine_prompty(source, file.removesuffix(prompty.SUFFIX))
    return examine(source, file.removesuffix(SUFFIX))


def template_of(source: str, file: str) -> tuple[str, int]:
    """The Jinja template in a file, and the line on which it begins. Raises SourceError.

    What holds no prompt is a partial, and all template.
    """
    if is_partial(file):
        return source, 1
    if file.endswith(prompty.SUFFIX):
        prompt = prompty.parse_prompty(source, file.removesuffix(prompty.SUFFIX))
        return prompt.body, prompt.body_line
    _, body, line = split(source.removeprefix("\ufeff"), file)
    return body, line
