"""models.yaml: which models there are, with every problem at file:line:column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import ErrorDetails

from promptlab.core import yamltext
from promptlab.core.job import Model
from promptlab.core.options import check_option
from promptlab.core.plan import MAX_SLOTS
from promptlab.core.schema import shorten
from promptlab.errors import NotFound, Problem, SourceError, StoreError, UsageError
from promptlab.files.paths import model_file
from promptlab.files.serveraddress import server_problem
from promptlab.files.sources import parse_source

EMBEDDING = "embedding"
"""Tags models that make vectors of texts."""
ALL = "all"
"""Instead of a name: every model that is on disk."""
TAG = "tag:"
"""Before a tag: every model that has it."""
_GLOB = re.compile(r"[*?[]")
KvType = Literal["f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
MAX_LAYERS = 1000
MAX_GUESSED = 200
"""Characters of an unknown name for which ones like it are looked for."""
NOT_SAID = "not said"
"""The licence of a server's model."""
OF_FILES = ("sha256", "sources", "bytes", "threads", "mode", "layout", "base_sha256", "gpu_layers", "kv_type")
"""Keys that say how a file is had and computed with."""
TRUST_IT = "`promptlab trust` shows what it wants, and lets it"
MAX_BYTES = 4 * yamltext.MAX_CHARS
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_name(name: str) -> str:
    """Return a name of an entry. Raises ValueError for what cannot be one."""
    if name == ALL:
        raise ValueError(f"{ALL!r} means every model that is on disk; call this one something else")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{shorten(name)!r} cannot be a name: up to 64 of a-z 0-9 . _ -, beginning with a letter or digit"
        )
    return name


def _check_sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError(f"sha256 is 64 digits out of 0-9 and a-f; got {shorten(repr(text))}")
    return text


def _check_source(text: str) -> str:
    parse_source(text)
    return text


def _check_server(text: str) -> str:
    if reason := server_problem(text):
        raise ValueError(f"server {reason}; got {shorten(repr(text))}")
    return text


