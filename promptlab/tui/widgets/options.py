"""What answers are drawn with: one line, that unfolds into a field for each option."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from promptlab.tui import asking, show
from promptlab.tui.asking import Asked
from promptlab.tui.bindings import shown_key
from promptlab.tui.program import program
from promptlab.tui.state import PromptRow
from promptlab.tui.widgets.field import CONTROLS, FieldPane, Line

if TYPE_CHECKING:
    from promptlab.app.models import Entry
    from promptlab.core.prompt import Prompt

_MODES = (("exact: nothing beside it matters", "exact"), ("fast: whatever is quickest", "fast"))


class Setting(Vertical):
    """One option: its name, its field, and what is wrong with what stands there."""

    DEFAULT_CSS = f"""
    Setting {{
        {CONTROLS}
        height: auto;
        & > Horizontal {{ height: 1; }}
        & .label {{ width: 15; color: $text-muted; }}
        & .complaint {{ display: none; height: auto; color: $text-error; padding-left: 2; }}
        &.-wrong .complaint {{ display: block; }}
        & Input, & Select {{ width: 1fr; }}
        &.-wrong Input {{ background: $error 20%; }}
    }}
    """

    def __init__(self, name: str, control: Widget, hint: str = "") -> None:
        super().__init__()
        self.option = name
        self.control = control
        if hint:
            self.control.tooltip = Content(hint)

    def compose(self) -> ComposeResult:
        """Side by side, and the complaint below."""
        yield Horizontal(Static(Content(self.option), classes="label"), self.control)
        yield Static(classes="complaint")

    def complain(self, reason: str) -> None:
        """Say what is wrong, or nothing."""
        self.set_class(bool(reason), "-wrong")
        self.query_one(".complaint", Static).update(show.line(reason))


class OptionsPane(Vertical, FieldPane):
    """Shows what holds, and knows what has been set."""

    DEFAULT_CSS = """
    OptionsPane {
        height: auto;
        & > .summary { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & > VerticalScroll { display: none; height: auto; }
        &.-open { border: round $border-blurred; border-title-color: $text-muted; padding: 0 1; }
        &.-open > .summary { display: none; }
        &.-open > VerticalScroll { display: block; }
        &.-open:focus-within { border: round $accent; border-title-color: $text; }
    }
    """

    row: var[PromptRow | None] = var(None)
    """The prompt, whose own options hold where nothing is set."""
    models: var[tuple[Entry, ...]] = var(())
    """The models that are asked, whose options hold where the prompt has none."""
    samples: var[int] = var(1)
    """How many answers each model gives."""
    open: var[bool] = var(False)
    """Whether the fields are shown."""
    asked: var[Asked] = var(Asked())
    """What has been set."""

    class SamplesSet(Message):
        """Somebody typed another number of samples."""

        def __init__(self, samples: int) -> None:
            super().__init__()
            self.samples = samples

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = Content("Options")
        self._settings: dict[str, Setting] = {}
        self._lines: dict[str, Line] = {}
        """Of each option, once there are fields."""
        self._samples: Line
        self._mode: Select[str]

    def compose(self) -> ComposeResult:
        """The line, and the fields in its place."""
        yield Static(classes="summary")
        yield VerticalScroll(can_focus=False)

    def enter(self) -> None:
        """Unfold, and put the focus on the first field."""
        self.open = True
        self.call_after_refresh(self._lines[asking.NAMES[0]].focus)

    def _make_fields(self) -> None:
        """Only once they are wanted: they are half of the widgets on the screen, and the first paint waits for each."""
        if self._lines:
            return
        self._lines = {name: Line("", placeholder="") for name in asking.NAMES}
        self._settings = {name: Setting(name, line, asking.HINTS[name]) for name, line in self._lines.items()}
        self._samples = Line(str(self.samples), placeholder="1")
        self._mode = Select(_MODES, prompt="as models.yaml says", compact=True)
        fields = [*self._settings.values(), Setting("samples", self._samples), Setting("mode", self._mode)]
        self.query_one(VerticalScroll).mount_all(fields)
        self._name_keys(program(self).keys)
        self._tell()

    def put(self, options: Mapping[str, Any], mode: str | None) -> None:
        """Set these options and no others, as if they had been typed."""
        self.restore({name: json.dumps(value) for name, value in options.items()}, mode)

    @property
    def typed(self) -> dict[str, str]:
        """What stands in the fields of options."""
        return {name: line.value for name, line in self._lines.items() if line.value}

    def restore(self, typed: Mapping[str, str], mode: str | None) -> None:
        """Put into the fields what was once typed, and nothing else."""
        self._make_fields()
        for name, line in self._lines.items():
            line.value = typed.get(name, "")
        if mode in (None, "exact", "fast"):
            self._mode.value = Select.NULL if mode is None else mode

    # --- what is shown -----------------------------------------------------------------------------------------------

    @property
    def _prompt(self) -> Prompt | None:
        return self.row.prompt if self.row else None

    def watch_open(self, open: bool) -> None:
        """Fold or unfold."""
        if open:
            self._make_fields()
        self.set_class(open, "-open")

    def watch_row(self) -> None:
        """Another prompt has other options."""
        self._tell()

    def watch_models(self) -> None:
        """Other models may, too."""
        self._tell()

    def watch_asked(self) -> None:
        """Say what has been set."""
        self._tell()

    def watch_samples(self, samples: int) -> None:
        """Show how many, however that was set."""
        if self._lines and self._samples.value.strip() != str(samples):
            self._samples.value = str(samples)
        self._tell()

    def _tell(self) -> None:
        if not self.is_mounted:
            return
        for name, line in self._lines.items():
            line.hint(asking.placeholder(name, self._prompt, self.models))
        told = asking.summary(self.asked, self.samples, self._prompt, self.models)
        self.query_one(".summary", Static).update(Content.assemble(("▸ ", show.ACCENT), told))

    def on_mount(self) -> None:
        """Say what holds."""
        self._tell()
        self.watch(self.app, "keys", self._name_keys)

    def _name_keys(self, keys: Mapping[str, str]) -> None:
        self.border_subtitle = Content(f"{shown_key('ask.options', keys)} folds")
        fewer, more = shown_key("samples.fewer", keys), shown_key("samples.more", keys)
        if self._lines:
            self._samples.tooltip = Content(f"How often each model is asked: {fewer} and {more} do the same.")

    def on_click(self, event: events.Click) -> None:
        """Unfold."""
        if not self.open:
            self.enter()

    # --- what is typed -----------------------------------------------------------------------------------------------

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input is self._samples and event.value == self._samples.value:  # else another one came after it
            self._count(event.value)
        self._read()

    @on(Select.Changed)
    def _chosen(self, event: Select.Changed) -> None:
        event.stop()
        self._read()

    def _count(self, text: str) -> None:
        try:
            samples = asking.read_samples(text)
        except ValueError:
            return
        if samples != self.samples:
            self.post_message(self.SamplesSet(samples))

    def _read(self) -> None:
        """Take what stands in the fields, and complain where it is none."""
        options, wrong = {}, []
        for name, line in self._lines.items():
            reason = ""
            if line.value.strip():
                try:
                    options[name] = asking.read_option(name, line.value)
                except ValueError as error:
                    reason = str(error)
                    wrong.append(f"{name} {reason}")
            self._settings[name].complain(reason)
        wrong += self._wrong_samples()
        mode = self._mode.value
        self.asked = Asked(options, "exact" if mode == "exact" else "fast" if mode == "fast" else None, tuple(wrong))

    def _wrong_samples(self) -> list[str]:
        setting = self._samples.query_ancestor(Setting)
        try:
            asking.read_samples(self._samples.value)
        except ValueError as error:
            setting.complain(str(error))
            return [f"samples {error}"]
        setting.complain("")
        return []
