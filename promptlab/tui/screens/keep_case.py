"""Ask how an answer is to be kept as a case."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Select, Static

from promptlab.core.text import sanitize, sanitize_line
from promptlab.tui.bindings import bindings
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of
from promptlab.tui.screens.window import Keeping
from promptlab.tui.widgets.bars import Problems
from promptlab.tui.widgets.field import CONTROLS, Area, Line

if TYPE_CHECKING:
    from promptlab.app.keeping import Holds
    from promptlab.app.lab import Lab
    from promptlab.app.stepping import Offer
    from promptlab.core.record import Record

_HOLDS = (
    ("the answer holds this text", "icontains"),
    ("the answer is this text", "equals"),
    ("nothing: only the inputs are kept", "nothing"),
)


class KeepCaseScreen(Keeping):
    """Asks for the file, the id, and what is to hold, and writes the case there."""

    DEFAULT_CSS = f"""
    KeepCaseScreen {{
        {CONTROLS}
        & > VerticalScroll {{
            width: 94%; max-width: 90; height: auto; max-height: 94%;
            border: round $accent; border-title-color: $text; border-subtitle-color: $text-muted; padding: 0 1;
        }}
        & .label {{ height: 1; color: $text-muted; }}
        & Input, & TextArea, & Select {{ margin-bottom: 1; }}
        & TextArea {{ height: auto; min-height: 2; max-height: 6; }}
        & .-gone {{ display: none; }}
    }}
    """
    BINDINGS = bindings("keep")
    scope = "keep"

    unsaved = True
    """The case is in no file yet."""

    def __init__(self, desk: Desk, record: Record, answer: str, id: str, offers: Sequence[Offer]) -> None:
        super().__init__(desk, "Kept as a case in")
        self._record = record
        self._answer = answer
        self._offers = [each for each in offers if not each.problem]
        first = next((number for number, each in enumerate(self._offers) if each.fits), None)
        files = [(Text(sanitize_line(_named(each))), number) for number, each in enumerate(self._offers)]
        self._file: Select[int] = Select(
            [*files, (Text("a new file"), len(files))],
            value=len(files) if first is None else first,
            allow_blank=False,
            compact=True,
        )
        self._new_name = Line("", placeholder="its name in seeds/: mine, or mine.jsonl, or mine.csv")
        self._case_id = Line(id, placeholder="what the case is called")
        self._holds: Select[str] = Select(_HOLDS, value="icontains", allow_blank=False, compact=True)
        self._value = Area(answer, placeholder="the text")

    def compose(self) -> ComposeResult:
        """A field for each question."""
        with VerticalScroll(can_focus=False) as pane:
            pane.border_title = Content("Keep as a case")
            pane.border_subtitle = Content(f"{key_of(self, 'keep.save')} saves · {key_of(self, 'keep.close')}")
            for label, control in (
                ("into", self._file),
                ("called", self._new_name),
                ("id", self._case_id),
                ("expected of later answers", self._holds),
                ("this text", self._value),
            ):
                yield Static(Content(label), classes="label")
                yield control
            yield Problems()

    def on_mount(self) -> None:
        """Show what belongs to the choices."""
        self._show()

    @on(Select.Changed)
    def _show(self) -> None:
        """Only what is still to be said has a field."""
        for control, shown in ((self._new_name, self._is_new), (self._value, self._holds.value != "nothing")):
            control.set_class(not shown, "-gone")
            label = cast(Static, self.query_one(VerticalScroll).children[_before(self, control)])
            label.set_class(not shown, "-gone")

    @property
    def _is_new(self) -> bool:
        return self._file.value == len(self._offers)

    @on(Input.Submitted)
    def action_save(self) -> None:
        """Try it; where it is refused, say why and stay."""
        file = self._new_name.value if self._is_new else self._offers[cast(int, self._file.value)].name
        text = self._value.text
        # What cannot be shown as it is, and was left as it is, is kept as it is.
        value = self._answer if text == sanitize(self._answer) else text
        holds = cast("Holds", self._holds.value)
        self.keep(partial(_keep, self._record, file, self._case_id.value, holds, value, self._is_new))


def _before(screen: KeepCaseScreen, control: Line | Area) -> int:
    return screen.query_one(VerticalScroll).children.index(control) - 1


def _named(offer: Offer) -> str:
    cases = f"{offer.cases:,} case{'' if offer.cases == 1 else 's'}"
    return f"{offer.name}, {cases}" + (f"; {offer.misfit}" if offer.misfit else "")


def _keep(record: Record, file: str, id: str, holds: Holds, value: str, new: bool, lab: Lab, task: Task[str]) -> str:
    from promptlab.app.keeping import NewCase, keep_case  # here because it is slow to import

    return keep_case(lab, record, NewCase(file, id, holds, value, new))
