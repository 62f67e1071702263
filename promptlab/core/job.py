"""What is to be done: models, and the matrix of jobs that a run expands to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from promptlab.core.options import Options, merge_options
from promptlab.core.prompt import Prompt

Mode = Literal["exact", "fast"]
"""`exact`: an answer does not depend on what else runs. `fast`: whatever is quickest."""


@dataclass(frozen=True, slots=True)
class Model:
    """An entry of models.yaml. A model is its hash; a source is only a way to get it."""

    name: str
    sha256: str | None
    """None while an entry is not pinned."""
    sources: tuple[str | tuple[str, ...], ...] = ()
    """In order of preference. A tuple is a list of parts that are joined."""
    title: str = ""
    license: str = ""
    bytes: int | None = None
    context: int = 4096
    """Tokens that fit into a conversation: prompt and answers together."""
    options: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str | None = None
    """`plain` joins messages as text; None means the template in the file."""
    threads: int | None = None
    """None means one for each core that the process may use."""
    mode: Mode = "exact"
    layout: Mapping[str, Any] = field(default_factory=dict)
    """What is set by hand of how its work is laid out, instead of found by measurement."""
    default: bool = False
    tags: tuple[str, ...] = ()
    base: str | None = None
    """The entry whose weights these are, packed in another way: quantised, with another template or KV cache."""
    base_sha256: str | None = None
    """The hash of the base's file that this one was quantised from."""
    gpu_layers: int = 0
    """Layers that a graphics processor computes; -1 means all."""
    kv_type: str | None = None
    """How the KV cache stores numbers, such as `q8_0`; None means f16."""
    server: str | None = None
    """The address of an OpenAI-compatible server that has the model; None for a file."""
    model: str | None = None
    """What that server calls it; None means by the entry's name."""
    trusted: bool = False
    """Whether its server may be asked, and files outside the library be read for it. Of a project's entry, only the
    user can say so: `files.trust`.
    """

    def for_batch(self) -> Model:
        """Laid out as a batch wants it: answers in calls of many. What was set by hand stays."""
        return replace(self, layout={"wide": True, **self.layout})


@dataclass(frozen=True, slots=True)
class Job:
    """One cell: a prompt with inputs, on one model, for one sample."""

    id: int
    """Counts from 0 within a run."""
    prompt: Prompt
    inputs: Mapping[str, Any]
    """Complete: defaults filled in, types checked."""
    model: Model
    sample: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Options of the command line: they win over those of tag, prompt and model."""
    case: str | None = None

    def options(self, asked: Mapping[str, Any] | None = None) -> tuple[Options, int]:
        """What holds for a question that asks for these options, or where a tag says nothing; and the base seed.

        Raises OptionError.
        """
        return merge_options(self.model.options, self.prompt.options if asked is None else asked, self.overrides)


def expand(
    rows: Iterable[tuple[Prompt, Mapping[str, Any], str | None]],
    models: Iterable[Model],
    samples: int,
    overrides: Mapping[str, Any],
) -> list[Job]:
    """Lay out the matrix, model by model, so that each model is loaded once.

    A row is a prompt, its inputs, and the id of the case that they are from, where there is one.
    """
    rows = list(rows)
    cells = [(model, row, sample) for model in models for row in rows for sample in range(samples)]
    return [
        Job(id, prompt, inputs, model, sample, overrides, case)
        for id, (model, (prompt, inputs, case), sample) in enumerate(cells)
    ]
