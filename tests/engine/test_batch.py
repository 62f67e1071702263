"""Continuous batching, on a device that knows what it must not be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promptlab.core.events import Answered, EngineEvent, Failed, Measured, Started, Token
from promptlab.core.options import Options
from promptlab.core.plan import MAX_SLOTS
from promptlab.engine.answer import Answer
from promptlab.engine.backend import Question
from promptlab.engine.batch import Batch
from promptlab.engine.reading import Reading
from promptlab.engine.rules import FREE, Rules
from promptlab.engine.sampling import Peaks
from promptlab.engine.shelf import Shelf
from promptlab.engine.tuning import CHUNK
from promptlab.engine.work import Choosing, Drawing, Job, Scoring
from promptlab.errors import EngineError
from tests.engine.device import END, FakeDevice, logits

LONG = 1 << 14


class Words:
    context = 4096

    def piece(self, token: int) -> bytes:
        return f"<{token}>".encode()

    def ends(self, token: int) -> bool:
        return token == END


class Greedy:
    """Never ends an answer by itself, unless it may."""

    def __init__(self, *, may_end: bool = False) -> None:
        self.may_end = may_end
        self.closed = 0

    def draw(self, peaks: Peaks) -> int:
        return int(peaks.logits.argmax()) if self.may_end else int(peaks.logits[1:].argmax()) + 1

    def close(self) -> None:
        self.closed += 1


class Broken(Greedy):
    def draw(self, peaks: Peaks) -> int:
        raise EngineError("cannot draw")


def drawing(
    seq: int,
    ids: Sequence[int],
    tokens: int = 8,
    *,
    interactive: bool = False,
    sampler: Greedy | None = None,
    may_end: bool = False,
) -> Drawing:
    question = Question("m", seq, (), Options(max_tokens=tokens), 0, 1, None, interactive)
    return Drawing(Answer(question, ids, Words(), sampler or Greedy(may_end=may_end), None))


@dataclass
class Heard:
    """What a batch has said."""

    tokens: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    ended: dict[int, Answered | Failed | Measured] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    """Sequences as they started."""

    def take(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            match event:
                case Started(seq=seq):
                    self.order.append(seq)
                case Token(seq=seq):
                    self.tokens.setdefault(seq, []).append((event.id, event.logprob))
                case Answered(seq=seq) | Measured(seq=seq) | Failed(seq=int(seq)):
                    assert seq not in self.ended
                    self.ended[seq] = event


def run(batch: Batch, heard: Heard | None = None) -> Heard:
    heard = heard or Heard()
    while batch.busy:
        heard.take(batch.advance())
    return heard


def all_at_once(jobs: Sequence[Job], device: FakeDevice | None = None, **more: object) -> tuple[Heard, FakeDevice]:
    device = device or FakeDevice()
    batch = Batch(device, "m", **more)  # type: ignore[arg-type]
    for job in jobs:
        batch.add(job)
    return run(batch), device


prompts = st.lists(
    st.tuples(
        st.sampled_from([(), (7,) * 40, (7,) * 40 + (3,) * 130]),  # beginnings that are shared
        st.lists(st.integers(1, 3), min_size=1, max_size=6),
        st.integers(1, 12),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(
    prompts,
    st.integers(0, 2),
    st.sampled_from([0, 5_000, LONG]),
    st.sampled_from([1, 2, 5, MAX_SLOTS]),
    st.sampled_from([(0, True), (100, True), (1, True), (0, False)]),
    st.integers(0, 3),
    st.sampled_from([Rules(), Rules(4, 8), Rules(32, 32, multiple=8), Rules(CHUNK, 2, rows=3)]),
)
def test_an_answer_is_what_it_would_be_alone(
    asked: list[tuple[tuple[int, ...], list[int], int, bool]],
    copies: int,
    budget: int,
    slots: int,
    kind: tuple[int, bool],
    pace: int,
    rules: Rules,
) -> None:
    """Whatever is beside it, whatever is kept, however it comes in, and whatever kind of model it is."""
    window, movable = kind
    plan = [(start + tuple(rest), n, now) for start, rest, n, now in asked for _ in range(copies + 1)]
    device = FakeDevice(rules, window=window, movable=movable, longest_kept=window or 1 << 20)
    batch = Batch(device, "m", rules=rules, shelf=Shelf(budget), max_slots=slots)
    heard = Heard()
    for seq, (ids, tokens, interactive) in enumerate(plan):
        batch.add(drawing(seq, ids, tokens, interactive=interactive, may_end=True))
        for _ in range(pace):
            heard.take(batch.advance())
    run(batch, heard)
    for seq, (ids, tokens, interactive) in enumerate(plan):
        one = drawing(seq, ids, tokens, interactive=interactive, may_end=True)
        alone, _ = all_at_once([one], FakeDevice(rules), rules=rules)
        assert heard.tokens[seq] == alone.tokens[seq]
        end, other = heard.ended[seq], alone.ended[seq]
        assert isinstance(end, Answered)
        assert isinstance(other, Answered)
        assert (end.text, end.finish_reason) == (other.text, other.finish_reason)


def test_samples_of_one_prompt_compute_it_once() -> None:
    prompt = tuple(range(1, 20)) * 20
    heard, device = all_at_once([drawing(i, prompt) for i in range(MAX_SLOTS)])
    assert device.computed == len(prompt)
    used = [end.usage for end in heard.ended.values() if isinstance(end, Answered)]
    assert [u.prompt_tokens for u in used] == [len(prompt)] * MAX_SLOTS
    assert sorted(u.cached_tokens for u in used) == [0] + [len(prompt)] * (MAX_SLOTS - 1)


@pytest.mark.parametrize("window", [0, 100])
def test_a_beginning_that_many_prompts_share_is_computed_once(window: int) -> None:
    """Also by a model with sliding windows, whose states can be gone on from only at their ends."""
    start = tuple(range(1, 20)) * 15
    cases = [start + (i, i + 1, i + 2) * 10 for i in range(1, 9)]
    mixed = [drawing(10 * s + c, ids) for s in range(4) for c, ids in enumerate(cases)]
    _, device = all_at_once(mixed, FakeDevice(window=window))
    assert device.computed == len(start) + sum(len(ids) - len(start) for ids in cases)


def windowed() -> FakeDevice:
    """A model with sliding windows, in exact mode: longer sequences cannot be written down."""
    return FakeDevice(window=100, longest_kept=100)


@pytest.mark.parametrize("slots", [2, 5, MAX_SLOTS])
def test_what_is_too_long_for_the_shelf_is_computed_once_too(slots: int) -> None:
    start = tuple(range(1, 20)) * 15
    cases = [start + (i, i + 1, i + 2) * 10 for i in range(1, 9)]
    mixed = [drawing(10 * s + c, ids) for s in range(4) for c, ids in enumerate(cases)]
    heard, device = all_at_once(mixed, windowed(), max_slots=slots)
    assert device.computed == len(start) + sum(len(ids) - len(start) for ids in cases)
    for s, c in ((0, 0), (3, 7)):
        alone, _ = all_at_once([drawing(1, cases[c])])
        assert heard.tokens[10 * s + c] == alone.tokens[1]


def test_a_long_prompt_is_there_when_it_is_asked_again_and_gives_way_to_other_work() -> None:
    prompt, device = tuple(range(1, 20)) * 20, windowed()
    batch = Batch(device, "m")
    for seq in (1, 2):
        batch.add(drawing(seq, prompt))
        heard = run(batch)
    assert device.computed == len(prompt)
    batch.add(drawing(3, (5,) * 700))  # longer slots: another context
    run(batch)
    batch.add(drawing(4, prompt))
    again = run(batch)
    assert device.computed == 2 * len(prompt) + 700
    assert again.tokens[4] == heard.tokens[2]
    full = [drawing(10 + i, (i,) * 20, 30) for i in range(device.slots)]
    everything = all_at_once(full, device)[0]
    assert len(everything.ended) == device.slots


def test_a_long_prompt_that_is_in_the_way_begins_again() -> None:
    """It is half computed in the slot that an answer, which comes first, has to be drawn in."""
    long, device = tuple(range(1, 20)) * 20, windowed()
    batch = Batch(device, "m")
    batch.add(drawing(1, long))
    batch.advance()
    batch.advance()
    batch.add(drawing(2, (4,) * 30, interactive=True))
    heard = run(batch)
    alone, _ = all_at_once([drawing(1, long)])
    assert heard.tokens[1] == alone.tokens[1]
    assert device.computed > len(long) + 30


def test_every_branch_of_a_tree_of_prompts_is_computed_once() -> None:
    root = (7,) * 100
    limbs = [root + (i,) * 50 for i in (1, 2)]
    leaves = [limb + (j,) * 40 for limb in limbs for j in (3, 4, 5)]
    for window in (0, 60):
        _, device = all_at_once([drawing(i, ids) for i, ids in enumerate(leaves)], FakeDevice(window=window))
        assert device.computed == 100 + 2 * 50 + 6 * 40


def test_a_state_is_kept_once_where_prompts_part_however_many_part_there() -> None:
    """Of a model with sliding windows, whose states can be gone on from only at their ends."""
    root = (7,) * 200
    batch = Batch(FakeDevice(window=60), "m")
    for i in range(6):
        batch.add(drawing(i, root + (i + 1,) * 40))
    batch.advance()  # a first part, before the prompts part
    assert [job.marks for job in batch.filling.values()] == [[200]]


def test_a_small_shelf_is_enough_when_cases_and_samples_come_mixed() -> None:
    cases = [(i,) * 50 + (9,) * 50 for i in range(1, 9)]
    mixed = [drawing(10 * s + c, ids) for s in range(8) for c, ids in enumerate(cases)]
    one = len(FakeDevice().save(0)) + 100 * 40
    _, device = all_at_once(mixed, shelf=Shelf(one))
    assert device.computed == sum(map(len, cases))


def test_the_next_step_of_a_program_goes_on_from_the_last_prompt() -> None:
    first = (5,) * 200
    batch = Batch(FakeDevice(), "m")
    batch.add(drawing(1, first, 6))
    heard = run(batch)
    said = tuple(token for token, _ in heard.tokens[1])
    batch.add(drawing(2, first + said + (4, 4, 4), 2))
    ended = run(batch).ended[2]
    assert isinstance(ended, Answered)
    assert ended.usage.cached_tokens == len(first)  # the answer itself was computed by steps


def test_in_fast_mode_it_goes_on_from_the_answer_too() -> None:
    first = (5,) * 200
    batch = Batch(FakeDevice(FREE), "m", exact=False)
    batch.add(drawing(1, first, 6))
    said = tuple(token for token, _ in run(batch).tokens[1])
    batch.add(drawing(2, first + said + (4, 4, 4), 2))
    ended = run(batch).ended[2]
    assert isinstance(ended, Answered)
    assert ended.usage.cached_tokens == len(first) + len(said) - 1  # nobody has computed the last token


@settings(max_examples=100, deadline=None)
@given(prompts, st.integers(0, 2), st.sampled_from([0, 5_000, LONG]), st.sampled_from([1, 2, 5, MAX_SLOTS]))
def test_in_a_unified_cache_too_an_answer_is_to_its_own_prompt(
    asked: list[tuple[tuple[int, ...], list[int], int, bool]], copies: int, budget: int, slots: int
) -> None:
    plan = [(start + tuple(rest), n, now) for start, rest, n, now in asked for _ in range(copies + 1)]
    device = FakeDevice(FREE, tells=False, kv_unified=True)
    jobs = [drawing(seq, ids, n, interactive=now) for seq, (ids, n, now) in enumerate(plan)]
    heard, _ = all_at_once(jobs, device, exact=False, shelf=Shelf(budget), max_slots=slots)
    for seq, (ids, n, _) in enumerate(plan):
        alone, _ = all_at_once([drawing(seq, ids, n)], FakeDevice(tells=False))
        assert heard.tokens[seq] == alone.tokens[seq]


def test_in_a_unified_cache_answers_share_the_cells_of_what_they_have_in_common() -> None:
    start = tuple(range(1, 20)) * 15
    cases = [start + (i, i + 1, i + 2) * 10 for i in range(1, 9)]
    mixed = [drawing(10 * s + c, ids, 30) for s in range(4) for c, ids in enumerate(cases)]
    _, device = all_at_once(mixed, FakeDevice(FREE, kv_unified=True), exact=False)
    assert max(device.steps) == len(mixed)
    assert device.restored == 0
    assert device.computed == len(start) + sum(len(ids) - len(start) for ids in cases)


def test_all_are_drawn_together_and_new_work_joins_when_others_end() -> None:
    jobs = [drawing(i, (i + 1,) * 10, 5 if i % 2 else 20) for i in range(MAX_SLOTS + 8)]
    _, device = all_at_once(jobs)
    assert max(device.steps) == MAX_SLOTS
    assert sum(device.steps) == sum(job.answer.question.options.max_tokens - 1 for job in jobs)
    assert len(device.steps) < 45  # one after the other it would be about 480


def test_memory_grows_with_the_work_and_not_beyond_what_there_is() -> None:
    _, little = all_at_once([drawing(1, (1,) * 10)])
    assert little.resized == [(2, 512)]
    _, much = all_at_once([drawing(i, (i,) * 10) for i in range(40)])
    assert max(much.resized) == (MAX_SLOTS, 512)
    _, narrow = all_at_once([drawing(i, (i % 20,) * 10) for i in range(40)], FakeDevice(fits=512 * 5))
    assert max(narrow.resized) == (5, 512)
    _, long = all_at_once([drawing(1, (1,) * 1000, 200)])
    assert long.resized[-1][1] == 2048


def test_what_somebody_waits_for_starts_within_a_step_though_all_slots_are_taken() -> None:
    batch = Batch(FakeDevice(), "m", max_slots=4)
    for i in range(20):
        batch.add(drawing(i, (i + 1,) * 10, 50))
    heard = Heard()
    while len(heard.order) < 4 or batch.filling:
        heard.take(batch.advance())
    batch.add(drawing(99, (3, 1, 2), 50, interactive=True))
    heard.take(batch.advance())
    heard.take(batch.advance())
    assert heard.tokens[99]
    assert len(run(batch, heard).ended) == 21


def test_it_overtakes_a_long_prompt_that_nobody_waits_for() -> None:
    batch = Batch(FakeDevice(), "m")
    batch.add(drawing(1, (1,) * 3000, 5))
    heard = Heard()
    heard.take(batch.advance())
    batch.add(drawing(2, (2,) * 10, 5, interactive=True))
    while 2 not in heard.ended:
        heard.take(batch.advance())
    assert 1 not in heard.tokens
    assert len(run(batch, heard).tokens[1]) == 5


def test_where_somebody_reads_along_a_long_prompt_does_not_hold_up_the_answer() -> None:
    device = FakeDevice()
    batch = Batch(device, "m")
    batch.add(drawing(1, (1,) * 10, 60, interactive=True))
    heard = Heard()
    heard.take(batch.advance())
    batch.add(drawing(2, (2,) * (CHUNK * 20), 5))
    before = len(heard.tokens[1])
    for _ in range(20):
        heard.take(batch.advance())
    assert len(heard.tokens[1]) - before >= 9


def test_one_that_is_cancelled_is_gone_at_once_and_the_others_go_on() -> None:
    device = FakeDevice()
    batch = Batch(device, "m", max_slots=3)
    samplers = [Greedy() for _ in range(6)]
    for i in range(6):
        batch.add(drawing(i, (i + 1,) * (2000 if i == 2 else 10), 30, sampler=samplers[i]))
    heard = Heard()
    while not (batch.filling and len(batch.drawing) == 2):
        heard.take(batch.advance())
    for seq in (0, 2, 5):  # being drawn, being computed, waiting
        (event,) = batch.cancel(seq)
        assert isinstance(event, Answered)
        assert event.finish_reason == "cancelled"
        assert samplers[seq].closed == 1
        heard.take([event])
    assert batch.cancel(77) == batch.cancel(0) == []
    run(batch, heard)
    assert {seq: len(heard.tokens[seq]) for seq in (1, 3, 4)} == {1: 30, 3: 30, 4: 30}
    assert [s.closed for s in samplers] == [1] * 6


def test_one_that_fails_takes_nobody_down() -> None:
    heard, _ = all_at_once([drawing(1, (1, 2)), drawing(2, (3, 4), sampler=Broken()), drawing(3, (5, 6))])
    failed = heard.ended[2]
    assert isinstance(failed, Failed)
    assert failed.failure.message == "cannot draw"
    assert len(heard.tokens[1]) == len(heard.tokens[3]) == 8


class Failing(FakeDevice):
    def step(self, tokens: Sequence[int], positions: Sequence[int], first: int) -> None:
        raise EngineError("no step")


def test_when_the_device_fails_each_sequence_says_so() -> None:
    heard, _ = all_at_once([drawing(i, (i, 2)) for i in range(1, 5)], Failing())
    assert {type(end) for end in heard.ended.values()} == {Failed}


# --- scoring ---------------------------------------------------------------------------------------------------------

texts = st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=5).map(tuple), min_size=1, max_size=8, unique=True)


def by_hand(prompt: Sequence[int], text: Sequence[int]) -> list[float]:
    """Log-probabilities of a text after a prompt, computed plainly in double precision."""
    found = []
    for i, token in enumerate(text):
        row = logits([(each, "") for each in (*prompt, *text[:i])]).astype(np.float64)
        found.append(float(row[token] - np.log(np.exp(row).sum())))
    return found


def scoring(seq: int, prompt: Sequence[int], what: Sequence[Sequence[int]]) -> Scoring:
    return Scoring("m", seq, Reading(prompt, what), Words().piece, interactive=False, prompt_tokens=len(prompt))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=300).map(tuple), texts)
def test_each_token_of_a_text_gets_its_probability(prompt: tuple[int, ...], what: list[tuple[int, ...]]) -> None:
    jobs = [scoring(1, prompt, what), drawing(2, prompt), scoring(3, prompt, what[::-1])]
    heard, _ = all_at_once(jobs, FakeDevice(tells=False))
    for seq, order in ((1, what), (3, what[::-1])):
        measured = heard.ended[seq]
        assert isinstance(measured, Measured)
        assert [s.ids for s in measured.scores] == order
        assert [s.texts for s in measured.scores] == [tuple(f"<{t}>" for t in text) for text in order]
        for score in measured.scores:
            assert score.logprobs == pytest.approx(by_hand(prompt, score.ids), abs=1e-5)
        assert measured.usage.completion_tokens == sum(map(len, order))


def test_a_long_text_is_read_in_pieces() -> None:
    text = tuple(np.random.default_rng(0).integers(1, 20, 200).tolist())
    heard, device = all_at_once([scoring(1, (1, 2, 3), [text])], FakeDevice(tells=False))
    measured = heard.ended[1]
    assert isinstance(measured, Measured)
    assert measured.scores[0].logprobs == pytest.approx(by_hand((1, 2, 3), text), abs=1e-5)
    assert device.computed == 3 + 199 + (199 % 32 == 1)


def test_texts_that_begin_alike_are_read_together() -> None:
    what = [(1, 2, 3, 4, 5, 6, i, 7) for i in range(10, 20)]
    _, device = all_at_once([scoring(1, (1, 2), what)])
    assert device.computed == 2 + 7 + 9 * 2  # each branch is one token, computed with the one before it


def choosing(seq: int, prompt: Sequence[int], what: dict[str, tuple[int, ...]], temperature: float) -> Choosing:
    options = Options(temperature=temperature)
    question = Question("m", seq, (), options, seq, 1, None, False)
    return Choosing(question, Reading(prompt, list(what.values()), 2), list(what), Words().piece)


@settings(max_examples=60, deadline=None)
@given(texts, st.sampled_from([0.0, 0.7, 1.0]))
def test_a_choice_has_the_probability_of_its_text_among_all(what: list[tuple[int, ...]], temperature: float) -> None:
    prompt = (4, 4)
    names = {"".join(f"<{t}>" for t in text): text for text in what}
    heard, _ = all_at_once([choosing(7, prompt, names, temperature)], FakeDevice(tells=False))
    end = heard.ended[7]
    assert isinstance(end, Answered)
    assert end.distribution is not None
    assert sum(end.distribution.values()) == pytest.approx(1)
    # That of beginning with this text, and with no longer one of the choices.
    alone = {name: np.exp(sum(by_hand(prompt, text))) for name, text in names.items()}
    own = {
        name: p
        - sum(
            alone[longer]
            for longer, other in names.items()
            if other[: len(names[name])] == names[name] != other
            and not any(len(names[name]) < n < len(other) and other[:n] in what for n in range(len(other)))
        )
        for name, p in alone.items()
    }
    for name, p in own.items():
        assert end.distribution[name] == pytest.approx(p / sum(own.values()), abs=1e-6)
    assert end.text in names
    assert [token for token, _ in heard.tokens[7]] == list(names[end.text])
    if temperature == 0:
        assert end.distribution[end.text] == max(end.distribution.values())


def test_choices_are_drawn_by_their_probabilities() -> None:
    names = {"a": (1,), "b": (2, 3), "c": (5, 6, 7)}
    heard, _ = all_at_once([choosing(seq, (4, 4), names, 1.0) for seq in range(600)])
    ends = [end for end in heard.ended.values() if isinstance(end, Answered)]
    shares = ends[0].distribution
    assert shares is not None
    for name, share in shares.items():
        counted = sum(end.text == name for end in ends) / 600
        assert abs(counted - share) < 4 * (share * (1 - share) / 600) ** 0.5 + 1e-9


def test_a_measurement_that_is_cancelled_has_failed() -> None:
    batch = Batch(FakeDevice(), "m")
    batch.add(scoring(1, (1,) * 300, [(1, 2)]))
    batch.advance()
    (event,) = batch.cancel(1)
    assert isinstance(event, Failed)
    assert event.failure.type == "Cancelled"
    assert not batch.busy


# --- small things ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 700), st.sampled_from([Rules(), Rules(4, 8), Rules(32, 32), Rules(CHUNK, 2), FREE]))
@example(2 * CHUNK + 1, Rules(CHUNK, 2))
def test_each_part_of_a_prompt_is_as_the_rules_want_it(count: int, rules: Rules) -> None:
    at, parts = 0, []
    while at < count:
        end = rules.end(at, count, CHUNK)
        assert end == count or end % rules.align == 0
        parts.append(end - at)
        at = end
    assert at == count
    assert all(part <= CHUNK for part in parts[:-1])
    assert min(parts) >= min(rules.least, count)
