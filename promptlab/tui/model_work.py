"""What is done with models over all screens: pulling, verifying, measuring, and holding them in memory.

One thing that takes long at a time; it goes on whichever screen is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from promptlab.tui.bindings import shown_key
from promptlab.tui.desk import Task
from promptlab.tui.model_news import Doing

if TYPE_CHECKING:
    from promptlab.app.bench import Stage, Terms
    from promptlab.app.holding import Holdings
    from promptlab.app.lab import Lab
    from promptlab.app.models import Progress
    from promptlab.core.bench import Benched
    from promptlab.tui.app import Playground

LOOK_S = 0.5
"""How often to look at what is in memory while something goes on."""
QUIET = 4
"""While nothing does, so many times less often."""
SIZES = (1, 4, 16)
"""Answers at once that are measured."""

DISTURBING = {"play", "batch", "replay"}
"""What asks models, of all that is under way: a paused batch is not among it."""

_VERBS = {"pull": "pulling", "verify": "verifying", "bench": "measuring"}
_PHASES = {"wait": "waiting for another pull", "download": "downloading", "unzip": "unpacking", "verify": "checking"}


class ModelWork:
    """Gives the lab its tasks with models, and puts what comes of them into `Playground.models`."""

    def __init__(self, app: Playground) -> None:
        self._app = app
        self._task: Task[Any] | None = None
        self._looking: Task[Holdings] | None = None
        self._looks = 0
        self._wanted: set[str] = set()
        """Models that somebody has asked for, and that have not failed."""

    # --- what takes long ---------------------------------------------------------------------------------------------

    def pull(self, names: Sequence[str]) -> None:
        """Fetch models that are not on disk."""
        self._begin(Doing("pull", tuple(names), names[0]), partial(_pull, tuple(names)), self._pulled)

    def verify(self, name: str) -> None:
        """Hash a model's file again."""
        self._begin(Doing("verify", (name,), name), partial(_verify, name), self._verified)

    def bench(self, name: str) -> None:
        """Measure how fast a model is, unless others would disturb that."""
        if DISTURBING & self._app.activity.keys():
            self._warn("Something is running, so nothing can be measured: wait until it has ended, or cancel it.")
            return
        self._begin(Doing("bench", (name,), name, "loading"), partial(_bench, name), self._benched)

    def cancel(self) -> None:
        """End what goes on, soon."""
        if self._task is not None:
            self._task.cancel()

    def _begin(self, doing: Doing, work: Callable[[Lab, Task[Any]], Any], done: Callable[[Any], None]) -> None:
        now = self._app.models.doing
        if now is not None:
            cancel = shown_key("models.cancel" if self._app.current_mode == "models" else "cancel", self._app.keys)
            self._warn(f"One thing at a time: {_VERBS[now.what]} {now.name} goes on; {cancel} cancels it.")
            return
        self._show(doing)
        self._task = self._app.desk.do(
            work, items=self._heard, done=partial(self._ended, done), failed=self._failed, lane="models"
        )

    def _heard(self, said: Sequence[Any]) -> None:
        arrived = {each for each in said if isinstance(each, str)}
        if arrived:
            self._app.models = replace(self._app.models, pulled=self._app.models.pulled | arrived)
            self._app.look()
        steps = [each for each in said if isinstance(each, Doing)]
        if steps:
            self._show(steps[-1])

    def _show(self, doing: Doing | None) -> None:
        self._app.models = replace(self._app.models, doing=doing)
        self._app.busy("models", words(doing) if doing else "")

    def _ended(self, done: Callable[[Any], None], value: object) -> None:
        self._task = None
        self._show(None)
        done(value)

    def _failed(self, reasons: tuple[str, ...]) -> None:
        doing, task = self._app.models.doing, self._task
        self._task = None
        self._show(None)
        self._app.look()  # some of it may have been done
        if task is not None and task.cancelled and doing is not None:
            kept = "; the parts that were fetched whole are kept" if doing.what == "pull" else ""
            self._say(f"{_VERBS[doing.what].capitalize()} {doing.name} was cancelled{kept}.")
        else:
            self._app.complain(reasons)

    def _pulled(self, count: int) -> None:
        self._app.look()
        self._say("1 model was pulled." if count == 1 else f"{count} models were pulled.")

    def _verified(self, found: Any) -> None:
        self._app.models = replace(self._app.models, verified={**self._app.models.verified, found.model: found})
        if found.ok:
            self._say(f"{found.model}: its file is what its hash says.")
        else:
            self._app.complain((f"{found.model}: {found.path} is not what its hash says.", "Remove it, then pull it."))

    def _benched(self, found: Benched) -> None:
        if found.error is None:
            self._app.models = replace(self._app.models, benched={**self._app.models.benched, found.model: found})
            self._say(f"{found.model} has been measured.")
        elif found.error.type == "Interrupted":
            self._say(f"Measuring {found.model} was cancelled.")
        else:
            self._app.complain((found.error.message,))

    # --- memory ------------------------------------------------------------------------------------------------------

    def load(self, name: str) -> None:
        """Keep a model in memory, also while nobody asks it anything."""
        self._wanted.add(name)
        self._app.models = replace(self._app.models, asked=self._app.models.asked | {name})
        self._app.desk.do(partial(_hold, name), done=partial(self._loading, name), failed=partial(self._refused, name))

    def _loading(self, name: str, holdings: Holdings) -> None:
        self._app.models = replace(self._app.models, asked=self._app.models.asked - {name})
        self._stand(holdings)

    def _refused(self, name: str, reasons: tuple[str, ...]) -> None:
        self._wanted.discard(name)
        self._app.models = replace(self._app.models, asked=self._app.models.asked - {name})
        self._app.complain(reasons)

    def unload(self, name: str) -> None:
        """Keep it no more, and take it out of memory."""
        self._wanted.discard(name)
        self._app.desk.do(partial(_let_go, name), done=partial(self._unloaded, name), failed=self._app.complain)

    def _unloaded(self, name: str, found: tuple[bool, Holdings]) -> None:
        gone, holdings = found
        self._stand(holdings)
        if not gone:
            self._warn(f"{name} is in use now. Unload it once more when that has ended.")

    def follow(self) -> None:
        """Look at what is in memory from now on. Does no harm when it is called again."""
        if not self._looks:
            self._app.set_interval(LOOK_S, self._look)
            self._look()

    def _look(self) -> None:
        looks, self._looks = self._looks, self._looks + 1
        if (self._looking is not None and not self._looking.over) or (looks % QUIET and not self._lively()):
            return
        self._looking = self._app.desk.do(_holdings, done=self._stand, failed=lambda _: None)

    def _lively(self) -> bool:
        holdings = self._app.models.holdings
        on_their_way = holdings is not None and any(m.state in ("waiting", "loading") for m in holdings.models)
        return bool(self._app.activity) or on_their_way

    def _stand(self, holdings: Holdings) -> None:
        if holdings != self._app.models.holdings:
            self._app.models = replace(self._app.models, holdings=holdings)
        for each in holdings.models:
            if each.name in self._wanted and each.state in ("failed", "crashed"):
                self._wanted.discard(each.name)
                self._app.complain((each.reason,))

    # --- words -------------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._app.notify(text, markup=False)

    def _warn(self, text: str) -> None:
        self._app.notify(text, severity="warning", markup=False)


