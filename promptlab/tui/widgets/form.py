"""The inputs of the chosen prompt, as a form made from its signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import Static

from promptlab.tui import fields, show
from promptlab.tui.fields import Held
from promptlab.tui.program import key_of
from promptlab.tui.state import PromptRow
from promptlab.tui.widgets.field import Field, FieldPane

if TYPE_CHECKING:
    from promptlab.core.case import Case
    from promptlab.core.prompt import Input as Declared


@dataclass(frozen=True, slots=True)
class Filling:
    """A case in the form of one prompt."""

    label: str
    """Where it is from, and which one: `facts 3/20: france`."""
    description: str = ""
    misfit: str = ""
    """Why it cannot be given to the prompt; empty where it can, or while nobody has looked."""
    held: Mapping[str, Held] = field(default_factory=dict)
    """What it gave, by the names of the inputs; set when the fields are left."""
    typed: Mapping[str, Any] = field(default_factory=dict)
    """What stood in the fields before the first case came."""


class Form(VerticalScroll, FieldPane):
    """One field for each input. What was typed for a prompt is still there when one comes back to it."""

    DEFAULT_CSS = """
    Form {
        padding: 0 1;
        & > .note { display: none; height: auto; margin-bottom: 1; color: $text-muted; }
        & > .note.-shown { display: block; }
    }
    """

    row: var[PromptRow | None] = var(None, init=False)
    """The prompt whose inputs are shown."""

    class Built(Message):
        """The fields of a prompt stand."""

        def __init__(self, prompt: str) -> None:
            super().__init__()
            self.prompt = prompt

    def __init__(self, *, id: str | None = None) -> None:
        # The panes' frames take the focus only where there is nothing in them to take it.
        super().__init__(id=id, can_focus=False)
        self._drafts: dict[str, dict[str, Any]] = {}
        self._fillings: dict[str, Filling] = {}
        """The case in the form of each prompt that has one."""
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

    @property
    def drafts(self) -> dict[str, dict[str, Any]]:
        """What was typed into the fields of each prompt that was shown, in the controls' own terms."""
        here = {self._shown.name: self._on_screen()} if self._shown is not None and self._shown.prompt else {}
        return {**self._drafts, **here}

    def restore(self, drafts: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember what was once typed, for prompts that have not been shown yet."""
        self._drafts = {**{name: dict(some) for name, some in drafts.items()}, **self._drafts}

    def values(self) -> Mapping[str, Any]:
        """What a run is given."""
        given: dict[str, Any] = {}
        for each in self.query(Field):
            given |= each.given()
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

    # --- cases -------------------------------------------------------------------------------------------------------

    async def fill(self, prompt: str, case: Case, label: str, *, typed: bool) -> None:
        """Show the inputs of a case, if the form is still that of this prompt. `typed`: its values are typed text."""
        if self.prompt_name != prompt:
            return
        before = self._fillings.get(prompt)
        kept = before.typed if before else self._on_screen()
        self._fillings[prompt] = Filling(label, case.description, typed=kept)
        for each in self.query(Field):
            name = each.declared.name
            if name in case.vars:
                await each.hold(case.vars[name], typed=typed)
            else:
                await each.put(None)
        self._tell()

    async def empty(self) -> None:
        """Go back to what stood in the fields before the first case came."""
        filling = self._fillings.pop(self._shown.name, None) if self._shown is not None else None
        if filling is not None:
            for each in self.query(Field):
                await each.put(filling.typed.get(each.declared.name))
        self._tell()

    def resume(self, prompt: str, case: Case, label: str, before: Mapping[str, Any], *, typed: bool) -> bool:
        """Say again that a case is in the form, as it was when the program was left: what stands in the fields stays.

        `before` stood there before the first case. False where the form is no longer that of this prompt.
        """
        if self.prompt_name != prompt:
            return False
        self._fillings[prompt] = Filling(label, case.description, typed=before)
        for each in self.query(Field):
            if each.declared.name in case.vars:
                each.recognise(case.vars[each.declared.name], typed=typed)
        self._tell()
        return True

    def typed_before(self, prompt: str) -> Mapping[str, Any]:
        """What stood in a prompt's fields before the case that is there."""
        filling = self._fillings.get(prompt)
        return filling.typed if filling else {}

    def complain(self, prompt: str, label: str, misfit: str) -> None:
        """Say why the case of this label does not fit, or that it does, if it is still there."""
        filling = self._fillings.get(prompt)
        if filling is not None and filling.label == label:
            self._fillings[prompt] = replace(filling, misfit=misfit)
            self._tell()

    def _tell(self) -> None:
        """Name the case, and say what there is to say of it."""
        filling = self._fillings.get(self._shown.name) if self._shown is not None else None
        self.border_subtitle = show.line(filling.label) if filling else None
        for note in self.query(".note").results(Static):
            misfit, description = (filling.misfit, filling.description) if filling else ("", "")
            wrong = show.line(f"This case does not fit: {misfit}", show.BAD) if misfit else Content("")
            said = show.join([wrong, show.line(description)], "\n")
            note.update(said)
            note.set_class(bool(said.plain), "-shown")

    # --- another prompt ----------------------------------------------------------------------------------------------

    def _on_screen(self) -> dict[str, Any]:
        """What is not as it was before anybody touched it: a default is not to be taken for something typed later."""
        return {each.declared.name: each.draft for each in self.query(Field) if each.touched}

    def _put_away(self) -> None:
        """Remember what stands in the fields; of a prompt that cannot be read, what stood there while it could."""
        if self._shown is None or self._shown.prompt is None:
            return
        name = self._shown.name
        self._drafts[name] = self._on_screen()
        if name in self._fillings:
            held = {each.declared.name: each.held for each in self.query(Field) if each.held is not None}
            self._fillings[name] = replace(self._fillings[name], held=held)

    async def watch_row(self, row: PromptRow | None) -> None:
        """Show another prompt's inputs."""
        if row == self._shown:
            return
        self._put_away()
        self._shown = None
        await self.query("Form > *").remove()
        self._shown = row
        if row is not None:
            await self._build(row)
        self._built = row
        self._tell()
        if self.prompt_name is not None:
            self.post_message(self.Built(self.prompt_name))
        if self._wanted:
            self._wanted = False
            self.enter()

    async def _build(self, row: PromptRow) -> None:
        label = row.prompt.label if row.prompt else row.name
        self.border_title = Content.assemble("Inputs of ", show.line(label, "bold"))
        if row.prompt is None:
            await self.mount(Static(show.line(row.problem, show.BAD)))
        elif not row.prompt.inputs:
            await self.mount(Static(Content.styled(f"It takes none: {key_of(self, 'run')} runs it.", show.DIM)))
        else:
            drafts = self._drafts.get(row.name, {})
            held = self._fillings[row.name].held if row.name in self._fillings else {}
            made = [Field(i, _fitting(i, drafts), held.get(i.name)) for i in row.prompt.inputs]
            await self.mount_all([Static(classes="note"), *made])
        self.scroll_home(animate=False)


def _fitting(declared: Declared, drafts: Mapping[str, Any]) -> Any:
    """What was typed for an input, if its control can still show it: the prompt may have changed since."""
    draft = drafts.get(declared.name)
    return draft if fields.fits(declared, draft) else None
