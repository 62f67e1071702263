"""Where an answer comes from: which of the things that a record names are still what they were.

What there is now is gathered elsewhere (`app.verify_run`); this only compares. Nothing here says whether the same
question would be answered the same: that is what `core.replay` is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from promptlab.core.events import Engine, Server
from promptlab.core.job import Model
from promptlab.core.prompt import text_hash
from promptlab.core.record import Record, key
from promptlab.core.schema import shorten

Standing = Literal["same", "differs", "gone", "unknown"]

SHOWN = 12
"""Digits of a hash that are shown: enough to tell two apart."""
_ABSENT = "is not said"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a record names."""

    what: str
    standing: Standing
    was: str
    """In one line."""
    now: str
    """The same, or why it cannot be told."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How all of a record's things stand."""

    id: str
    prompt: str
    label: str
    """What the prompt's version is called."""
    model: str
    items: tuple[Item, ...]

    def named(self, *standings: Standing) -> tuple[str, ...]:
        """The things that stand like this."""
        return tuple(item.what for item in self.items if item.standing in standings)

    @property
    def standing(self) -> Standing:
        """The worst that is certain; `unknown` where nothing else is wrong, and `same` where all is."""
        if self.named("differs", "gone"):
            return "differs"
        return "unknown" if self.named("unknown") else "same"


@dataclass(frozen=True, slots=True)
class PromptNow:
    """The prompt of that name."""

    hash: str | None
    """As it lies on the disk; None where there is none, or it cannot be read."""
    problem: str = ""
    """Why it cannot be read; empty where there is none."""
    versions: tuple[str, ...] = ()
    """What in git is what it was: `version 3 (commit 1a2b3c4d5e)`."""


@dataclass(frozen=True, slots=True)
class WeightsNow:
    """The file of that hash."""

    size: int | None
    """None where it is not in the store."""
    sha256: str | None = None
    """Computed now; None where it was not, because only its name and size were asked."""
    wanted: int | None = None
    """The size that models.yaml says."""
    problem: str = ""
    """Why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Now:
    """What there is."""

    prompt: PromptNow
    weights: WeightsNow
    models: Mapping[str, Model]
    """The entries of models.yaml."""
    template: str | None = None
    """The hash of the chat template that would be used; empty for none, None where it cannot be told."""
    engine: Engine | None = None
    """What would compute it; None where it cannot be asked."""
    measured: bool = False
    """Whether it is known how the engine would lay out its work: threads, layout, and safe mode."""
    options: Mapping[str, Any] | None = None
    """That would hold, the seed among them, with what was asked for with the run; None where it cannot be told."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why something cannot be told, by what an item is called."""


def compare(record: Record, now: Now) -> Verified:
    """Compare everything that a record names with what there is now."""
    prompt = record.prompt
    return Verified(record.id, prompt.name, prompt.label, record.model.name, tuple(_items(record, now)))


def unreadable(id: str, problem: str) -> Verified:
    """What is said of a record that cannot be read."""
    return Verified(id, "", "", "", (Item("record", "unknown", "", problem),))


def entry_of(models: Mapping[str, Model], record: Record) -> Model | None:
    """The entry for the weights that answered, of the same name if there is one."""
    named, sha256 = models.get(record.model.name), record.model.sha256
    if sha256 is None or (named is not None and named.sha256 == sha256):
        return named
    return next((model for model in models.values() if model.sha256 == sha256), None)


def _items(record: Record, now: Now) -> Iterator[Item]:
    yield _record(record)
    yield _prompt(record, now.prompt)
    yield _weights(record, now.weights)
    yield _entry(record, now.models)
    yield _template(record, now)
    was = record.engine
    if was is None:
        yield Item("engine", "unknown", _ABSENT, "the model never ran, or nobody wrote down what computed it")
    elif was.server is not None:
        yield Item("engine", "unknown", _server(was.server), "what a server computes with, only it knows")
    else:
        yield from _engine(was, now)
    yield _options(record, now)


# --- the record itself, and its prompt -------------------------------------------------------------------------------


