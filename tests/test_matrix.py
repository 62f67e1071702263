"""The benchmark against peers, as far as it is no measuring: what is asked, counted and divided."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from peers import report, rivals
from peers.ours import TRIES, Heard, Ours, steady
from peers.report import Result
from peers.work import NEW_TOKENS, SAMPLES, BenchError, Outcome, Task, common, prefix_tree, prompts
from promptlab.core.events import Answered, Failure, Timings, Token, Usage
from promptlab.core.job import Model
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine

ROOT = Path(__file__).parent.parent
FILE = Path("weights.gguf")
TASK = Task("weights.gguf", 2, ((1, 2, 3), (1, 2, 4)), (9,), ((1, 2), (3, 4)), 8)


def ours(engine: FakeEngine) -> Ours:
    ticks = itertools.count()
    return Ours(engine, Model("fake", None), FILE, clock=lambda: float(next(ticks)))


def long(question: Question, prompt: str) -> str:
    return "word " * 100


def short_at_first(question: Question, prompt: str) -> str:
    return "word " * (100 if question.seed % 3 else 5)


@pytest.mark.parametrize(
    ("given", "count"),
    [([], 0), ([(1, 2, 3)], 3), ([(1, 2, 3)] * 4, 3), ([(1, 2, 3), (1, 2, 4)], 4), ([(1,), (1, 2), (2,)], 3)],
)
def test_a_prefix_tree_counts_each_common_beginning_once(given: list[tuple[int, ...]], count: int) -> None:
    assert prefix_tree(given) == count
    assert prefix_tree(reversed(given)) == count


def test_a_common_beginning_ends_where_either_prompt_does() -> None:
    assert (common((1, 2), (1, 2, 3)), common((1, 2, 3), (1, 2))) == (2, 2)
    assert (common((1, 2), (2, 2)), common((), (1,))) == (0, 0)


def test_the_prompts_are_eight_that_begin_alike_and_differ_at_the_end() -> None:
    texts = prompts()
    assert len(set(texts)) == len(texts) == 8
    shared = common([*map(ord, texts[0])], [*map(ord, texts[1])])
    assert all(0.85 < shared / len(text) < 0.98 for text in texts)


def test_seeds_are_changed_until_no_answer_is_cut_short() -> None:
    engine = FakeEngine(short_at_first)
    task = ours(engine).task(FILE, 2, NEW_TOKENS)
    assert all(seed % 3 for seeds in task.seeds for seed in seeds)
    assert [len(seeds) for seeds in task.seeds] == [SAMPLES] * 8
    assert len({seed for seeds in task.seeds for seed in seeds}) == 8 * SAMPLES
    assert ours(engine).matrix(task).tokens == 8 * SAMPLES * NEW_TOKENS


def test_an_engine_whose_answers_are_always_short_is_asked_a_limited_number_of_times() -> None:
    engine = FakeEngine(lambda question, prompt: "short")
    ours(engine).task(FILE, 2, NEW_TOKENS)
    assert len(engine.questions) == 1 + 8 * SAMPLES * (TRIES - 1)


def test_all_questions_are_asked_at_once_and_nobody_waits_for_them() -> None:
    engine = FakeEngine(long)
    ours(engine).task(FILE, 2, NEW_TOKENS)
    asked = engine.questions[-8 * SAMPLES :]
    assert not any(question.interactive for question in asked)
    assert {replace(q.options, max_tokens=0) for q in asked} == {replace(asked[0].options, max_tokens=0)}
    options = asked[0].options
    assert (options.temperature, options.top_k, options.top_p, options.min_p) == (0.8, 40, 0.95, 0.05)


def test_an_outcome_counts_what_was_generated_and_what_was_computed() -> None:
    engine = FakeEngine(long)
    bench = ours(engine)
    outcome = bench.matrix(bench.task(FILE, 2, NEW_TOKENS))
    assert outcome.tokens == 8 * SAMPLES * NEW_TOKENS
    assert outcome.computed == outcome.prompt_tokens > 8 * SAMPLES * 200
    assert outcome.rate == outcome.tokens / outcome.seconds


def test_prompts_that_are_read_otherwise_than_the_peers_read_them_are_refused() -> None:
    bench = ours(FakeEngine(long))
    task = bench.task(FILE, 2, NEW_TOKENS)
    with pytest.raises(BenchError, match="other tokens"):
        bench.matrix(replace(task, prompts=tuple(ids[1:] for ids in task.prompts)))


def test_an_engine_that_fails_is_one_line() -> None:
    engine = FakeEngine(long)
    bench = ours(engine)
    task = bench.task(FILE, 2, NEW_TOKENS)
    engine.kill("fake", Failure("WorkerDied", "its worker was killed"))
    with pytest.raises(BenchError, match=r"^its worker was killed$"):
        bench.matrix(task)


def test_decoding_is_timed_while_all_rows_run_and_leaves_nothing_running() -> None:
    engine = FakeEngine(long)
    bench = ours(engine)
    decoding = bench.decoding(bench.task(FILE, 2, NEW_TOKENS))
    assert (decoding.rows, decoding.rate) == (32, 1.0)
    engine.load(Model("fake", None), FILE)
    assert type(engine.next_event(0)).__name__ == "Loading"
    assert type(engine.next_event(0)).__name__ == "Ready"
    assert engine.next_event(0) is None


def token(at: float, seq: int) -> Heard:
    return Heard(at, Token(seq, 1, "x", -1.0))


def test_the_steady_rate_leaves_out_rows_that_begin_late_and_the_rest_after_the_first_end() -> None:
    ended = Heard(9.0, Answered(1, "", "length", Usage(1, 0, 4), Timings(0, 0, 0, 0, 0)))
    heard = [token(0, 1), token(5, 1), token(6, 2), token(7, 1), token(7, 2), token(8, 1), ended, token(20, 2)]
    found = steady(heard)
    # From the first token of the second row, at 6, three more until 8.
    assert (found.rows, found.rate) == (2, 1.5)


def test_the_search_tries_every_setting_once() -> None:
    tried = list(rivals.settings())
    assert len(tried) == len(set(tried)) == 2 * 2 * 3 * 2
    assert {s.slots for s in tried} == {8, 16, 32}
    assert rivals.Setting(slots=16, flash=None, unified=None, n_cmpl=True, short_spin=False) == rivals.STARTED


def test_the_search_goes_on_after_a_failure_and_tries_the_best_with_other_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    best = rivals.Setting(32, flash=False, unified=True, n_cmpl=False)
    fails = rivals.Setting(8, flash=True, unified=True, n_cmpl=True)

    def server(task: Task, setting: rivals.Setting) -> Outcome:
        if setting == fails:
            raise BenchError("no room")
        return Outcome(100 + 10 * (replace(setting, short_spin=False) == best) + setting.short_spin, 1.0, 1, 1)

    monkeypatch.setattr(rivals, "server", server)
    told: list[str] = []
    found = rivals.search(TASK, False, told.append)
    assert len(found) == 24
    assert len(told) == 25
    assert any("no room" in line for line in told)
    assert rivals.fastest(found) == replace(best, short_spin=True)


def result() -> Result:
    made = Result("A model", TASK, rows={"exact": 2}, decoding={"exact": [90.0]}, bare={"exact": [100.0, 80.0, 120.0]})
    rates = {report.EXACT: (30.0, 20.0, 10.0), report.LOOP: (5.0, 10.0, 2.0), report.BEST: (16.0,)}
    for name, runs in rates.items():
        made.outcomes[name] = [Outcome(round(rate), 1.0, 12, 4) for rate in runs]
    return made


def test_ratios_are_of_medians_and_one_that_is_missing_is_none() -> None:
    made = result()
    assert made.ratio(report.EXACT, report.LOOP) == 4.0
    assert made.ratio(report.EXACT, report.STARTED) is None
    assert made.part(report.EXACT) == 0.9
    assert made.part(report.FAST) is None


def test_what_the_warm_up_has_in_common_with_the_prompts_is_not_in_their_tree() -> None:
    made = result()
    assert made.tree == 4
    made.task = replace(TASK, warm_up=(1, 9))
    assert made.tree == 3


def test_the_geometric_mean_is_over_all_models_or_there_is_none() -> None:
    other = result()
    other.outcomes[report.LOOP] = [Outcome(20, 1.0, 12, 4)]
    assert report.geometric({"a": result(), "b": other}, report.EXACT, report.LOOP) == pytest.approx(2.0)
    del other.outcomes[report.LOOP]
    assert report.geometric({"a": result(), "b": other}, report.EXACT, report.LOOP) is None


def test_the_table_shows_medians_with_their_spread_ratios_and_prompt_tokens() -> None:
    lines = list(report.table("m", result()))
    exact = next(line for line in lines if "promptlab, exact" in line)
    loop = next(line for line in lines if "Llama.generate" in line)
    assert "20.0 (10.0–30.0)" in exact
    assert "4 = 1.00 tree" in exact
    assert "4.00×" in loop
    assert any("0.90 (target 0.9)" in line for line in lines)


def test_the_json_holds_every_run() -> None:
    made = report.plain({"cpu": "x"}, {"m": result()})
    assert made["models"]["m"]["tokens_per_s"]["exact"] == [30.0, 20.0, 10.0]
    assert made["models"]["m"]["prefix_tree_tokens"] == 4
    assert made["geometric_mean"]["exact"]["loop"] == pytest.approx(4.0)
    assert made["machine"] == {"cpu": "x"}


def test_the_server_is_pinned_and_not_installed_by_default() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (line,) = project["dependency-groups"]["bench"]
    assert line.startswith("xllamacpp==")
    assert project["tool"]["uv"].get("default-groups", ["dev"]) == ["dev"]
