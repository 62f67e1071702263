"""Whether a record that is asked again is answered the same: what can be compared, and what the comparison says.

`obstacles` and `other_question` name what makes a comparison pointless, `compare` looks at one step, and `judge` makes
the verdict on a record out of all that was found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptlab.core.chat import template_hash
from promptlab.core.events import Alternative, Answered, Engine, Token
from promptlab.core.options import merge_options
from promptlab.core.program import Ask, Transcript
from promptlab.core.record import Drawn, Record, Step
from promptlab.core.schema import shorten
from promptlab.errors import OptionError

Verdict = Literal["identical", "same-text", "differs", "incomparable"]
"""`identical`: tokens, log-probabilities, text and how it ended are the same. `same-text`: the text is."""

AHEAD = 40
"""Characters of what follows that are shown where two answers part."""
FAST = "in the mode fast an answer depends on what is computed beside it, so this can be expected"


@dataclass(frozen=True, slots=True)
class Side:
    """One of two answers, where they part."""

    id: int | None
    """Its token; None where it had ended."""
    text: str
    """How it goes on from there, the first few characters."""
    recorded: float | None
    """The token's log-probability when it was recorded; None where that was not noted."""
    replayed: float | None
    """The same in the replay."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one step."""

    verdict: Verdict
    why: tuple[str, ...] = ()
    token: int | None = None
    """Where the two answers part, from 0; None where they do not, or not in their tokens."""
    recorded: Side | None = None
    replayed: Side | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """The verdict on a record."""

    id: str
    prompt: str
    label: str
    """What the prompt's version is called."""
    model: str
    verdict: Verdict
    why: tuple[str, ...] = ()
    step: int | None = None
    """The first step that is not the same, from 0."""
    token: int | None = None
    """Of that step, the first token that is not the same, from 0."""
    recorded: Side | None = None
    replayed: Side | None = None


# --- what can be compared --------------------------------------------------------------------------------------------


def finished(record: Record) -> list[int]:
    """The steps that can be compared: those that came to their end."""
    return [i for i, step in enumerate(record.steps) if step.finish_reason not in (None, "cancelled")]


def unfinished(record: Record) -> str | None:
    """Say that a record ended before any of its answers did, or None."""
    if finished(record) or record.error is None:
        return None
    if record.error.type == "Cancelled":
        return "it was cancelled before any answer was finished"
    return f"it failed before any answer was finished: {shorten(record.error.message, 200)}"


def left_out(record: Record) -> list[str]:
    """Name the steps that are not compared."""
    compared = finished(record)
    return [
        f"{step_name(record, i)} was cut off and is left out" for i in range(len(record.steps)) if i not in compared
    ]


def step_name(record: Record, index: int) -> str:
    """What a reader calls a step: `step 2 (reason)`."""
    return f"step {index + 1} ({record.steps[index].name})"


def obstacles(record: Record, engine: Engine, template: str | None) -> list[str]:
    """What of an engine, and of the chat template in use, is not as it was, as far as answers can depend on it."""
    was = record.engine
    if was is None:
        return ["the record does not say what computed it"]
    same = {
        "mode": (was.mode, engine.mode),
        "llama.cpp": (was.llama_cpp, engine.llama_cpp),
        "its build": _unlike(was.build, engine.build),
        "processor": (was.cpu, engine.cpu),
        "threads": (was.threads, engine.threads),
        "safe mode": (was.safe_mode, engine.safe_mode),
        "revision of the engine": (was.revision, engine.revision if was.revision else 0),
    }
    for key in sorted({*was.layout, *engine.layout}):
        same[f"layout, {key}"] = (was.layout.get(key), engine.layout.get(key))
    if any(record.steps[i].constraint for i in finished(record)):
        same["llguidance"] = (was.llguidance, engine.llguidance)
    if any(_room(record.steps[i], was.context) != _room(record.steps[i], engine.context) for i in finished(record)):
        same["context"] = (was.context, engine.context)
    reasons = [f"{what}: {_word(old)} then, {_word(new)} now" for what, (old, new) in same.items() if old != new]
    if record.model.template_hash != (template_hash(template) if template else None):
        reasons.append("the chat template is not the one that it was written with")
    return reasons


def _unlike(old: str, new: str) -> tuple[str, str]:
    """Two lists of features, without what they share."""
    olds, news = ([part.strip() for part in text.split("|") if part.strip()] for text in (old, new))
    return ", ".join(p for p in olds if p not in news), ", ".join(p for p in news if p not in olds)


def _room(step: Step, context: int) -> int:
    """Tokens that prompt and answer could have together."""
    return min(len(step.prompt_ids) + int(step.options.get("max_tokens", context)), context)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "") else str(value)


def other_question(record: Record, index: int, now: Ask | Transcript, own: Collection[str] = ()) -> list[str]:
    """What of a step's question is not what the program asks now. `own` are the options that the prompt itself sets."""
    step, name = record.steps[index], step_name(record, index)
    if isinstance(now, Transcript):
        return [f"the program ends before {name}"]
    reasons = [f"the program asks for {shorten(now.name)!r} in place of {name}"] if now.name != step.name else []
    if now.messages != step.messages:
        reasons.append(f"the program says other messages before {name}")
    if now.constraint != step.constraint:
        reasons.append(f"the program holds {name} to something else")
    if others := _other_options(record.options, step.options, now.options, own):
        reasons.append(f"the program asks for other options of {name}: {', '.join(others)}")
    return reasons