def _record(record: Record) -> Item:
    """Whether the key is that of what the record holds: then neither has been altered."""
    was = f"key {_short(record.key)}"
    if text_hash(record.prompt.source, record.prompt.partials) != record.prompt.hash:
        return Item("record", "differs", was, "the prompt's text in it is not the one that its hash says")
    found = key(
        record.prompt.hash,
        record.inputs,
        record.case,
        record.model,
        record.engine,
        record.options,
        record.overrides or {},
        record.seed,
        record.sample,
    )
    if found == record.key:
        return Item("record", "same", was, "the same, computed again from what it holds")
    if record.overrides is None:
        return Item("record", "unknown", was, "an old record, which does not hold all that its key is made of")
    return Item("record", "differs", was, f"key {_short(found)} follows from what it holds: it has been altered")


def _prompt(record: Record, now: PromptNow) -> Item:
    ref = record.prompt
    was = f"{ref.label}, hash {_short(ref.hash)}"
    versions = ", ".join(now.versions)
    if now.hash == ref.hash:
        return Item("prompt", "same", was, f"the same; {versions or 'no commit holds it'}")
    kept = f"{versions} has what it was" if versions else "no version in git has what it was, only the record"
    if now.hash is not None:
        return Item("prompt", "differs", was, f"hash {_short(now.hash)}; {kept}")
    if now.problem:
        return Item("prompt", "differs", was, f"it cannot be read: {now.problem}; {kept}")
    return Item("prompt", "gone", was, f"there is no prompt {ref.name}; {kept}")


# --- the model -------------------------------------------------------------------------------------------------------


def _weights(record: Record, now: WeightsNow) -> Item:
    sha256 = record.model.sha256
    if sha256 is None:
        return Item("weights", "unknown", _ABSENT, "which weights answered was not known then")
    was = f"sha256 {_short(sha256)}"
    if now.problem:
        return Item("weights", "unknown", was, now.problem)
    if now.size is None:
        return Item("weights", "gone", was, "the file is not on disk")
    if now.sha256 is not None:
        same = now.sha256 == sha256
        return Item("weights", "same" if same else "differs", was, f"sha256 {_short(now.sha256)}, hashed just now")
    size = f"{now.size:,} bytes"
    if now.wanted not in (None, now.size):
        return Item("weights", "differs", was, f"the file has {size}, and models.yaml says {now.wanted:,}")
    return Item("weights", "same", was, f"a file of this name with {size}; not hashed")


def _entry(record: Record, models: Mapping[str, Model]) -> Item:
    what, name, server = "model entry", record.model.name, record.engine.server if record.engine else None
    named, meant = models.get(name), entry_of(models, record)
    if server is not None and named is not None:
        now = f"{name}, at {shorten(named.server, 100)}" if named.server else f"{name} is a file now"
        same = named.server is not None and _place(named.server) == _place(server.address)
        return Item(what, "same" if same else "differs", f"{name}, at {server.address}", now)
    was = f"{name}, sha256 {_short(record.model.sha256)}"
    if meant is None and named is None:
        return Item(what, "gone", was, "models.yaml knows neither the name nor the weights")
    if meant is not None and meant is named:
        return Item(what, "same", was, "the same")
    weights = f"those weights are {meant.name}" if meant is not None else "no entry has those weights"
    if named is None:
        return Item(what, "differs", was, f"there is no {name}; {weights}")
    return Item(what, "differs", was, f"{name} is sha256 {_short(named.sha256)}; {weights}")


def _place(address: str) -> str:
    """Host, port and path: a record's address has no more."""
    return address.partition("://")[2].rstrip("/") or address.rstrip("/")


def _template(record: Record, now: Now) -> Item:
    what, hash = "chat template", record.model.template_hash
    if record.engine is not None and record.engine.server is not None:
        return Item(what, "unknown", _ABSENT, "the server writes it, and does not say which it is")
    was = f"hash {_short(hash)}" if hash else "none"
    if now.template is None:
        return Item(what, "unknown", was, now.problems.get(what, "it cannot be told"))
    if record.engine is None and hash is None:
        return Item(what, "unknown", _ABSENT, "the model never ran")
    if now.template == (hash or ""):
        return Item(what, "same", was, "the same")
    return Item(what, "differs", was, f"hash {_short(now.template)}" if now.template else "none")


