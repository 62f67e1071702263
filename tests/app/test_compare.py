"""Comparisons, with the fake engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.app.code import run_code
from promptlab.app.compare import Comparing, Request, prepare
from promptlab.app.lab import Lab
from promptlab.app.run import Typed
from promptlab.core.compare import Comparison
from promptlab.core.events import Finished
from promptlab.engine.backend import Measurement, Question
from promptlab.engine.fake import FakeEngine
from promptlab.errors import InputError, ModelMissing, NotFound, OptionError, SourceError, UsageError

FACTS = """\
- id: rain
  vars: {topic: rain}
  assert: [{type: icontains, value: RAIN}]
- id: snow
  vars: {topic: snow}
  assert: [{type: icontains, value: "{{ word }}"}, {type: not-equals, value: ""}]
- id: wind
  vars: {topic: wind}
"""


@pytest.fixture
def seeds(library: Path) -> Path:
    folder = library / "seeds"
    folder.mkdir()
    (folder / "facts.yaml").write_text(FACTS.replace('"{{ word }}"', "snow"))
    return folder


def request(**changes: Any) -> Request:
    return replace(Request(("explain",), ("facts",), ("alpha", "beta"), samples=2), **changes)


def done(comparing: Comparing) -> Comparison:
    for _ in comparing.events():
        pass
    return comparing.judged()


def echo(question: Question, prompt: str) -> str:
    """It says the topic, but knows nothing of snow on beta."""
    return "nothing" if question.model == "beta" and "snow" in prompt else prompt


def test_a_comparison_from_cases_to_verdicts(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    engine.answer = echo
    found = done(prepare(lab, request()))
    assert [(c.prompt, c.model) for c in found.columns] == [("explain", "alpha"), ("explain", "beta")]
    assert [case.id for case in found.cases] == ["rain", "snow", "wind"]
    states = {(r.column, r.case, r.sample): r.state for r in found.results}
    assert states == {
        (column, case, sample): "unscored" if case == 2 else "fail" if (column, case) == (1, 1) else "pass"
        for column in (0, 1)
        for case in range(3)
        for sample in (0, 1)
    }
    assert [(s.pass_rate, s.unscored, s.errors) for s in found.summaries] == [(1.0, 2, 0), (0.5, 2, 0)]
    assert found.pairs[0].decision == "cannot tell"
    assert all(r.record.case == found.cases[r.case].id for r in found.results)
    assert found.results[0].record.inputs == {"topic": "rain", "audience": "a child"}


def test_columns_of_several_prompts_and_models_know_their_answers(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    (lab.root / "prompts" / "short.jinja").write_text("---\ninputs: {topic: string}\n---\nIn short: {{ topic }}")
    comparing = prepare(lab, request(prompts=("explain", "short"), samples=3))
    found = done(comparing)
    names = [("explain", "alpha"), ("explain", "beta"), ("short", "alpha"), ("short", "beta")]
    assert [(c.prompt, c.model) for c in found.columns] == names
    for result in found.results:
        record = result.record
        assert (record.prompt.name, record.model.name) == names[result.column]
        assert (record.case, record.sample) == (found.cases[result.case].id, result.sample)
    assert {(p.first, p.second) for p in found.pairs} == {(0, 1), (0, 2), (1, 3), (2, 3)}
    seeds_of = {(r.case, r.sample): r.record.steps[0].seed for r in found.results if r.column == 0}
    assert all(r.record.steps[0].seed == seeds_of[r.case, r.sample] for r in found.results)


def test_a_second_time_nothing_is_asked_and_everything_is_the_same(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    first = done(prepare(lab, request()))
    engine.loaded.clear()
    asked = len(engine.questions)
    again = done(prepare(lab, request()))
    assert (engine.loaded, len(engine.questions)) == ([], asked)
    assert all(r.cached for r in again.results)
    assert not any(r.cached for r in first.results)
    assert [replace(r, cached=False) for r in again.results] == list(first.results)
    fresh = done(prepare(lab, request(recall="nothing")))
    assert not any(r.cached for r in fresh.results)


def test_other_checks_on_the_same_answers_ask_nothing(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    done(prepare(lab, request()))
    asked = len(engine.questions)
    (seeds / "facts.yaml").write_text(FACTS.replace("{{ word }}", "hail"))
    found = done(prepare(lab, request()))
    assert len(engine.questions) == asked
    assert {r.state for r in found.results if r.case == 1} == {"fail"}


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_loaded(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    (seeds / "bad.yaml").write_text(
        "- {id: a, vars: {topic: x}, assert: [{type: contians, value: x}]}\n- {id: b, vars: {topic: y}, assert: 3}\n"
    )
    with pytest.raises(SourceError) as caught:
        prepare(lab, request(prompts=("explain", "broken"), cases=("bad",)))
    places = [(p.file.rpartition("/")[2], p.line) for p in caught.value.problems]
    assert places[0][0] == "broken.jinja"
    assert places[1:] == [("bad.yaml", 1), ("bad.yaml", 2)]
    (seeds / "misfit.yaml").write_text(
        "- {id: a, vars: {topik: x}}\n- {id: b, vars: {topic: y}}\n- {id: c, vars: {}}\n"
    )
    with pytest.raises(SourceError) as caught:
        prepare(lab, request(cases=("misfit",)))
    assert [p.line for p in caught.value.problems] == [1, 3]
    assert engine.loaded == []


def test_a_variable_that_only_checks_use_is_no_input(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    (seeds / "words.yaml").write_text(
        "- vars: {topic: hail, word: hail}\n  assert: [{type: contains, value: '{{ word }}'}]\n"
    )
    engine.answer = echo
    found = done(prepare(lab, request(cases=("words",))))
    assert {r.state for r in found.results} == {"pass"}
    assert found.results[0].record.inputs == {"topic": "hail", "audience": "a child"}


def vectors(lab: Lab) -> None:
    """A model for vectors among those of the library."""
    entries = lab.root / "models.yaml"
    entries.write_text(
        entries.read_text().replace("sources: [beta.gguf]", "sources: [beta.gguf]\n    tags: [embedding]")
    )


def test_likeness_is_measured_by_a_model_for_vectors(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    vectors(lab)
    engine.answer = lambda question, prompt: "listen"
    (seeds / "like.yaml").write_text(
        "- {vars: {topic: a}, assert: [{type: similar, value: [hammer, silent], threshold: 0.99}]}\n"
        "- {vars: {topic: b}, assert: [{type: similar, value: hammer, threshold: 0.99}]}\n"
    )
    found = done(prepare(lab, request(cases=("like",), models=("all",), samples=1)))
    assert {column.model for column in found.columns} == {"alpha"}
    assert [r.verdict.outcome for r in found.results] == ["pass", "fail"]
    assert found.results[0].verdict.checks[0].reason == "is like 'silent' by 1 (threshold 0.99)"
    loaded = list(engine.loaded)
    again = done(prepare(lab, request(cases=("like",), models=("all",), samples=1)))
    assert [r.verdict for r in again.results] == [r.verdict for r in found.results]
    assert engine.loaded == loaded


def test_without_a_model_for_vectors_likeness_is_unscored(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    (seeds / "like.yaml").write_text("- {vars: {topic: a}, assert: [{type: similar, value: silent}]}\n")
    found = done(prepare(lab, request(cases=("like",))))
    assert {r.verdict.checks[0].reason for r in found.results} == {
        "needs a model tagged `embedding` in models.yaml, and there is none"
    }


@pytest.mark.parametrize(
    ("provider", "models", "reason"),
    [
        ("nobody", ("alpha",), "there is no model 'nobody' for similar"),
        ("alpha", ("alpha",), "similar wants a model tagged `embedding` in models.yaml, and alpha is not"),
        ("beta", ("beta",), "beta: tagged `embedding`, so it makes vectors of texts and answers nothing"),
    ],
)
def test_a_model_that_cannot_do_it_is_refused(
    lab: Lab, seeds: Path, provider: str, models: tuple[str, ...], reason: str
) -> None:
    vectors(lab)
    (seeds / "like.yaml").write_text(
        f"- {{vars: {{topic: a}}, assert: [{{type: similar, value: x, provider: {provider}}}]}}\n"
    )
    with pytest.raises(UsageError) as caught:
        prepare(lab, request(cases=("like",), models=models))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"cases": ("nowhere",)}, NotFound),
        ({"prompts": ("nowhere",)}, NotFound),
        ({"models": ("nowhere",)}, NotFound),
        ({"models": ("gamma",)}, ModelMissing),
        ({"judge": "nobody"}, NotFound),
        ({"judge": "gamma"}, ModelMissing),
        ({"options": {"temperature": -1}}, OptionError),
        ({"samples": 100_000}, UsageError),
        ({"cases": (), "inputs": {}}, InputError),
    ],
)
def test_bad_requests_load_nothing(
    lab: Lab, seeds: Path, engine: FakeEngine, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        prepare(lab, request(**change))
    assert engine.loaded == []


def test_two_files_with_one_id_are_refused(lab: Lab, seeds: Path) -> None:
    (seeds / "more.yaml").write_text("- {id: new, vars: {topic: a}}\n- {id: rain, vars: {topic: b}}\n")
    with pytest.raises(SourceError, match="there is a case 'rain' in"):
        prepare(lab, request(cases=("facts", "more")))


def test_without_cases_there_is_one_of_the_values_given(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    found = done(prepare(lab, request(cases=(), inputs={"topic": Typed("rain")})))
    assert [case.vars for case in found.cases] == [{"topic": "rain"}]
    assert {r.state for r in found.results} == {"unscored"}
    assert found.results[0].record.case is None


def test_a_template_that_fails_on_one_case_fails_that_cell_only(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    (lab.root / "prompts" / "picky.jinja").write_text(
        "---\ninputs: {topic: string}\n---\n{% if topic == 'snow' %}{{ 1 / 0 }}{% endif %}{{ topic }}"
    )
    found = done(prepare(lab, request(prompts=("picky",))))
    assert {r.case for r in found.results if r.state == "error"} == {1}
    assert found.summaries[0].errors == 2


def test_the_same_version_twice_is_two_columns(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    (lab.root / "prompts" / "copy.jinja").write_text((lab.root / "prompts" / "explain.jinja").read_text())
    found = done(prepare(lab, request(prompts=("explain", "copy"), models=("alpha",))))
    assert [c.prompt for c in found.columns] == ["explain", "copy"]
    assert found.pairs[0].decision == "cannot tell"


JUDGED = """\
- id: rain
  vars: {topic: rain}
  assert:
    - {type: llm-rubric, value: mentions rain}
    - {type: select-best, value: the most helpful}
    - {type: logprob, value: It falls., threshold: -99}
