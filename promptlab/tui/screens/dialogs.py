"""Small questions over a screen: whether to do what cannot be taken back, which of some things, what to call a file."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from promptlab.tui.bindings import bindings
from promptlab.tui.program import key_of
from promptlab.tui.screens.window import Window, key_lines
from promptlab.tui.widgets.field import Line

_LOOK = """
    & > Vertical { width: 90%; max-width: 72; height: auto; padding: 1 2; border: round $accent; }
    & Static { height: auto; }
    & .keys { margin-top: 1; color: $text-muted; }
"""


class SureScreen(Window[bool]):
    """Asks whether to do something; only y says yes."""

    DEFAULT_CSS = f"SureScreen {{ {_LOOK} }}"
    BINDINGS = bindings("sure")
    scope = "sure"

    def __init__(self, title: str, question: Content, yes: str) -> None:
        super().__init__()
        self._title_text = title
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        """The question, and the keys that answer it."""
        with Vertical() as pane:
            pane.border_title = Content(self._title_text)
            yield Static(self._question)
            keys = [(key_of(self, "sure.yes"), self._yes), (key_of(self, "sure.no"), "leaves everything as it is")]
            yield Static(key_lines(keys), classes="keys")


class ChoiceScreen(Window[int | None]):
    """Lists things; gives the place of the one that was chosen."""

    DEFAULT_CSS = f"""
    ChoiceScreen {{
        {_LOOK}
        & OptionList {{
            height: auto; max-height: 20; padding: 0; background: transparent;
            text-wrap: nowrap; text-overflow: ellipsis;
            &, &:focus {{ border: none; background-tint: $foreground 0%; }}
        }}
    }}
    """
    BINDINGS = bindings("choice")
    scope = "choice"

    def __init__(self, title: Content, names: Sequence[Content], marked: int, *, without: int | None = None) -> None:
        """`marked` is where it begins; the one at `without` cannot be chosen."""
        super().__init__()
        self._title_text = title
        self._options = [Option(name, disabled=number == without) for number, name in enumerate(names)]
        self._marked = marked

    def compose(self) -> ComposeResult:
        """What it is for, the things, and the keys."""
        with Vertical():
            yield Static(self._title_text)
            yield OptionList(*self._options)
            yield Static(Content(f"enter chooses · {key_of(self, 'choice.close')} leaves it as it is"), classes="keys")

    def on_mount(self) -> None:
        """Begin at what holds now."""
        listed = self.query_one(OptionList)
        listed.highlighted = self._marked
        listed.focus()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_index)


class NameScreen(Window[str]):
    """Asks for the name of a file; nothing typed is nothing done."""

    DEFAULT_CSS = f"NameScreen {{ {_LOOK} }}"
    BINDINGS = bindings("name")
    scope = "name"

    def __init__(self, title: Content, hint: Content, name: str) -> None:
        super().__init__()
        self._title_text = title
        self._hint = hint
        self._name_before = name

    def compose(self) -> ComposeResult:
        """What it is for, the field, and what it may be."""
        with Vertical():
            yield Static(self._title_text)
            yield Line(self._name_before, placeholder="a name")
            yield Static(self._hint, classes="keys")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())