_Name = Annotated[str, AfterValidator(check_name)]
_Sha256 = Annotated[str, AfterValidator(_check_sha256)]
_SourceText = Annotated[str, AfterValidator(_check_source)]
_Server = Annotated[str, AfterValidator(_check_server)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Parts(_Strict):
    parts: list[_SourceText] = Field(min_length=1)


_Source = Annotated[
    Annotated[_SourceText, Tag("text")] | Annotated[_Parts, Tag("parts")],
    Discriminator(lambda value: "parts" if isinstance(value, dict | _Parts) else "text"),
]


class _Layout(_Strict):
    wide: bool = False
    flash_attention: bool | None = None
    kv_unified: bool | None = None
    chunk: int | None = Field(default=None, ge=16, le=512)
    slots: int | None = Field(default=None, ge=1, le=MAX_SLOTS)


class _Entry(_Strict):
    """What may stand in an entry. Values left out get the defaults of `Model`, so those here are never seen."""

    license: str = Field(min_length=1)
    title: str = ""
    sha256: _Sha256 | None = None
    sources: list[_Source] = []
    bytes: int | None = Field(None, ge=1)
    context: int = Field(0, ge=16, le=1_000_000)
    options: dict[str, Any] = {}
    chat_template: Literal["plain"] | None = None
    threads: int | None = Field(None, ge=1, le=256)
    mode: Literal["exact", "fast"] = "exact"
    layout: _Layout = Field(default_factory=lambda: _Layout())
    default: bool = False
    tags: list[str] = []
    base: _Name | None = None
    base_sha256: _Sha256 | None = None
    gpu_layers: int = Field(0, ge=-1, le=MAX_LAYERS)
    kv_type: KvType | None = None
    server: _Server | None = None
    model: str | None = Field(None, min_length=1, max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _license_of_server(cls, value: Any) -> Any:
        """Only the server knows under which licence it has its weights."""
        return {"license": NOT_SAID, **value} if isinstance(value, dict) and value.get("server") else value

    @model_validator(mode="after")
    def _file_or_server(self) -> _Entry:
        if self.server is None and self.model is not None:
            raise ValueError("`model` is what a `server` calls the model, and there is no `server`")
        if self.server is not None and (idle := [name for name in OF_FILES if name in self.model_fields_set]):
            raise ValueError(f"`server` goes without {', '.join(idle)}: what it computes with is its own")
        return self


KEYS = tuple(_Entry.model_fields)
"""What may stand in an entry."""


class _File(_Strict):
    models: dict[_Name, _Entry] | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """What a models.yaml says."""

    label: str
    """What problems call the file."""
    models: Mapping[str, Model]
    bases: Mapping[str, Problem]
    """Of each entry that names a base, the place where it does."""


def read_models(path: Path, label: str | None = None) -> dict[str, Model]:
    """Read one models.yaml; `label` is what problems call it. A file that does not exist has no models.

    Raises SourceError with every problem found.
    """
    return dict(read_entries(path, label or str(path)).models)


def read_entries(path: Path, label: str, *, own: bool = False) -> Entries:
    """Read one models.yaml. `own`: the user's, which may be a link to elsewhere. Raises SourceError."""
    text = read_text(path, label, own=own)
    return Entries(label, {}, {}) if text is None else parse_models(text, label)


@lru_cache(maxsize=8)
def parse_models(text: str, label: str) -> Entries:
    """Read the text of a models.yaml. What was read lately is not read again. Raises SourceError."""
    document = yamltext.read(text, file=label)
    value = {} if document.value is None else document.value
    problems = _option_problems(document)
    try:
        file = _File.model_validate(value)
    except ValidationError as error:
        problems += [_problem(document, detail) for detail in error.errors(include_url=False)]
    if problems:
        raise SourceError(sorted(problems, key=lambda p: (p.line, p.column)))
    models = {name: _model(name, entry) for name, entry in (file.models or {}).items()}
    bases = {name: document.problem(("models", name, "base"), "") for name, model in models.items() if model.base}
    return Entries(label, models, bases)


def present(model: Model) -> Path | None:
    """The file of its weights, or None when they are not on disk. Raises StoreError when that cannot be told."""
    if model.sha256 is None:
        return None
    path = model_file(model.sha256)
    try:
        return path if path.is_file() else None
    except OSError as error:
        hint = "Look at the permissions, or let XDG_CACHE_HOME name another folder"
        raise StoreError(f"{path}: cannot be read: {error.strerror}", hint=hint) from None


def select_models(models: Mapping[str, Model], names: Sequence[str]) -> list[Model]:
    """Look up what `-m` names: in the order given, each model once; a text may hold several names, with commas between.

    A name may be one, `tag:TAG`, a pattern such as `smol*`, or `all`, which means every entry that is on disk. No name
    means the entries with `default: true`. Raises NotFound for what is not there, and when nothing is selected.
    """
    wanted = _split(names)
    chosen: dict[str, Model] = {}
    for name in wanted:
        chosen |= {m.name: m for m in _meant(models, name)}
    if not wanted:
        chosen = {m.name: m for m in models.values() if m.default}
    if not chosen:
        what = "no model is on disk" if wanted else "no model is marked `default: true` in models.yaml"
        raise NotFound(what, hint="`promptlab models pull` fetches some" if wanted else "Name one with -m")
    return list(chosen.values())


def answering(models: Mapping[str, Model], names: Sequence[str]) -> list[Model]:
    """`select_models` for those that are to answer. What means several models leaves out those for vectors, and those
    that may not be asked yet.

    Raises NotFound, and UsageError for such a model that is named.
    """
    named = {name for name in _split(names) if name in models}
    chosen = select_models(models, names)
    if vectors := [model.name for model in chosen if EMBEDDING in model.tags and model.name in named]:
        raise UsageError(
            f"{', '.join(vectors)}: tagged `{EMBEDDING}`, so it makes vectors of texts and answers nothing"
        )
    refuse_untrusted(model for model in chosen if model.name in named)
    rest = [model for model in chosen if EMBEDDING not in model.tags]
    if not rest:
        raise NotFound("no model that answers is on disk", hint="`promptlab models pull` fetches some")
    if not (left := [model for model in rest if not waits_for_trust(model)]):
        refuse_untrusted(rest)
    return left


def waits_for_trust(model: Model) -> bool:
    """Whether an entry names a server that may not be asked before the user has said so."""
    return model.server is not None and not model.trusted


def refuse_untrusted(models: Iterable[Model]) -> None:
    """Raise UsageError where one of these names a server that may not be asked yet."""
    if found := [model for model in models if waits_for_trust(model)]:
        each = ", ".join(f"{model.name} asks {shorten(str(model.server))}" for model in found[:5])
        raise UsageError(f"{each}, and this library is not trusted", hint=TRUST_IT)


def _split(names: Sequence[str]) -> list[str]:
    return [name.strip() for text in names for name in text.split(",") if name.strip()]


def _meant(models: Mapping[str, Model], name: str) -> list[Model]:
    """The models that one word of a selection means. Raises NotFound when it means none, but for `all`."""
    if name in models:
        return [models[name]]
    if name == ALL:
        return [model for model in models.values() if present(model)]
    if name.startswith(TAG):
        tagged = [model for model in models.values() if name.removeprefix(TAG) in model.tags]
        return tagged or _missing(name, f"no model has the tag {shorten(name.removeprefix(TAG))!r}", tags_of(models))
    if _GLOB.search(name):
        found = [model for model in models.values() if fnmatchcase(model.name, name)]
        return found or _missing(name, f"no model's name is like {shorten(name)!r}", list(models))
    return _missing(name, f"there is no model {shorten(name)!r}", list(models))


def tags_of(models: Mapping[str, Model]) -> list[str]:
    """What stands for the models of each tag: `tag:small`."""
    return [TAG + tag for tag in dict.fromkeys(tag for model in models.values() for tag in model.tags)]


def _missing(name: str, what: str, known: list[str]) -> NoReturn:
    from rapidfuzz import process  # here because it is slow to import

    mark = TAG if name.startswith(TAG) else ""
    near = process.extract(
        name.removeprefix(mark)[:MAX_GUESSED], [each.removeprefix(mark) for each in known], limit=3, score_cutoff=60
    )
    close = [mark + match for match, _, _ in near]
    guess = f"Did you mean {' or '.join(close)}? " if close else ""
    listed = ", ".join(known[:20]) + (" and more" if len(known) > 20 else "")
    none = "no tags" if name.startswith(TAG) else "none in models.yaml"
    raise NotFound(what, hint=f"{guess}There are {listed or none}")


def read_text(path: Path, label: str, *, own: bool = False) -> str | None:
    """The text of a models.yaml, None where there is none; `own` as for `read_entries`. Raises SourceError."""

    def wrong(message: str) -> SourceError:
        return SourceError([Problem(label, 0, 0, message)])

    try:
        if not path.exists() and not path.is_symlink():
            return None
        # A library may come from a stranger: its models.yaml must not show what lies elsewhere.
        inside = own or path.resolve().is_relative_to(path.parent.resolve())
        if not path.is_file() or not inside:
            raise wrong("is not a regular file" if own else "is not a regular file in its folder")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise wrong(f"is larger than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError([Problem(label, line, 0, "is not UTF-8 text")]) from None


def _model(name: str, entry: _Entry) -> Model:
    values = entry.model_dump(exclude_unset=True)
    sources = tuple(tuple(s["parts"]) if isinstance(s, dict) else s for s in values.pop("sources", ()))
    tags = tuple(values.pop("tags", ()))
    return Model(**{"sha256": None} | values, name=name, sources=sources, tags=tags)


def _option_problems(document: yamltext.Document) -> list[Problem]:
    """Options by themselves, so that each wrong one has its own place."""
    models = document.value.get("models") if isinstance(document.value, dict) else None
    entries = models.items() if isinstance(models, dict) else ()
    return [
        document.problem(("models", name, "options", key), reason)
        for name, entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("options"), dict)
        for key, value in entry["options"].items()
        if (reason := check_option(key, value))
    ]


def _problem(document: yamltext.Document, error: ErrorDetails) -> Problem:
    # pydantic's path has steps of its own, such as the tag of a union: keep those that the file has.
    path: yamltext.Path = ()
    for step in error["loc"]:
        if (*path, step) in document.marks:
            path = (*path, step)
    return document.problem(path, _message(error))


def _message(error: ErrorDetails) -> str:
    kind, loc = error["type"], error["loc"]
    what = str(loc[min(len(loc), 3) - 1]) if loc else "the file"
    if kind == "missing":
        return f"{loc[-1]} is missing"
    if kind == "extra_forbidden":
        inside = _Layout if "layout" in loc else _Parts
        known = _File if len(loc) == 1 else _Entry if len(loc) == 3 else inside
        return f"{shorten(str(loc[-1]))!r} is not a key here; there are {', '.join(known.model_fields)}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    reason = re.sub(r"^\w+ should", "should", error["msg"]).replace("dictionary", "mapping")
    return f"{shorten(what)} {reason.partition(' or instance')[0]}"
