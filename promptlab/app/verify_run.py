"""Provenance: whether what records name is still what it was. Nothing is asked, and no model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from promptlab.app.lab import Lab
from promptlab.core import provenance
from promptlab.core.chat import template_hash
from promptlab.core.events import Engine
from promptlab.core.job import Mode, Model
from promptlab.core.options import merge_options
from promptlab.core.prompt import Prompt
from promptlab.core.provenance import Now, PromptNow, Verified, WeightsNow, entry_of
from promptlab.core.record import Record
from promptlab.engine import probe
from promptlab.engine.backend import Expected
from promptlab.engine.machine import REVISION, cpu_name
from promptlab.errors import EngineError, NotFound, PromptlabError, StoreError
from promptlab.files.gguf_header import MAX_TEMPLATE, read_header
from promptlab.files.models import present
from promptlab.files.pull import Tell, verify
from promptlab.files.versions import Logged

__all__ = ["Verified", "verify_runs"]

MOST_VERSIONS = 3
"""Versions with one text that are named."""
T = TypeVar("T")


def verify_runs(lab: Lab, ids: Sequence[str], tell: Tell, *, quick: bool = False) -> Iterator[Verified]:
    """Compare what records name with what there is now, one record after another.

    Files of weights are hashed, each once; with `quick` only their sizes are looked at. Raises SourceError where
    models.yaml cannot be read, and StoreError.
    """
    here = _Here(lab, tell, quick, lab.models)
    for id in ids:  # a history may be larger than memory
        try:
            record = lab.store.get(id)
        except StoreError as error:
            yield provenance.unreadable(id, _flat(error))
            continue
        yield provenance.compare(record, here.now(record))


@dataclass(frozen=True, slots=True)
class _Here:
    """What there is now. What takes long is looked at once, however many records name it."""

    lab: Lab
    tell: Tell
    quick: bool
    models: Mapping[str, Model]
    known: dict[Any, Any] = field(default_factory=dict)

    def now(self, record: Record) -> Now:
        """What there is of all that a record names."""
        problems: dict[str, str] = {}
        entry = entry_of(self.models, record)
        model = _as_then(record, entry)
        path = _attempt(problems, "chat template", lambda: present(model))
        expected = self._expected(record, model, path) if path is not None else None
        engine = expected.engine if expected else None
        if engine is None and record.engine is not None and record.engine.server is None:
            engine = _attempt(problems, "engine", lambda: self._engine(entry))
        return Now(
            prompt=self._prompt(record),
            weights=self._weights(record),
            models=self.models,
            template=_attempt(problems, "chat template", lambda: self._template(model, path, expected)),
            engine=engine,
            measured=expected is not None,
            options=_attempt(problems, "options", lambda: self._options(record, entry)),
            problems=problems,
        )

    def _once(self, name: object, look: Callable[[], T]) -> T:
        """What was found when this was looked at first."""
        if name not in self.known:
            try:
                self.known[name] = look()
            except PromptlabError as error:
                self.known[name] = error
        found = self.known[name]
        if isinstance(found, PromptlabError):
            raise found
        return found  # type: ignore[no-any-return]

    # --- the prompt --------------------------------------------------------------------------------------------------

    def _load(self, name: str) -> Prompt:
        return self._once(("prompt", name), lambda: self.lab.library.load(name))

    def _prompt(self, record: Record) -> PromptNow:
        versions = tuple(self._versions(record))
        try:
            return PromptNow(self._load(record.prompt.name).hash, "", versions)
        except NotFound:
            return PromptNow(None, "", versions)
        except PromptlabError as error:
            return PromptNow(None, _flat(error), versions)

    def _versions(self, record: Record) -> list[str]:
        """What in git is the prompt as it was."""
        name = record.prompt.name
        try:
            logged: list[Logged] = self._once(("log", name), lambda: self.lab.library.log(name))
        except PromptlabError:  # there is no git, or no commit that holds it
            return []
        same = [each for each in logged if each.hash == record.prompt.hash]
        return [f"version {each.number} (commit {each.commit[:10]})" for each in same[:MOST_VERSIONS]]

    # --- the model ---------------------------------------------------------------------------------------------------

    def _weights(self, record: Record) -> WeightsNow:
        sha256 = record.model.sha256
        if sha256 is None:
            return WeightsNow(None)
        model = Model(record.model.name, sha256)
        sizes = (each.bytes for each in self.models.values() if each.sha256 == sha256 and each.bytes)
        try:
            path = present(model)
            if path is None:
                return WeightsNow(None)
            size = path.stat().st_size
            if self.quick:
                return WeightsNow(size, None, next(sizes, None))
            found = self._once(("weights", sha256), lambda: verify(model, progress=self.tell))
        except PromptlabError as error:
            return WeightsNow(None, problem=_flat(error))
        except OSError as error:  # it goes away just now
            return WeightsNow(None, problem=f"{error.filename}: cannot be read: {error.strerror}")
        return WeightsNow(size, found.actual)

    def _expected(self, record: Record, model: Model, path: Path) -> Expected | None:
        """What was measured of it: a record does not always say whether it was laid out as for a person or a batch."""
        ways = (self._measured(each, path) for each in (model, model.for_batch()))
        found = [each for each in ways if each is not None]
        then = record.engine.layout if record.engine else None
        return next((each for each in found if each.engine.layout == then), found[0] if found else None)

    def _measured(self, model: Model, path: Path) -> Expected | None:
        return self._once(("expected", repr(model)), lambda: self.lab.backend.expected(model, path))

    def _template(self, model: Model, path: Path | None, expected: Expected | None) -> str:
        if model.chat_template:
            return template_hash(model.chat_template)
        if expected is not None:
            return expected.template_hash or ""
        if path is None:
            raise EngineError("it is in the file of the weights, which is not on disk")
        return self._once(("template", path), lambda: _template_in(path))

    def _engine(self, entry: Model | None) -> Engine:
        """What is installed, where it is not known yet how it would lay out the work on this model."""
        build = self._once("build", probe.build)
        return Engine(
            mode="",
            llama_cpp=build["version"],
            build=build["features"],
            cpu=cpu_name(),
            threads=(entry.threads if entry else None) or 0,
            context=entry.context if entry else 0,
            llguidance=metadata.version("llguidance"),
            revision=REVISION,
        )

    def _options(self, record: Record, entry: Model | None) -> dict[str, Any]:
        """What would hold if the same was asked for once more."""
        model = entry or self.models.get(record.model.name)
        if model is None:
            raise NotFound("models.yaml does not know the model, which has options too")
        try:
            prompt = self._load(record.prompt.name)
        except PromptlabError:
            raise NotFound("the prompt, which has options too, is gone or cannot be read") from None
        options, seed = merge_options(model.options, prompt.options, record.overrides or {})
        return {**options.plain(), "seed": seed}


def _as_then(record: Record, entry: Model | None) -> Model:
    """The entry for the weights that answered, with what the run itself had chosen of it."""
    engine = record.engine
    model = entry or Model(record.model.name, record.model.sha256)
    if engine is None or model.server is not None:
        return model
    mode: Mode = "fast" if engine.mode == "fast" else "exact"
    context = model.context if entry else engine.context
    # What was measured of a file is kept under the name that the model had.
    name = record.model.name
    return replace(model, name=name, mode=mode, context=context)


def _template_in(path: Path) -> str:
    """The hash of the chat template in a file; empty for none. Raises EngineError."""
    template = read_header(path).chat_template
    if len(template.encode("utf-8", "surrogatepass")) >= MAX_TEMPLATE:
        raise EngineError(f"it has more than {MAX_TEMPLATE:,} bytes")
    return template_hash(template) if template else ""


def _attempt(problems: dict[str, str], what: str, look: Callable[[], T]) -> T | None:
    """Look at something; None, and why, where that fails."""
    try:
        return look()
    except PromptlabError as error:
        problems.setdefault(what, _flat(error))
        return None


def _flat(error: PromptlabError) -> str:
    return " ".join(str(error).split())