def words(doing: Doing) -> str:
    """What is being done, for the title."""
    share = "" if doing.fraction is None else f" {doing.fraction:.0%}"
    return f"{_VERBS[doing.what]} {doing.name}{share}"


# --- in the lab's thread ---------------------------------------------------------------------------------------------


def _pull(names: tuple[str, ...], lab: Lab, task: Task[int]) -> int:
    from promptlab.app.models import pull_models  # here because it is slow to import

    count = 0
    for pulled in pull_models(lab, names, partial(_progress, "pull", names, task)):
        task.say(pulled.name)
        count += pulled.fetched
    return count


def _verify(name: str, lab: Lab, task: Task[Any]) -> Any:
    from promptlab.app.models import verify_models

    return next(verify_models(lab, [name], partial(_progress, "verify", (name,), task)))


def _progress(what: Any, names: tuple[str, ...], task: Task[Any], at: Progress) -> None:
    _heed(task)
    phase = "hashing" if what == "verify" else _PHASES[at.phase]
    task.say(Doing(what, names, at.model, phase, at.source, at.done, at.total))


def _heed(task: Task[Any]) -> None:
    if task.cancelled:
        from promptlab.errors import Interrupted

        raise Interrupted("cancelled")


def _bench(name: str, lab: Lab, task: Task[Benched]) -> Benched:
    from promptlab.app.bench import Terms, bench, choose

    terms, stop = Terms(sizes=SIZES), threading.Event()
    task.on_cancel(stop.set)
    return next(bench(lab, choose(lab, [name], None), terms, partial(_stage, terms, task), stop=stop))


def _stage(terms: Terms, task: Task[Any], at: Stage) -> None:
    """Count what has been measured: in each round a prompt, then each number of answers."""
    steps = (0, *terms.sizes)
    done = max(at.round - 1, 0) * len(steps) + (steps.index(at.size) if at.round else 0)
    phase = "loading" if not at.round else f"{at.size} at once" if at.size else "reading a prompt"
    task.say(Doing("bench", (at.model,), at.model, phase, "", done, terms.rounds * len(steps)))


def _holdings(lab: Lab, task: Task[Any]) -> Holdings:
    from promptlab.app.holding import holdings

    return holdings(lab)


def _hold(name: str, lab: Lab, task: Task[Any]) -> Holdings:
    from promptlab.app.holding import hold, holdings

    hold(lab, name)
    return holdings(lab)


def _let_go(name: str, lab: Lab, task: Task[Any]) -> tuple[bool, Holdings]:
    from promptlab.app.holding import holdings, let_go

    gone = let_go(lab, name)
    return gone, holdings(lab)