"""


def test_a_judge_is_asked_once_and_its_verdicts_are_kept(
    lab: Lab, seeds: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (seeds / "judged.yaml").write_text(JUDGED)
    engine.answer = lambda question, prompt: question.model
    measured: list[str] = []
    real = engine.measure

    def measure(asked: Measurement) -> None:
        measured.append(asked.model)
        real(asked)

    monkeypatch.setattr(engine, "measure", measure)
    asked = request(cases=("judged",), judge="beta")
    found = done(prepare(lab, asked))
    assert measured.count("beta") > measured.count("alpha") > 0
    checks = [check for r in found.results for check in r.verdict.checks]
    assert all(check.outcome != "unscored" or "tie" in check.reason or "shares" in check.reason for check in checks)
    assert found.bias is not None
    measured.clear()
    again = done(prepare(lab, asked))
    assert measured == []
    assert [r.verdict for r in again.results] == [r.verdict for r in found.results]
    without = done(prepare(lab, request(cases=("judged",))))
    assert {r.verdict.checks[0].outcome for r in without.results} == {"unscored"}


def test_each_model_reads_the_answers_of_all(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    engine.answer = echo
    found = done(prepare(lab, request(likeness=True)))
    assert found.likeness is not None
    assert found.likeness.models == ("alpha", "beta")
    assert all(bits is not None and bits > 0 for row in found.likeness.bits for bits in row)
    assert done(prepare(lab, request())).likeness is None


def test_code_runs_only_where_that_is_allowed(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    (seeds / "code.yaml").write_text("- {vars: {topic: x}, assert: [{type: python, value: len(output) > 0}]}\n")
    asked = request(cases=("code",))
    assert {r.state for r in done(prepare(lab, asked, run_code)).results} == {"unscored"}
    assert {r.state for r in done(prepare(lab, replace(asked, allow_code=True), run_code)).results} == {"pass"}


def test_one_that_is_broken_off_is_gone_on_with(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    comparing = prepare(lab, request())
    for event in comparing.events():
        if isinstance(event, Finished):
            comparing.cancel()
    partial = comparing.judged()
    whole = [r for r in partial.results if r.state != "error"]
    assert 0 < len(whole) < 12
    again = done(prepare(lab, request()))
    assert sum(r.cached for r in again.results) == len(whole)
    assert not any(r.state == "error" for r in again.results)


def test_nothing_is_kept_where_that_is_not_wanted(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    done(prepare(lab, request(log=False, recall="nothing")))
    assert lab.store.recent(10) == []


def answering(probability: dict[str, float]) -> Callable[[Question, str], str]:
    """It gives the right answer with a probability that depends on the prompt, the model, and how hard the case is."""

    def answer(question: Question, prompt: str) -> str:
        luck = int.from_bytes(hashlib.sha256(f"{question.seed} {question.model} {prompt}".encode()).digest()[:8], "big")
        hard = int.from_bytes(hashlib.sha256(prompt.split()[-1].encode()).digest()[:8], "big") / 2**64
        chance = next(p for start, p in probability.items() if start in prompt)
        return "right" if luck / 2**64 < min(max(chance + hard - 0.5, 0.0), 1.0) else "wrong"

    return answer


def test_a_prompt_that_is_better_by_30_points_is_found(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    for name, start in {"old": "Please say", "new": "Think, then say"}.items():
        (lab.root / "prompts" / f"{name}.jinja").write_text(f"---\ninputs: {{n: integer}}\n---\n{start} {{{{ n }}}}")
    cases = [f"- {{id: c{n}, vars: {{n: {n}}}, assert: [{{type: equals, value: right}}]}}" for n in range(40)]
    (seeds / "many.yaml").write_text("\n".join(cases))
    engine.answer = answering({"Please": 0.35, "Think": 0.65})
    found = done(prepare(lab, request(prompts=("old", "new"), cases=("many",), models=("alpha",), samples=4)))
    assert found.pairs[0].decision == "better"
    engine.answer = answering({"Please": 0.5, "Think": 0.5})
    same = done(prepare(lab, request(prompts=("old", "new"), cases=("many",), models=("beta",), samples=4)))
    assert same.pairs[0].decision == "cannot tell"


@pytest.mark.parametrize("samples", [1, 4])
def test_of_two_columns_that_do_the_same_it_cannot_be_told_which_is_better(
    lab: Lab, seeds: Path, engine: FakeEngine, samples: int
) -> None:
    """Samples of one case are alike: some cases are hard. Only one of 20 such pairs may be told apart by luck."""
    (lab.root / "prompts" / "say.jinja").write_text("---\ninputs: {n: integer}\n---\nPlease say {{ n }}")
    cases = [f"- {{id: c{n}, vars: {{n: {n}}}, assert: [{{type: equals, value: right}}]}}" for n in range(12)]
    (seeds / "many.yaml").write_text("\n".join(cases))
    engine.answer = answering({"Please": 0.5})
    decisions = []
    for seed in range(100):
        asked = request(prompts=("say",), cases=("many",), samples=samples, options={"seed": seed})
        found = done(prepare(lab, replace(asked, log=False, recall="nothing")))
        decisions.append(found.pairs[0].decision)
    assert decisions.count("cannot tell") >= 95


def test_it_says_which_models_are_the_same_weights(lab: Lab, seeds: Path, library: Path, engine: FakeEngine) -> None:
    assert done(prepare(lab, request())).variants == ()
    text = (library / "models.yaml").read_text()
    same = lab.models["alpha"].sha256
    more = f"  plain: {{license: x, sha256: {same}, chat_template: plain}}\n"
    (library / "models.yaml").write_text(text.replace("  beta:\n", "  beta:\n    base: gamma\n") + more)
    assert done(prepare(lab, request(models=("alpha", "beta", "plain")))).variants == (("alpha", "plain"),)
