"""What the tokens of answers stand for: records hold only their ids, so the model is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from promptlab.app.lab import Lab
from promptlab.app.loading import start
from promptlab.app.run import POLL_S
from promptlab.core.chat import PLAIN, template_hash
from promptlab.core.events import Engine, Failed, Loading, Ready, Server, Vocabulary
from promptlab.core.job import Model
from promptlab.core.record import ModelRef, Step
from promptlab.core.tokens import Pieces
from promptlab.engine.connection import shown_address
from promptlab.errors import EngineError, ModelMissing
from promptlab.files.models import present

Progress = Callable[[float], None]
"""Hears how far the model is loaded, from 0 to 1."""


def the_model(lab: Lab, answered: ModelRef, engine: Engine | None) -> Model:
    """The model that gave an answer, by its weights and with all that models.yaml says of them; of a server, whatever
    it has now by that name.

    Raises ModelMissing where the weights are not on disk, or another server is asked now, and SourceError.
    """
    if engine is not None and engine.server is not None:
        return _served(lab, answered, engine.server)
    entries = [model for model in lab.models.values() if answered.sha256 and model.sha256 == answered.sha256]
    bare = Model(answered.name, answered.sha256)
    model = next((m for m in entries if m.name == answered.name), entries[0] if entries else bare)
    if present(model) is None:
        raise _gone(lab, answered, model)
    plain = answered.template_hash == template_hash(PLAIN)
    model = replace(model, chat_template=PLAIN if plain else model.chat_template)
    return replace(model, mode="fast" if engine.mode == "fast" else "exact") if engine is not None else model


def _served(lab: Lab, answered: ModelRef, server: Server) -> Model:
    model = lab.models.get(answered.name)
    if model is None or model.server is None or shown_address(model.server) != server.address:
        raise ModelMissing(f"{answered.name} was on the server at {server.address}, and models.yaml names that no more")
    return model


def _gone(lab: Lab, answered: ModelRef, model: Model) -> ModelMissing:
    if answered.sha256 is None:
        return ModelMissing(f"it is not known which weights of {answered.name} answered")
    what = f"the file of {answered.name} that answered, sha256 {answered.sha256[:12]}…, is not on disk"
    if model.name in lab.models and lab.models[model.name].sha256 == answered.sha256:
        return ModelMissing(what, hint=f"Fetch it with `promptlab models pull {model.name}`")
    other = answered.name in lab.models
    return ModelMissing(what, hint="models.yaml names another file for it now" if other else "")


def read_pieces(
    lab: Lab,
    answered: ModelRef,
    engine: Engine | None,
    steps: Iterable[Step],
    progress: Progress = lambda fraction: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Pieces:
    """Load the model that answered, if it is not, and ask what all tokens of some steps stand for.

    Takes the engine's events: not for use while a run of the same lab goes on. Raises ModelMissing, EngineError and
    SourceError.
    """
    if engine is not None and engine.server is not None:
        raise EngineError("the model is on a server, which does not tell what its tokens stand for")
    model = the_model(lab, answered, engine)
    ids = _ids(steps)
    try:
        vocabulary = _load(lab, model, progress, stopped)
        data = dict(zip(ids, lab.backend.pieces(model.name, ids), strict=True))
    finally:
        lab.backend.release(model.name)
    texts = {text.encode("utf-8", "replace") for text in vocabulary.control_tokens}
    return Pieces(data, frozenset(id for id, each in data.items() if each in texts))


def _ids(steps: Iterable[Step]) -> Sequence[int]:
    ids: set[int] = set()
    for step in steps:
        ids.update(step.prompt_ids)
        for drawn in step.tokens:
            ids.add(drawn.id)
            ids.update(each.id for each in drawn.top)
    return sorted(ids)


def _load(lab: Lab, model: Model, progress: Progress, stopped: Callable[[], bool]) -> Vocabulary:
    start(lab, model)
    while not stopped():
        match lab.backend.next_event(POLL_S):
            case Loading(model=name, fraction=fraction) if name == model.name:
                progress(fraction)
            case Ready(model=name, vocabulary=vocabulary) if name == model.name:
                return vocabulary
            case Failed(model=name, seq=None, failure=failure) if name == model.name:
                raise EngineError(failure.message)
    raise EngineError(f"{model.name}: nobody waits for it any more")
