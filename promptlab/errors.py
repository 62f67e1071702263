"""Every error that promptlab raises on purpose, and the exit code that each leads to.

    PromptlabError                 1   something failed while it was being done
    ├── UsageError                 2   what was typed or written is wrong; nothing was done
    │   ├── NotFound                   no such prompt, model, record or library
    │   ├── InputError                 a variable is missing, unknown or of the wrong type
    │   ├── OptionError                an option is unknown or out of its range
    │   ├── SourceError                a file is wrong, at file:line:column; may carry several problems
    │   └── ModelMissing               a model is named in models.yaml but its file is not on disk
    ├── RenderError                1   a template failed, ran too long, or grew too large
    ├── PullError                  1   a model could not be fetched, or is not what its hash says
    ├── EngineError                1   a model could not be loaded, or its worker died
    ├── StoreError                 1   the history or the model store cannot be read or written
    └── Interrupted              130   the user pressed Ctrl+C

A message is one line: what is wrong, where, and what to do about it. Foreign exceptions are turned into these at the
edge where they arise; anything else that escapes is a defect, and the command line says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line; the first that applies wins, in the order 130, 2, 1, 100, 0."""

    OK = 0
    ERROR = 1
    USAGE = 2
    CHECKS_FAILED = 100
    INTERRUPTED = 130


class PromptlabError(Exception):
    """The root: `str()` of it is the one line that the user reads."""

    exit_code: Exit = Exit.ERROR

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        """What to do next; printed after the message."""

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class UsageError(PromptlabError):
    """What was typed or written is wrong; nothing was done."""

    exit_code = Exit.USAGE


class NotFound(UsageError):
    """No such prompt, model, record or library."""


class InputError(UsageError):
    """A variable is missing, unknown or of the wrong type."""


class OptionError(UsageError):
    """An option is unknown or out of its range."""


class ModelMissing(UsageError):
    """A model is known, but its file is not on disk."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file. Lines and columns count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        where = ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])
        return f"{where}: {self.message}"


class SourceError(UsageError):
    """A file is wrong, in one place or several."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class RenderError(PromptlabError):
    """A template failed, ran too long, or grew too large."""


class PullError(PromptlabError):
    """A model could not be fetched, or is not what its hash says."""


class EngineError(PromptlabError):
    """A model could not be loaded, or its worker died."""


class StoreError(PromptlabError):
    """The history or the model store cannot be read or written."""


class Interrupted(PromptlabError):
    """The user pressed Ctrl+C."""

    exit_code = Exit.INTERRUPTED
