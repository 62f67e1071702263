"""The inputs of the chosen prompt, as a form made from its signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual import on
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import Input, Static

from promptlab.tui import show
from promptlab.tui.state import PromptRow
from promptlab.tui.widgets.field import Field


class Form(VerticalScroll):
    """One field for each input. What was typed for a prompt is still there when one comes back to it."""

    DEFAULT_CSS = """
    Form { padding: 0 1; }
    """

    row: var[PromptRow | None] = var(None, init=False)
    """The prompt whose inputs are shown."""

    class RunRequested(Message):
        """Enter was pressed in a single-line field."""

    def __init__(self, *, id: str | None = None) -> None:
        # The panes' frames take the focus only where there is nothing in them to take it.
        super().__init__(id=id, can_focus=False)
        self._drafts: dict[str, dict[str, Any]] = {}
        self._shown: PromptRow | None = None
        self._built: PromptRow | None = None
        """The prompt whose fields stand; while they are made, it is another than `row`."""
        self._wanted = False
        """The focus is wanted as soon as they stand."""
        self.border_title = Content("Inputs")

    @property
    def prompt_name(self) -> str | None:
        """The prompt that the fields on the screen belong to; None while there is none that can be run."""
        return self._shown.name if self._shown and self._shown.prompt else None

    def values(self) -> Mapping[str, Any]:
        """What a run is given."""
        given: dict[str, Any] = {}
        for field in self.query(Field):
            given |= field.given()
        return given

    def enter(self) -> bool:
        """Put the focus on the first field, as soon as there is one; False where there will be none."""
        if self.row != self._built:
            self._wanted = True
            return True
        first = next(iter(self.query(Field)), None)
        if first is not None:
            first.control.focus()
        return first is not None

    async def watch_row(self, row: PromptRow | None) -> None:
        """Show another prompt's inputs."""
        if row == self._shown:
            return
        if self._shown is not None:
            self._drafts[self._shown.name] = {f.declared.name: f.draft for f in self.query(Field)}
        self._shown = None
        await self.query("Form > *").remove()
        self._shown = row
        if row is not None:
            await self._build(row)
        self._built = row
        if self._wanted:
            self._wanted = False
            self.enter()

    async def _build(self, row: PromptRow) -> None:
        self.border_title = Content.assemble("Inputs of ", show.line(row.name, "bold"))
        if row.prompt is None:
            await self.mount(Static(show.line(row.problem, show.BAD)))
        elif not row.prompt.inputs:
            await self.mount(Static(Content.styled("It takes none: ctrl+r runs it.", show.DIM)))
        else:
            drafts = self._drafts.get(row.name, {})
            await self.mount_all(Field(i, _fitting(i.name, drafts)) for i in row.prompt.inputs)
        self.scroll_home(animate=False)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.RunRequested())


def _fitting(name: str, drafts: Mapping[str, Any]) -> Any:
    return drafts.get(name)
