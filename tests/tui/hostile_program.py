"""The playground over a library of a stranger, with models of a stranger; it notes which widgets were drawn.

`python -m tests.tui.hostile_program NOTES`: to be run in a terminal, in the folder of the library. When it ends, NOTES
says for each class of widget and screen that stood in a picture whether hostile text, made harmless, stood in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets._toast import Toast

import promptlab.tui.app
from promptlab.app.lab import Labs
from promptlab.core.events import Failure
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine, echo
from promptlab.tui.app import Playground
from promptlab.tui.preferences import own_preferences
from tests.tui.hostile import HARMLESS, OWN_WORDS, TEXTUALS, hostile


class Noting(Playground):
    """Looks at each of its pictures."""

    CSS_PATH = str(Path(promptlab.tui.app.__file__).with_name("app.tcss"))

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(partial(Labs, Path(), lambda: engine), preferences=own_preferences())
        self.seen: dict[type[Widget], bool] = {}
        """Every class that was drawn, and whether hostile text stood where it was."""

    def post_display_hook(self) -> None:
        """A picture was drawn."""
        compositor = self.screen._compositor
        places = {widget: place.intersection(clip) for widget, (place, clip) in compositor.visible_widgets.items()}
        whole = self._is_wanted(type(self.screen))
        wanted = places if whole else {each: place for each, place in places.items() if self._is_wanted(type(each))}
        lines = compositor.render_strips() if wanted else []
        found = {widget: _holds(lines, place) for widget, place in wanted.items()}
        if whole:  # by what is on it: what a window lies over can be seen, too
            others = [each for each in found if each is not self.screen and "Toast" not in type(each).__name__]
            found[self.screen] = any(found[each] for each in others)
        toasted = any(isinstance(each, Toast) for each in places)
        for widget, holds in found.items():
            kind = type(widget)
            if toasted and kind.__name__ in OWN_WORDS:  # the words may be those of the toast that lies over it
                holds = False
            if _is_noted(kind):
                self.seen[kind] = self.seen.get(kind, False) or holds

    def _is_wanted(self, kind: type[Widget]) -> bool:
        """Whether there is something left to find out about a class."""
        return _is_noted(kind) and not (self.seen.get(kind) or (kind in self.seen and kind.__name__ in OWN_WORDS))


def _is_noted(kind: type[Widget]) -> bool:
    return kind.__module__.startswith("promptlab.") or kind.__name__ in TEXTUALS


def _holds(lines: Sequence[Strip], place: Region) -> bool:
    """Whether hostile text, made harmless, stands somewhere."""
    left, right = place.column_span
    text = "".join(line.crop(left, right).text for line in lines[place.y : place.bottom])
    return any(each in text for each in HARMLESS)


def main(notes: Path) -> int:
    """Run it until somebody leaves."""

    def answer(question: Question, prompt: str) -> str:
        if "CRASH" in prompt and question.model == "beta":
            engine.kill("beta", Failure("WorkerDied", hostile("REASON"), hostile("SIGNAL"), (hostile("STDERR"),)))
        if question.constraint is not None:
            return echo(question, prompt)
        code = f"\n```\n{hostile('CODE')}\n```\n" if "CODE" in prompt else ""
        return f"{hostile('SAID')} {question.model} {question.seed} {'A' * 120}{'e' + chr(0x301) * 100} {code} THE-END"

    engine = FakeEngine(answer)
    app = Noting(engine)
    app.run()
    seen = {f"{each.__module__}.{each.__qualname__}": found for each, found in app.seen.items()}
    notes.write_text(json.dumps(seen))
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