# --- what computes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """One value among several that one item is about; None stands for what is not known."""

    name: str
    was: Any
    now: Any


def _engine(was: Engine, now: Now) -> Iterator[Item]:
    here = now.engine
    if here is None:
        yield Item("engine", "unknown", f"llama.cpp {was.llama_cpp}", now.problems.get("engine", "it cannot be asked"))
        return
    parts = [_Part("llama.cpp", was.llama_cpp, here.llama_cpp)]
    parts += [_Part("llguidance", was.llguidance, here.llguidance)] if was.llguidance else []
    parts += [_Part("revision", was.revision, here.revision)] if was.revision else []
    old, new = _unlike(was.build, here.build)
    parts += [_Part("build", old or "as now", new or "as then")] if old or new else []
    yield _of_parts("engine", parts)
    measured = now.measured
    safe = [_Part("safe mode", was.safe_mode, here.safe_mode if measured else None)] if was.safe_mode else []
    yield _of_parts("processor", [_Part("", was.cpu, here.cpu), *safe])
    unasked = "it is measured when the model is loaded"
    yield _of_parts("threads", [_Part("", was.threads, here.threads if measured or here.threads else None)], unasked)
    yield _of_parts("layout", _layout(was, here, measured), unasked)
    # A run chooses it, so it is always to be had.
    yield Item("mode", "same", was.mode, "the same")


def _layout(was: Engine, here: Engine, measured: bool) -> list[_Part]:
    new: Mapping[str, Any] = here.layout if measured else dict.fromkeys(was.layout)
    layout = [_Part(name, was.layout.get(name, "none"), new.get(name, "none")) for name in sorted({*was.layout, *new})]
    return [_Part("context", was.context, here.context or None), *layout]


def _of_parts(what: str, parts: Sequence[_Part], unknown: str = "it cannot be told") -> Item:
    """One item: of parts of which some differ, only those are shown."""
    if unlike := [part for part in parts if part.now is not None and part.was != part.now]:
        return Item(what, "differs", *_both(unlike))
    if any(part.now is None for part in parts):
        return Item(what, "unknown", _both(parts)[0], unknown)
    was, _ = _both(parts)
    return Item(what, "same", was, "the same")


def _both(parts: Sequence[_Part]) -> tuple[str, str]:
    old = [f"{part.name} {_word(part.was)}".strip() for part in parts]
    new = [f"{part.name} {_word(part.now)}".strip() for part in parts]
    return ", ".join(old), ", ".join(new)


def _unlike(old: str, new: str) -> tuple[str, str]:
    """Two lists of features, without what they share."""
    olds, news = ([part.strip() for part in text.split("|") if part.strip()] for text in (old, new))
    return ", ".join(p for p in olds if p not in news), ", ".join(p for p in news if p not in olds)


def _server(server: Server) -> str:
    said = " ".join(filter(None, (server.kind, server.version)))
    return f"{server.model} at {server.address}" + (f" ({said})" if said else "")


# --- options ---------------------------------------------------------------------------------------------------------


def _options(record: Record, now: Now) -> Item:
    had = {**record.options, "seed": record.seed}
    if now.options is None:
        return Item("options", "unknown", _listed(had), now.problems.get("options", "it cannot be told"))
    unlike = [name for name in dict.fromkeys((*had, *now.options)) if had.get(name) != now.options.get(name)]
    if not unlike:
        return Item("options", "same", _listed(had), "the same")
    old, new = ({name: side.get(name) for name in unlike} for side in (had, now.options))
    if record.overrides is None:
        asked = "; an old record, which does not say what the run itself asked for"
        return Item("options", "unknown", _listed(old), _listed(new) + asked)
    return Item("options", "differs", _listed(old), _listed(new))


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in options.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return shorten(repr(list(value)), 60) if value else "none"
    return "none" if value in (None, "") else shorten(str(value), 120)


def _short(hash: str | None) -> str:
    return hash[:SHOWN] if hash else "none"
