"""Look around in a lab: prompts and models, as rows. Runs in the lab's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from promptlab.errors import PromptlabError
from promptlab.tui import show
from promptlab.tui.state import PromptRow, Survey

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.models import Entry
    from promptlab.tui.desk import Task

Row = TypeVar("Row")


def survey(lab: Lab, task: Task[Survey]) -> Survey:
    """List prompts and models; what cannot be listed is a problem, not an end."""
    problems: list[str] = []
    prompts = _try(lambda: _prompts(lab), problems)
    models = _try(lambda: _models(lab), problems)
    return Survey(lab.root, prompts, models, tuple(problems))


def _prompts(lab: Lab) -> tuple[PromptRow, ...]:
    from promptlab.app.prompts import entries  # here because it is slow to import

    return tuple(PromptRow(e.name, e.description, e.prompt, e.problem) for e in entries(lab))


def _models(lab: Lab) -> tuple[Entry, ...]:
    from promptlab.app.models import list_entries  # here because it is slow to import

    return tuple(list_entries(lab))


def _try(list_them: Callable[[], tuple[Row, ...]], problems: list[str]) -> tuple[Row, ...]:
    try:
        return list_them()
    except PromptlabError as error:
        problems += show.problems(error)
        return ()
