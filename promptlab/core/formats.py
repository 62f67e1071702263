"""The files that hold prompts: ours, and those of other tools that mean the same."""

from __future__ import annotations

from promptlab.core.prompt import SUFFIX, Prompt, parse

SUFFIXES = (SUFFIX,)
"""What the name of a prompt's file ends in."""


def parse_file(source: str, file: str) -> Prompt:
    """Read a prompt from the text of a file, by its path below prompts/. Raises SourceError."""
    return parse(source, file.removesuffix(SUFFIX))