def _other_options(
    held: Mapping[str, Any], had: Mapping[str, Any], asked: Mapping[str, Any], own: Collection[str]
) -> list[str]:
    """Names of options that a step cannot have got from the program, nor from the command line or the model.

    Those of the latter are in `held`, what held where a tag says nothing, but for those that the prompt sets itself: of
    these, a prompt that is called may have the model's, which a record does not name.
    """
    try:
        wanted = merge_options(asked)[0].plain()
    except OptionError as error:
        return [str(error)]
    elsewhere = {name for name in own if name not in asked}
    known = {name: (held.get(name), wanted[name] if name in asked else held.get(name)) for name in wanted}
    return [k for k, v in had.items() if k not in elsewhere and v not in known.get(k, ())]


def other_end(record: Record, now: Ask | Transcript) -> list[str]:
    """What a program does after the last answer of a record that went well, where it did something else."""
    if isinstance(now, Ask):
        return [f"the program goes on and asks for {shorten(now.name)!r}"]
    return [] if now.output == record.output else ["the program makes another output out of the same answers"]


# --- comparing -------------------------------------------------------------------------------------------------------


def compare(step: Step, tokens: Sequence[Token], answered: Answered) -> Compared:
    """Compare a step with what was said when it was asked again."""
    again = [Drawn(t.id, t.logprob, t.top) for t in tokens]
    parted = _first_unlike([d.id for d in step.tokens], [d.id for d in again])
    drifted = next((i for i, (a, b) in enumerate(zip(step.tokens, again, strict=False)) if not _bit_equal(a, b)), None)
    why = tuple(_why(step, again, answered, parted, drifted))
    if answered.text != step.text:
        return Compared("differs", why, parted, *_sides(step, tokens, answered, parted))
    if not why:
        return Compared("identical")
    place = min((i for i in (parted, drifted) if i is not None), default=None)
    return Compared("same-text", why, place, *_sides(step, tokens, answered, place))


def _first_unlike(a: Sequence[int], b: Sequence[int]) -> int | None:
    """Where two lists part; None where they are equal."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), None if len(a) == len(b) else min(len(a), len(b)))


def _bit_equal(old: Drawn, new: Drawn) -> bool:
    """Whether all numbers that were noted are the same; a replay may note more alternatives."""
    return (old.id, old.logprob, old.top) == (new.id, new.logprob, new.top[: len(old.top)])


def _why(
    step: Step, again: Sequence[Drawn], answered: Answered, parted: int | None, drifted: int | None
) -> Iterator[str]:
    same = answered.text == step.text
    if parted is not None:
        yield f"the same text in other tokens, from token {parted} on" if same else f"differs at token {parted}"
    elif not same:
        yield "the same tokens, but another text"
    if drifted is not None and drifted != parted:
        old, new = step.tokens[drifted].logprob, again[drifted].logprob
        numbers = "those of alternatives" if old == new else f"{old} then, {new} now"
        yield f"log-probabilities differ from token {drifted} on ({numbers})"
    if answered.finish_reason != step.finish_reason and (same or parted is None):
        yield f"it ended by {step.finish_reason} then, by {answered.finish_reason} now"
    if step.distribution is not None and answered.distribution != step.distribution:
        yield "the probabilities of the choices differ"


def _sides(
    step: Step, tokens: Sequence[Token], answered: Answered, place: int | None
) -> tuple[Side, Side] | tuple[None, None]:
    """Both answers at the token `place`."""
    if place is None:
        return None, None
    old = step.tokens[place] if place < len(step.tokens) else None
    new = tokens[place] if place < len(tokens) else None
    said = "".join(token.text for token in tokens[:place])
    mine, its = old.id if old else None, new.id if new else None
    return (
        Side(mine, _ahead(step.text, said), _logprob(old, mine), _logprob(new, mine)),
        Side(its, _ahead(answered.text, said), _logprob(old, its), _logprob(new, its)),
    )


def _ahead(text: str, said: str) -> str:
    return text[len(said) : len(said) + AHEAD] if text.startswith(said) else ""


def _logprob(drawn: Drawn | Token | None, id: int | None) -> float | None:
    """What was noted of a token where this one was drawn."""
    if drawn is None:
        return None
    noted = (Alternative(drawn.id, drawn.logprob), *drawn.top)
    return next((each.logprob for each in noted if each.id == id), None)


# --- verdicts --------------------------------------------------------------------------------------------------------


def incomparable(record: Record, reasons: Iterable[str]) -> Replayed:
    """The verdict on a record that cannot be compared, and each reason once."""
    return _replayed(record, "incomparable", tuple(dict.fromkeys(reasons)))


def judge(record: Record, steps: Mapping[int, Compared], failures: Sequence[str] = ()) -> Replayed:
    """The verdict on a record whose finished steps were compared, or failed to be answered again.

    A step that differs says more than one that failed, and that more than one with the same text.
    """
    notes = (*failures, *left_out(record))
    for verdict in ("differs", "incomparable", "same-text"):
        if verdict == "incomparable" and failures:
            return incomparable(record, notes)
        if found := {i: c for i, c in sorted(steps.items()) if c.verdict == verdict}:
            fast = (FAST,) if record.engine and record.engine.mode == "fast" else ()
            first, at = next(iter(found.items()))
            why = [f"{step_name(record, i)}: {reason}" for i, c in found.items() for reason in c.why]
            return _replayed(record, at.verdict, (*why, *fast, *notes), first, at)
    return _replayed(record, "identical", (*notes, *(() if record.steps else ("it asks nothing of a model",))))


def _replayed(
    record: Record, verdict: Verdict, why: tuple[str, ...], step: int | None = None, at: Compared | None = None
) -> Replayed:
    place = (at.token, at.recorded, at.replayed) if at else (None, None, None)
    names = (record.prompt.name, record.prompt.label, record.model.name)
    return Replayed(record.id, *names, verdict, why, step, *place)
