"""What stood on the screen when the program was last left: what a person would have to type or choose again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

MAX_DRAFT = 300_000
"""Characters of a text that are kept: more than are edited in place."""
MAX_DRAFTS = 1_200_000
"""Characters of all texts together."""

Draft = str | bool | int
"""What stands in a field: a text, a switch, or which of some choices."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A prompt's source as it was typed, and not saved."""

    text: str
    stamp: str
    """Of the file as it was when that was begun: where it is another by now, the text is not written over it."""


@dataclass(frozen=True, slots=True)
class Stepping:
    """A case that is in a prompt's form."""

    file: str
    """Its case set, by a path that is the same wherever the program is started."""
    case: str
    """Its id."""
    typed: Mapping[str, Draft] = field(default_factory=dict)
    """What stood in the fields before the first case came."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was set up to be compared, as it was ticked and typed. Leave to run code is given anew each time."""

    prompts: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    samples: str = "1"
    options: str = ""
    variables: str = ""
    judge: str = ""
    recall: str = "everything"
    likeness: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Where somebody has left off in a library."""

    prompt: str | None = None
    """The prompt that is chosen."""
    drafts: Mapping[str, Mapping[str, Draft]] = field(default_factory=dict)
    """What was typed for each prompt, by the names of its inputs."""
    ticked: Mapping[str, bool] = field(default_factory=dict)
    """The models that were ticked or cleared, and which of both."""
    samples: int = 1
    sources: Mapping[str, Unsaved] = field(default_factory=dict)
    """Sources with changes that are not saved, by their prompts."""
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The versions that were chosen, by their prompts."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What was typed for options, by their names."""
    mode: str | None = None
    """The mode that was chosen."""
    cases: Mapping[str, Stepping] = field(default_factory=dict)
    """The cases that are in forms, by their prompts."""
    batch: Batch | None = None
    turns: Mapping[str, str] = field(default_factory=dict)
    """Next turns that were begun, by the ids of the records that they go on from."""


def join(newer: Session, older: Session) -> tuple[Session, Session]:
    """One session of two, the newer one's where both have something; and what is left of the older one then: sources
    that are typed otherwise in both.
    """
    clashing = {name: each for name, each in older.sources.items() if newer.sources.get(name, each) != each}
    joined = replace(
        newer,
        prompt=newer.prompt or older.prompt,
        drafts={**older.drafts, **newer.drafts},
        ticked={**older.ticked, **newer.ticked},
        sources={**older.sources, **newer.sources},
        versions={**older.versions, **newer.versions},
        cases={**older.cases, **newer.cases},
        batch=newer.batch or older.batch,
        turns={**older.turns, **newer.turns},
    )
    return joined, Session(sources=clashing)


def slim(session: Session) -> Session:
    """As much of it as is kept: no endless texts, sources before anything else, the chosen prompt's before others'."""
    return _slimming(session)[0]


def left_out(session: Session) -> tuple[str, ...]:
    """What is not kept, as it would be too much."""
    return _slimming(session)[1]


def size(session: Session) -> int:
    """About how many characters it comes to."""
    drafts = [*session.drafts.values(), *(each.typed for each in session.cases.values())]
    texts = [*(each.text for each in session.sources.values()), *session.turns.values()]
    return sum(map(len, texts)) + sum(_length(draft) for some in drafts for draft in some.values())


class _Room:
    """What there is room for."""

    def __init__(self) -> None:
        self._left = MAX_DRAFTS
        self.refused: list[str] = []

    def takes(self, what: str, *texts: Draft) -> bool:
        lengths = [_length(text) for text in texts]
        fits = max(lengths) <= MAX_DRAFT and sum(lengths) <= self._left
        if fits:
            self._left -= sum(lengths)
        else:
            self.refused.append(what)
        return fits


def _slimming(session: Session) -> tuple[Session, tuple[str, ...]]:
    room = _Room()
    sources = {
        name: each
        for name, each in _chosen_first(session.sources, session.prompt)
        if room.takes(f"the source of {name}", each.text, name, each.stamp)
    }
    turns = {id: text for id, text in session.turns.items() if room.takes("the next turn", text, id)}
    drafts = {
        name: {k: draft for k, draft in some.items() if room.takes(f"{k} of {name}", draft, k, name)}
        for name, some in _chosen_first(session.drafts, session.prompt)
    }
    options = {k: text for k, text in session.options.items() if room.takes(f"the option {k}", text, k)}
    cases = {
        name: replace(each, typed={k: d for k, d in each.typed.items() if room.takes(f"{k} of {name}", d, k, name)})
        for name, each in _chosen_first(session.cases, session.prompt)
        if room.takes(f"the case of {name}", each.file, each.case, name)
    }
    batch = session.batch
    if batch and not room.takes("the batch's set-up", batch.samples, batch.options, batch.variables, batch.judge):
        batch = None
    kept = replace(
        session,
        sources=sources,
        turns=turns,
        drafts={name: some for name, some in drafts.items() if some},
        options=options,
        cases=cases,
        batch=batch,
    )
    return kept, tuple(dict.fromkeys(room.refused))


def _chosen_first(named: Mapping[str, T], chosen: str | None) -> Iterable[tuple[str, T]]:
    return sorted(named.items(), key=lambda item: item[0] != chosen)


def _length(draft: Draft) -> int:
    return len(draft) if isinstance(draft, str) else 1
