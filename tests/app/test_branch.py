"""What tokens stand for, and going on from answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.app.branch import branch, descent, next_turns
from promptlab.app.lab import Lab, open_lab
from promptlab.app.replay import replay
from promptlab.app.run import Request, Run, Typed, prepare, records
from promptlab.app.tokens import read_pieces, the_model
from promptlab.core.codec import dump, load
from promptlab.core.record import Drawn, Record
from promptlab.core.tokens import Pieces
from promptlab.engine.fake import FakeEngine
from promptlab.errors import EngineError, ModelMissing, UsageError
from promptlab.files.paths import shipped_library


def ask(lab: Lab, *models: str, **changes: Any) -> list[Record]:
    request = Request(("explain",), models or ("alpha",), {"topic": Typed("rain")}, top=5)
    return records(prepare(lab, replace(request, **changes)))


def answered(run: Run) -> Record:
    (record,) = records(run)
    assert record.error is None
    return record


def pieces_of(lab: Lab, record: Record) -> Pieces:
    return read_pieces(lab, record.model, record.engine, record.steps)


# --- what tokens stand for -------------------------------------------------------------------------------------------


def test_more_alternatives_change_neither_tokens_nor_key(lab: Lab) -> None:
    (one,), (five,) = ask(lab, top=1), ask(lab, top=5)
    assert one.key == five.key
    assert [each.id for each in one.steps[0].tokens] == [each.id for each in five.steps[0].tokens]
    assert {len(each.top) for each in one.steps[0].tokens} == {1}
    assert {len(each.top) for each in five.steps[0].tokens} == {5}


def test_the_pieces_of_a_record_are_its_texts(lab: Lab, engine: FakeEngine) -> None:
    (record,) = ask(lab)
    step = record.steps[0]
    heard: list[float] = []
    pieces = read_pieces(lab, record.model, record.engine, record.steps, heard.append)
    assert pieces.said(each.id for each in step.tokens).decode() == step.text
    assert pieces.join(step.prompt_ids).endswith("Explain rain.<|im_end|>\n<|im_start|>assistant\n")
    assert {each.id for each in step.tokens[0].top} <= set(pieces.data)
    assert heard == [0.5]
    assert engine.released.count("alpha") == engine.loaded.count("alpha")


def test_control_tokens_are_told_from_text(lab: Lab, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "<|im_end|>"
    (record,) = ask(lab)
    assert pieces_of(lab, record).control == {record.steps[0].tokens[0].id}


def test_a_token_that_the_model_does_not_have_is_told(lab: Lab, engine: FakeEngine) -> None:
    (record,) = ask(lab)
    wrong = replace(record.steps[0], tokens=(Drawn(-1, -0.5),))
    with pytest.raises(EngineError, match="has no token -1"):
        read_pieces(lab, record.model, record.engine, [wrong])
    assert engine.released.count("alpha") == engine.loaded.count("alpha")


def test_the_model_is_the_one_with_the_weights_that_answered(lab: Lab) -> None:
    (record,) = ask(lab, "beta")
    assert record.engine is not None
    assert the_model(lab, record.model, record.engine) == lab.models["beta"]
    assert the_model(lab, record.model, replace(record.engine, mode="fast")).mode == "fast"
    models = lab.root / "models.yaml"
    models.write_text(models.read_text().replace("  beta:", "  renamed:"))
    assert the_model(lab, record.model, record.engine).name == "renamed"
    with pytest.raises(ModelMissing, match="ffffffffffff…, is not on disk"):
        the_model(lab, replace(record.model, sha256="f" * 64), None)
    with pytest.raises(ModelMissing, match="names another file for it now"):
        the_model(lab, replace(record.model, name="alpha", sha256="f" * 64), None)
    gamma = lab.models["gamma"]
    with pytest.raises(ModelMissing, match="models pull gamma"):
        the_model(lab, replace(record.model, name="gamma", sha256=gamma.sha256), None)


# --- going on --------------------------------------------------------------------------------------------------------


def test_a_branch_begins_with_the_chosen_text_and_is_replayed_as_identical(lab: Lab) -> None:
    (record,) = ask(lab, samples=1, options={"seed": 9})
    other = record.steps[0].tokens[2].top[1]
    made = answered(branch(lab, record, 0, 2, other.id, pieces_of(lab, record)))
    begun = "".join(record.output.partition(")")[:2]) + "!"
    assert made.steps[0].messages[-1].content == begun
    assert made.output == begun + made.steps[0].text
    assert (made.prompt.name, made.prompt.label) == ("explain.branch", "explain branch 3")
    assert (made.seed, made.options["max_tokens"], made.options["temperature"]) == (9, 50, 0.5)
    assert {len(each.top) for each in made.steps[0].tokens} == {5}
    # It is what the history has, and all that is needed to ask it again is in there.
    assert load(Record, dump(lab.store.get(made.id))) == made
    assert [each.verdict for each in replay(lab, [made.id])] == ["identical"]


def test_a_branch_tells_what_it_goes_on_from_and_whether_it_was_read_as_the_same_tokens(lab: Lab) -> None:
    (record,) = ask(lab)
    assert descent(lab, record) is None
    made = answered(branch(lab, record, 0, 2, record.steps[0].tokens[2].top[1].id, pieces_of(lab, record)))
    found = descent(lab, made)
    assert found is not None
    assert (found.origin.record, found.origin.token, found.parent) == (record.id, 2, record)
    # The fake engine's tokens are words with the blank before them: the first one of the answer joins a line break.
    assert found.other_tokens == len(record.steps[0].prompt_ids) - 1
    step = made.steps[0]
    wanted = (*record.steps[0].prompt_ids, *(t.id for t in record.steps[0].tokens[:2]), found.origin.id or 0)
    same = descent(lab, replace(made, steps=(replace(step, prompt_ids=wanted),)))
    assert same is not None
    assert same.other_tokens is None
    lab.store.delete([record.id])
    gone = descent(lab, made)
    assert gone is not None
    assert gone.parent is None


def test_what_no_text_can_begin_with_is_refused(lab: Lab) -> None:
    (record,) = ask(lab)
    id = record.steps[0].tokens[0].id
    with pytest.raises(UsageError, match="no text"):
        branch(lab, record, 0, 0, id, Pieces({id: b"x"}, frozenset([id])))
    with pytest.raises(UsageError, match="part of a character"):
        branch(lab, record, 0, 0, id, Pieces({id: b"\xc3"}))


def test_a_turn_goes_on_from_each_answer_on_its_own_model(lab: Lab) -> None:
    first = ask(lab, "alpha", "beta")
    second = records(next_turns(lab, first, "And why?"))
    assert [r.model.name for r in second] == ["alpha", "beta"]
    for before, after in zip(first, second, strict=True):
        assert [m.content for m in after.steps[0].messages][-2:] == [before.output, "And why?"]
        assert after.output.endswith("heard: And why?")
        assert after.prompt.label == "explain turn 2"
    third = answered(next_turns(lab, second[:1], "So?"))
    assert [m.role for m in third.steps[0].messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert third.prompt.label == "explain turn 3"
    ids = [each.id for each in (*second, third)]
    assert [each.verdict for each in replay(lab, ids)] == ["identical"] * 3


def test_a_turn_that_cannot_be_is_refused(lab: Lab, engine: FakeEngine) -> None:
    (record,) = ask(lab)
    with pytest.raises(UsageError, match="the turn is empty"):
        next_turns(lab, [record], " \n")

    how = record.engine
    assert how is not None
    fast = replace(record, engine=replace(how, mode="fast"))
    with pytest.raises(UsageError, match="not the same model"):
        next_turns(lab, [record, fast], "And?")

    def fail(question: object, prompt: str) -> str:
        raise EngineError("broken")

    engine.answer = fail
    (failed,) = ask(lab)
    with pytest.raises(UsageError, match="no finished answer"):
        next_turns(lab, [record, failed], "And?")


# --- a real model ----------------------------------------------------------------------------------------------------


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Lab]:
    """The library that ships, copied, so that its history is not that of the checkout."""
    root = tmp_path / "library"
    shutil.copytree(shipped_library() / "prompts", root / "prompts")
    shutil.copy(shipped_library() / "models.yaml", root)
    with open_lab(root) as opened:
        yield opened


@pytest.mark.model
def test_with_a_real_model(real: Lab) -> None:
    options = {"max_tokens": 16, "temperature": 0.7, "seed": 3, "stop": []}
    request = Request(("explain",), ("smollm2-135m",), {"topic": Typed("naïve 🌧️ <|im_end|>")}, options=options)
    (plain,) = records(prepare(real, request))
    (record,) = records(prepare(real, replace(request, top=5)))
    step = record.steps[0]
    assert (record.key, [(t.id, t.logprob) for t in step.tokens]) == (
        plain.key,
        [(t.id, t.logprob) for t in plain.steps[0].tokens],
    )
    pieces = pieces_of(real, record)
    assert pieces.said(each.id for each in step.tokens).decode() == step.text
    exact = pieces.join(step.prompt_ids)
    assert all(message.content in exact for message in step.messages)
    assert exact.endswith("<|im_start|>assistant\n")

    place = 8
    drawn = step.tokens[place]
    other = next(each.id for each in drawn.top if each.id != drawn.id and pieces.text(each.id).isascii())
    made = answered(branch(real, record, 0, place, other, pieces))
    chosen = pieces.join([*(each.id for each in step.tokens[:place]), other])
    assert made.output.startswith(chosen)
    assert len(made.output) > len(chosen)
    again = pieces_of(real, made)
    assert again.join(made.steps[0].prompt_ids).endswith(f"<|im_start|>assistant\n{chosen}")
    turn = answered(next_turns(real, [made], "Say that in one word."))
    assert turn.steps[0].messages[-2].content == made.output
    assert [each.verdict for each in replay(real, [made.id, turn.id])] == ["identical", "identical"]
