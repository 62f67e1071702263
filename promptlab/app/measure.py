"""Measure: how likely texts are to models, as answers to conversations. Nothing is drawn.

What was measured before on the same engine is taken from the history.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.loading import start
from promptlab.app.run import IN_FLIGHT, POLL_S, write
from promptlab.core.chat import Segment
from promptlab.core.events import Embedded, EngineEvent, Failed, Failure, Measured, Ready, Score, Vocabulary
from promptlab.core.job import Model
from promptlab.core.record import decisive
from promptlab.core.verdict import Found, Want
from promptlab.engine.backend import Expected, Measurement
from promptlab.errors import PromptlabError
from promptlab.files.models import present

Scored = tuple[Want, "tuple[Score, ...] | Embedded | Failure"]


class Measuring:
    """Measurements that can begin: model by model, each let go as soon as it has nothing left to do.

    A model that fails is a Failure for each of its measurements; the others go on. One whose worker dies is loaded once
    more for what it had not begun. Takes the engine's events: not for
    use while a run goes on.
    """

    def __init__(
        self, lab: Lab, wants: Iterable[Want], models: Mapping[str, Model], *, interactive: bool = True
    ) -> None:
        """`models` has each model that is wanted, by its name. One without messages is a text by itself."""
        self.expected: dict[str, Expected] = {}
        """What each model turned out to be."""
        self._lab = lab
        self._interactive = interactive
        self._waiting: dict[str, deque[Want]] = {}
        for want in dict.fromkeys(wants):
            self._waiting.setdefault(want.model, deque()).append(want)
        self._models = {name: models[name] for name in self._waiting}
        self._vocabularies: dict[str, Vocabulary] = {}
        self._held: set[str] = set()
        self._again: set[str] = set()
        """Models whose worker died, and that were loaded once more."""
        self._running: dict[int, Want] = {}
        self._cancel = threading.Event()

    def cancel(self) -> None:
        """End it; what is not measured by then fails. May be called from any thread."""
        self._cancel.set()

    def results(self) -> Iterator[Scored]:
        """Do it, and give each as soon as it is there."""
        try:
            for model in [] if self._cancel.is_set() else self._models.values():
                yield from self._load(model)
            while self._running or any(self._waiting.values()):
                if self._cancel.is_set():
                    yield from self._give_up()
                    return
                if event := self._lab.backend.next_event(POLL_S):
                    yield from self._take(event)
        finally:  # only where it broke off is anything left to be done
            for seq, want in self._running.items():
                self._lab.backend.cancel(want.model, seq)
            for name in sorted(self._held):
                self._lab.backend.release(name)

    def _give_up(self) -> Iterator[Scored]:
        left = [*self._running.values(), *(want for waiting in self._waiting.values() for want in waiting)]
        for want in left:
            yield want, Failure("Cancelled", "cancelled before it was measured")

    def _load(self, model: Model) -> Iterator[Scored]:
        try:
            start(self._lab, model)
        except PromptlabError as error:
            yield from self._fail(model.name, Failure.of(error))
        else:
            self._held.add(model.name)

    def _take(self, event: EngineEvent) -> Iterator[Scored]:
        name = ""
        match event:
            case Ready(model=name) if name in self._held:
                self.expected[name] = Expected.of(event.engine, event.vocabulary.chat_template)
                self._vocabularies[name] = event.vocabulary
            case Measured(seq=seq, scores=scores) if want := self._running.pop(seq, None):
                name = want.model
                yield want, scores
            case Embedded(seq=seq) if want := self._running.pop(seq, None):
                name = want.model
                yield want, event
            case Failed(seq=int(seq), failure=failure) if want := self._running.pop(seq, None):
                yield want, failure
                if failure.signal is None:  # else its worker has died: there is nobody to ask until it is loaded again
                    name = want.model
            case Failed(model=name, seq=None, failure=failure) if name in self._held:
                self._held.remove(name)
                self._vocabularies.pop(name, None)
                yield from self._died(name, failure)
        if name in self._vocabularies:
            yield from self._ask(name)

    def _died(self, name: str, failure: Failure) -> Iterator[Scored]:
        """A model has failed. When its worker died, it is loaded once more for what it had not begun."""
        if failure.signal is None or name in self._again:
            yield from self._fail(name, failure)
        elif self._waiting[name]:
            self._again.add(name)
            yield from self._load(self._models[name])

    def _ask(self, name: str) -> Iterator[Scored]:
        """Ask as much as may be under way at once; when nothing is left, let the model go."""
        waiting = self._waiting[name]
        while waiting and len(self._running) < IN_FLIGHT:
            want = waiting.popleft()
            try:
                segments = self._before(want)
            except PromptlabError as error:
                yield want, Failure.of(error)
                continue
            seq = next(self._lab.sequences)
            self._running[seq] = want
            asked = Measurement(name, seq, segments, want.texts, interactive=self._interactive, embed=want.embed)
            self._lab.backend.measure(asked)
        if not waiting and name in self._held and not any(want.model == name for want in self._running.values()):
            self._held.remove(name)
            self._lab.backend.release(name)

    def _before(self, want: Want) -> tuple[Segment, ...]:
        """What stands before the texts: for texts by themselves only the token that begins a text, where there is one.

        Raises RenderError and EngineError.
        """
        vocabulary = self._vocabularies[want.model]
        if want.embed:
            return ()
        if want.messages:
            return write(self._lab.sandbox, self._models[want.model], vocabulary, want.messages).segments
        return (Segment(vocabulary.bos, control=True),) if vocabulary.bos else ()

    def _fail(self, name: str, failure: Failure) -> Iterator[Scored]:
        mine = [seq for seq, want in self._running.items() if want.model == name]
        left = [self._running.pop(seq) for seq in mine] + list(self._waiting[name])
        self._waiting[name].clear()
        for want in left:
            yield want, failure


class Cached:
    """Measurements by way of the history: `results` gives those that it has, and then measures the others."""

    def __init__(
        self, lab: Lab, wants: Iterable[Want], models: Mapping[str, Model], *, keep: bool, recall: bool = True
    ) -> None:
        """With `keep`, what is measured goes into the history; with `recall`, it is looked up there first."""
        self.wants = tuple(dict.fromkeys(wants))
        self._lab = lab
        self._models = models
        self._keep = keep
        self._recall = recall
        self._cancel = threading.Event()
        self._measuring: Measuring | None = None

    def cancel(self) -> None:
        """End it; what is not measured by then has an error. May be called from any thread."""
        self._cancel.set()
        if self._measuring is not None:
            self._measuring.cancel()

    def results(self) -> Iterator[tuple[Want, Found]]:
        """Give each as soon as it is there. Raises StoreError."""
        kept = self._kept() if self._recall else {}
        yield from kept.items()
        left = [want for want in self.wants if want not in kept]
        unknown = [want for want in left if want.model not in self._models]
        yield from ((want, Found(error="there is no such model in models.yaml")) for want in unknown)
        wanted = [want for want in left if want.model in self._models]
        self._measuring = Measuring(self._lab, wanted, self._models, interactive=False)
        if self._cancel.is_set():
            self._measuring.cancel()
        for want, scores in self._measuring.results() if wanted else ():
            found = _found(scores)
            if self._keep and found.error is None:
                expected = self._measuring.expected[want.model]
                self._lab.store.keep_measured(_key(want, self._models[want.model], expected), asdict(found))
            yield want, found

    def _kept(self) -> dict[Want, Found]:
        keys: dict[Want, str] = {}
        for name, mine in _by_model(self.wants).items():
            model = self._models.get(name)
            path = present(model) if model is not None else None
            expected = self._lab.backend.expected(model, path) if model is not None and path is not None else None
            if model is not None and expected is not None:
                keys |= {want: _key(want, model, expected) for want in mine}
        values = self._lab.store.measured(list(keys.values())) if keys else {}
        found = {want: _read(values[key], want) for want, key in keys.items() if key in values}
        return {want: each for want, each in found.items() if each is not None}


def _by_model(wants: Sequence[Want]) -> dict[str, list[Want]]:
    found: dict[str, list[Want]] = {}
    for want in wants:
        found.setdefault(want.model, []).append(want)
    return found


def _found(scores: tuple[Score, ...] | Embedded | Failure) -> Found:
    if isinstance(scores, Failure):
        return Found(error=scores.message or scores.type)
    if isinstance(scores, Embedded):
        first, *others = scores.vectors
        return Found(likeness=tuple(math.fsum(a * b for a, b in zip(first, each, strict=True)) for each in others))
    return Found(tuple(math.fsum(each.logprobs) for each in scores), tuple(len(each.ids) for each in scores))


def _read(value: Any, want: Want) -> Found | None:
    """Undo `asdict`; None for what is not that."""
    try:
        if want.embed:
            likeness = tuple(map(float, value["likeness"]))
            return Found(likeness=likeness) if len(likeness) == len(want.texts) - 1 else None
        logprobs, tokens = tuple(map(float, value["logprobs"])), tuple(map(int, value["tokens"]))
    except (TypeError, KeyError, ValueError):
        return None
    return Found(logprobs, tokens) if len(logprobs) == len(tokens) == len(want.texts) else None


def _key(want: Want, model: Model, expected: Expected) -> str:
    """SHA-256, in hex, over JSON of everything that determines what is measured."""
    template = expected.template_for(model)
    messages = [[message.role, message.content] for message in want.messages]
    what = [model.sha256, template, decisive(expected.engine), messages, want.texts]
    what += ["embed"] if want.embed else []
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
