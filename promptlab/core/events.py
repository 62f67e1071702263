"""What happens during a run: a closed set of frozen events.

The first group is what an engine says; every backend (real, fake, replayed) says the same. They cross a pipe as JSON
lines. The second group is what the use case adds. Times are in seconds, probabilities are natural logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from promptlab.core.constraint import Constraint
from promptlab.core.tape import Message

if TYPE_CHECKING:
    from promptlab.core.record import Record

FinishReason = Literal["stop", "length", "cancelled"]
UNKNOWN = -1
"""Instead of a token's id: a server said the text, and not which token it is."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed, as a value."""

    type: str
    """The name of the error's class."""
    message: str
    """One line for a reader."""
    signal: str | None = None
    """The signal that a worker died of, such as SIGKILL."""
    stderr: tuple[str, ...] = ()
    """The last lines that it wrote there."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """What an error says."""
        return cls(type(error).__name__, str(error))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one step."""

    prompt_tokens: int
    cached_tokens: int
    """Of these, how many were not computed again."""
    completion_tokens: int
    """Tokens drawn, the one that ends the answer included."""


UNCOUNTED = Usage(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Timings:
    """Times of one step."""

    load_s: float
    """How long the model took to load, whenever that was."""
    ttft_s: float
    """From the start of this step's work to its first token, waiting for other models' turns included."""
    prefill_s: float
    """Computing the prompt."""
    decode_s: float
    """Computing tokens after the first, waiting not included."""
    tokens_per_s: float
    """Tokens after the first, divided by `decode_s`; 0 with fewer than two tokens."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that has the model, as it says. What it computes with, and with which weights, cannot be known."""

    address: str
    """Host, port and path."""
    model: str
    """What it calls the model."""
    kind: str = ""
    """Such as `llama.cpp`; empty where it cannot be told."""
    version: str = ""
    """In its own words."""
    unsent: tuple[str, ...] = ()
    """Options that it was not told of, because such a server may not know them: its own values held."""
    identity: str = ""
    """SHA-256, in hex, of all that it says of the model. Where that changes, it is another one; where it does not, it
    may be all the same."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What computed an answer, as far as the answer can depend on it."""

    mode: str
    llama_cpp: str
    build: str
    """The features it was compiled with and found, as llama.cpp prints them."""
    cpu: str
    threads: int
    layout: Mapping[str, bool | int | str] = field(default_factory=dict)
    """How its work is cut into calls, and how its cache is stored, as far as that changes what is computed."""
    safe_mode: bool = False
    """The default kernels crashed on this machine, so slower ones are used."""
    context: int = 0
    """Tokens that fit into a conversation as loaded."""
    llguidance: str = ""
    """The version of what holds answers to a constraint."""
    revision: int = 0
    """Of promptlab's own part in an answer: how tokens are drawn, how work is cut into calls. 0 where nobody said."""
    server: Server | None = None
    """In the mode `remote`: who answered instead. All that is said above of an engine is empty then."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What must be known of a loaded model to write its prompts."""

    chat_template: str | None
    bos: str
    eos: str
    control_tokens: tuple[str, ...]
    """The texts that stand for control tokens."""
    description: str = ""
    """Such as `llama 256M Q4_1`."""


# --- what an engine says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loading:
    """A model is being loaded."""

    model: str
    fraction: float


@dataclass(frozen=True, slots=True)
class Ready:
    """A model can be asked now."""

    model: str
    engine: Engine
    vocabulary: Vocabulary
    load_s: float
    tuning: Mapping[str, Any] = field(default_factory=dict)
    """How its work is laid out where no answer depends on it, and what was measured for that (`engine/tuning.py`)."""


@dataclass(frozen=True, slots=True)
class Started:
    """A sequence's prompt is being computed."""

    seq: int
    prompt_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have been drawn."""

    id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Token:
    """A token was drawn."""

    seq: int
    id: int
    """`UNKNOWN` for a text whose tokens are not known; there is no log-probability then either."""
    text: str
    """What can be shown now, perhaps nothing. All texts of a sequence joined are the answer, but for what was held back
    at its end because it could have become a stop text or a whole character: `Answered` has that too."""
    logprob: float
    """Under the model itself: before temperature and the other options."""
    top: tuple[Alternative, ...] = ()
    """The most likely tokens, the first one first."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A sequence has ended."""

    seq: int
    text: str
    finish_reason: FinishReason
    usage: Usage
    """`UNCOUNTED` where a server did not count."""
    timings: Timings
    distribution: Mapping[str, float] | None = None
    """Where it was one of some choices: the probability of each. They add up to 1."""


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a text was, token by token."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Of each token, given all before it. Their sum is the log-probability of the text."""
    texts: tuple[str, ...]
    """What each token stands for. A part of a character, which some tokens are, is U+FFFD."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The texts of a measurement have been scored, in their order."""

    seq: int
    scores: tuple[Score, ...]
    usage: Usage
    """`completion_tokens` are those of the texts."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The texts of a measurement have been turned into vectors, in their order."""

    seq: int
    vectors: tuple[tuple[float, ...], ...]
    """Each of length 1, so that a product of two is the cosine of the angle between them."""
    usage: Usage
    """`prompt_tokens` are those of the texts."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A sequence failed, or the whole model (`seq` is None): nothing more comes of it."""

    model: str
    seq: int | None
    failure: Failure


# --- what the use case adds ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A job's program asks for its next answer; the sequence `seq` will be it."""

    job: int
    seq: int
    name: str
    messages: tuple[Message, ...]
    seed: int
    options: Mapping[str, Any]
    system_moved: bool = False
    constraint: Constraint | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A job is done, well or badly, and its record is kept."""

    job: int
    record: Record
    cached: bool = False
    """It was answered before: the record is from the history."""


EngineEvent = Loading | Ready | Started | Token | Answered | Measured | Embedded | Failed
Event = EngineEvent | Asked | Finished

_KINDS = (Loading, Ready, Started, Token, Answered, Measured, Embedded, Failed)
_BY_NAME: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in _KINDS}


def encode(event: EngineEvent) -> dict[str, Any]:
    """Turn an engine's event into what JSON can say, with `event` naming its kind."""
    return {"event": type(event).__name__.lower(), **asdict(event)}


def decode(data: Mapping[str, Any]) -> EngineEvent:
    """Undo `encode`. Raises ValueError when this is no event."""
    kind = _BY_NAME.get(str(data.get("event")))
    if kind is None:
        raise ValueError(f"{data.get('event')!r} is not an event")
    values = {k: v for k, v in data.items() if k != "event"}
    try:
        if kind is Token:  # the only frequent one
            top = tuple(Alternative(**a) for a in values.pop("top"))
            return Token(**values, top=top)
        from promptlab.core.codec import load  # here because pydantic is slow to import

        return load(kind, values)  # type: ignore[no-any-return]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"a malformed {data['event']} event: {error}") from None
