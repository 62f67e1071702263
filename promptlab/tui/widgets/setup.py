"""What a comparison is set up with: prompts, cases and models to tick, and a few fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Grid, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.widgets import Select, Static

from promptlab.tui import show
from promptlab.tui.program import key_of
from promptlab.tui.widgets.bars import Problems
from promptlab.tui.widgets.field import CONTROLS, Box, Line
from promptlab.tui.widgets.ticks import Tick, TickList

if TYPE_CHECKING:
    from promptlab.app.cases import CaseRow
    from promptlab.app.models import Entry
    from promptlab.app.prompts import Logged
    from promptlab.core.session import Batch
    from promptlab.tui.state import Survey

RECALLS = (
    ("take them", "everything"),
    ("repeat errors", "answers"),
    ("ask all again", "nothing"),
)
"""What to do with answers that the history has."""
MAX_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class Draft:
    """What has been set up, as it was typed."""

    prompts: tuple[str, ...]
    cases: tuple[str, ...]
    models: tuple[str, ...]
    samples: str = "1"
    options: str = ""
    """`temperature=0.2 seed=7`"""
    variables: str = ""
    """`topic=rain`: what every case has, unless it says otherwise."""
    judge: str = ""
    recall: str = "everything"
    likeness: bool = False
    code: bool = False


class Setup(VerticalScroll):
    """Shows what can be compared, and knows what was chosen."""

    DEFAULT_CSS = f"""
    Setup {{
        & > .lists {{ height: 1fr; min-height: 7; & > TickList {{ width: 1fr; height: 1fr; padding: 0 1; }} }}
        & > Grid {{
            {CONTROLS}
            height: auto;
            grid-size: 4;
            grid-columns: 1fr 2fr 2fr 2fr;
            grid-gutter: 0 2;
            grid-rows: auto;
            padding: 0 2;
            & > Vertical {{ height: auto; }}
            & Static {{ height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }}
        }}
    }}
    """

    survey: var[Survey | None] = var(None, init=False)
    """What the library holds."""
    files: var[tuple[CaseRow, ...]] = var((), init=False)
    """The case files in seeds/."""
    versions: var[dict[str, tuple[Logged, ...]]] = var(dict[str, "tuple[Logged, ...]"], init=False)
    """The versions that are known, by the name of the prompt."""
    labels: var[dict[str, tuple[str, ...]]] = var(dict[str, tuple[str, ...]], init=False)
    """Versions that were chosen elsewhere, by the name of the prompt: they are listed, too."""
    folded: var[frozenset[str]] = var(frozenset(), init=False)
    """The prompts whose versions are known, and not listed now."""
    reasons: var[tuple[str, ...]] = var((), init=False)
    """Why it could not begin."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=False)
        self.prompts = TickList("Prompts", "There is no prompt here yet.", id="batch-prompts")
        self.cases = TickList("Cases", "There is no file in seeds/: one case, of the variables.", id="batch-cases")
        self.models = TickList("Models", "models.yaml has no model.", id="batch-models")
        self._samples = Line("1", placeholder="1")
        self._options = Line("", placeholder="temperature=0.2 seed=7")
        self._variables = Line("", placeholder="topic=rain audience='a child'")
        self._judge = Line("", placeholder="a model's name")
        self._likeness = Box()
        self._code = Box()
        self._recall: Select[str] = Select(RECALLS, value="everything", allow_blank=False, compact=True)

    def compose(self) -> ComposeResult:
        """Lists above, fields below, and what is wrong."""
        with Horizontal(classes="lists"):
            yield self.prompts
            yield self.cases
            yield self.models
        with Grid():
            yield from (
                _labelled("samples", self._samples),
                _labelled("options", self._options),
                _labelled("shared variables", self._variables),
                _labelled("judge", self._judge),
                _labelled("likeness", self._likeness),
                _labelled("history's answers", self._recall),
                _labelled("run `python` checks", self._code),
            )
        yield Problems(id="batch-problems").data_bind(Setup.reasons)

    @property
    def draft(self) -> Draft:
        """What has been chosen."""
        return Draft(
            self.prompts.ticked,
            self.cases.ticked,
            self.models.ticked,
            self._samples.value,
            self._options.value,
            self._variables.value,
            self._judge.value.strip(),
            str(self._recall.value),
            self._likeness.value,
            self._code.value,
        )

    @property
    def left(self) -> Batch:
        """What is put back the next time."""
        from promptlab.core.session import Batch

        draft = self.draft
        return Batch(
            self.prompts.wanted,
            self.cases.wanted,
            self.models.wanted,
            draft.samples,
            draft.options,
            draft.variables,
            draft.judge,
            draft.recall,
            draft.likeness,
        )

    def put(self, left: Batch) -> None:
        """Put back what was set up once."""
        self.choose(left.prompts)
        self.cases.tick(left.cases)
        self.models.tick(left.models)
        self._samples.value, self._options.value = left.samples, left.options
        self._variables.value, self._judge.value = left.variables, left.judge
        if left.recall in {recall for _, recall in RECALLS}:
            self._recall.value = left.recall
        self._likeness.value = left.likeness

    def choose(self, labels: Sequence[str]) -> None:
        """Tick prompts and versions, and list the latter."""
        names = [label.partition("@")[0] for label in labels]
        self.labels = {
            name: tuple(label for n, label in zip(names, labels, strict=True) if n == name) for name in names
        }
        self.prompts.tick(labels)

    def watch_survey(self) -> None:
        """List other prompts and models."""
        self._list_prompts()
        key = key_of(self, "screen.models")
        self.models.rows = tuple(
            Tick(row.name, row.title, row.name if row.title else "", "" if row.askable else _missing(row, key))
            for row in (self.survey.models if self.survey else ())
        )

    def watch_versions(self) -> None:
        """List the versions of a prompt below it."""
        self._list_prompts()

    def watch_labels(self) -> None:
        """List those, too."""
        self._list_prompts()

    def watch_folded(self) -> None:
        """List the versions of a prompt, or hide them."""
        self._list_prompts()

    def watch_files(self, files: tuple[CaseRow, ...]) -> None:
        """List other case files."""
        names = [row.name for row in files]  # where two files have one name, only the whole of it says which
        self.cases.rows = tuple(
            Tick(
                row.name if names.count(row.name) == 1 else row.file,
                about=f"{row.cases:,} case{'' if row.cases == 1 else 's'}  {row.description}",
                problem=row.problem or "",
            )
            for row in files
        )

    def _list_prompts(self) -> None:
        rows: list[Tick] = []
        for each in self.survey.prompts if self.survey else ():
            logged = {
                f"{each.name}@{version.number}": f"{version.date[:10]}  {version.subject}"
                for version in self.versions.get(each.name, ())[:MAX_VERSIONS]
            }
            others = {label: "" for label in self.labels.get(each.name, ()) if label not in (each.name, *logged)}
            versions = [Tick(label, about=about, below=each.name) for label, about in {**logged, **others}.items()]
            shut = each.name in self.folded
            keys = tuple(version.key for version in versions) if shut else ()
            prompt = Tick(each.name, about=each.description, problem=each.problem, folded=keys)
            rows += [prompt, *([] if shut else versions)]
        self.prompts.rows = tuple(rows)


def _labelled(label: str, control: Line | Select[str] | Box) -> Vertical:
    return Vertical(Static(Content.styled(label, show.DIM)), control)


def _missing(row: Entry, key: str) -> str:
    """Why a model cannot be asked, and the key of the screen that says what to do."""
    if row.server:
        return "promptlab trust lets it be asked"
    return f"missing: see {key}"
