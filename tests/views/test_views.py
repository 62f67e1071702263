from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from promptlab.core.constraint import Constraint
from promptlab.core.events import Engine, Failure, Timings, Usage
from promptlab.core.job import Job, Model
from promptlab.core.program import Message
from promptlab.core.prompt import Prompt
from promptlab.core.record import Cell, Step, finish
from promptlab.views import columns, pages
from promptlab.views.answer import answer, labels, numbers, seconds
from promptlab.views.jsontext import dumps
from promptlab.views.table import as_rich, as_text, grid, size

ENGINE = Engine("exact", "1", "b", "cpu", 2, {})


def step(text: str = "Drops of water.", name: str = "output", **more: Any) -> Step:
    values: dict[str, Any] = {
        "prompt_ids": (1, 2),
        "finish_reason": "stop",
        "usage": Usage(2, 0, 4),
        "timings": Timings(0.1, 0.02, 0.02, 0.5, 6.0),
    }
    return Step(name, (Message("user", "Why?"),), seed=1, options={}, tokens=(), text=text, **{**values, **more})


def cell(model: str = "alpha", id: int = 0, sample: int = 0, prompt: str = "explain", **more: Any) -> Cell:
    job = Job(id, Prompt(prompt, "x", "x"), {}, Model(model, None), sample)
    return Cell(job, **{"engine": ENGINE, **more})


def done(*steps: Step, model: str = "alpha", output: Any = None, failure: Failure | None = None, **more: Any) -> Cell:
    running = cell(model, steps=steps, **more)
    if output is None and steps:
        output = steps[-1].text
    record = finish(
        running, id="X", started_at="2026-01-01T00:00:00Z", output=None if failure else output, failure=failure
    )
    return replace(running, record=record, status="failed" if failure else "done")


def draw(cells: list[Cell], width: int, height: int | None = None) -> list[str]:
    console = Console(width=width, height=50, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(columns.Sheet(columns.columns(cells), columns.per_row(len(cells), width), height))
    return console.export_text().splitlines()


@pytest.mark.parametrize(
    ("count", "width", "expected"),
    [
        (1, 20, 1),
        (2, 60, 1),
        (2, 72, 1),
        (2, 73, 2),
        (2, 80, 2),
        (3, 80, 2),
        (3, 120, 3),
        (4, 120, 2),
        (6, 200, 3),
        (0, 80, 1),
    ],
)
def test_columns_stand_side_by_side_where_each_gets_enough(count: int, width: int, expected: int) -> None:
    assert columns.per_row(count, width) == expected


@pytest.mark.parametrize("width", [10, 36, 60, 80, 120, 200])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_nothing_is_wider_than_the_terminal(width: int, count: int) -> None:
    cells = [done(step("雨 rain " * 30), model=f"model-{n}" * 5) for n in range(count)]
    assert all(len(line) <= width for line in draw(cells, width))


def test_two_columns() -> None:
    lines = draw([done(step()), done(step("Snow,\n\tmelted."), model="beta")], 80)
    assert lines == [
        "╭─ alpha ─────────────────────────────╮ ╭─ beta ──────────────────────────────╮",
        "│ Drops of water.                     │ │ Snow,                               │",
        "│                                     │ │     melted.                         │",
        "│ ─────────────────────────────────── │ │ ─────────────────────────────────── │",
        "│ 6.0 tokens/s · first token 0.02 s   │ │ 6.0 tokens/s · first token 0.02 s   │",
        "│ 2→4 tokens · stop                   │ │ 2→4 tokens · stop                   │",
        "╰─────────────────────────────────────╯ ╰─────────────────────────────────────╯",
    ]


def test_the_end_of_a_long_text_is_shown_while_it_grows_and_all_of_it_afterwards() -> None:
    text = "\n".join(f"line {n}" for n in range(100))
    growing = cell(steps=(step(text, finish_reason=None, usage=None, timings=None),), status="running")
    lines = draw([growing], 60, height=12)
    assert len(lines) == 12
    assert lines[1].split()[1] == "…"
    assert "line 99" in lines[8]
    whole = draw([done(step(text))], 60)
    assert all(any(f"line {n} " in line for line in whole) for n in range(100))


@pytest.mark.parametrize("height", [1, 3, 5, 8, 10, 20, 40])
def test_live_columns_fit_any_height(height: int) -> None:
    cells = [cell(f"m{n}", n, steps=(step("word\n" * 50),), status="running") for n in range(12)]
    lines = draw(cells, 60, height)
    assert len(lines) <= max(height, 8)
    assert lines


def test_rows_that_do_not_fit_are_counted_and_busy_ones_come_first() -> None:
    cells = [done(step("word\n" * 9), model=f"m{n}") for n in range(4)]
    cells.append(cell("busy", 4, steps=(step("now\n" * 9),), status="running"))
    lines = draw(cells, 60, 12)
    assert "busy" in lines[0]
    assert lines[-1] == "… 4 more: 4 done"


def test_lines_are_shared_fairly() -> None:
    assert columns.share([3, 50, 50], 21) == [3, 9, 9]
    assert columns.share([30, 2], 10) == [8, 2]


def test_finished_rows_are_counted_from_the_first() -> None:
    shown = columns.columns([done(step()), done(step()), cell(), done(step())])
    assert columns.finished(shown, 1) == 2
    assert columns.finished(shown, 2) == 2
    assert columns.finished(shown, 3) == 0
    assert columns.finished(shown[:2], 2) == 2


def test_what_a_column_says_before_its_answer() -> None:
    assert columns.body(cell()).plain == "waiting"
    assert columns.body(cell(status="loading", progress=0.5)).plain == "loading ━━━━━━━━━━━━  50%"
    assert columns.body(cell(status="loading", progress=1.0)).plain == "warming up"
    asked = step("", finish_reason=None, usage=None, timings=None)
    assert columns.body(cell(status="running", steps=(asked,))).plain == "…"
    assert columns.body(done(step(""))).plain == "(nothing)"


def test_each_step_has_its_name_and_a_returned_value_is_shown() -> None:
    several = done(step("yes", "verdict"), step("Because.", "reason"), output={"verdict": "yes"})
    assert columns.body(several).plain == 'verdict\nyes\n\nreason\nBecause.\n\nreturns\n{"verdict": "yes"}'
    assert numbers(several.steps) == ["2 steps", "6.0 tokens/s", "first token 0.02 s", "4→8 tokens", "stop"]


def test_a_failure_shows_its_signal_and_the_last_lines() -> None:
    failure = Failure("EngineError", "the worker died", "SIGKILL", tuple(f"line {n}\x1b[2J" for n in range(9)))
    failed = done(step("So far", finish_reason=None), failure=failure)
    text = columns.body(failed).plain
    assert text.startswith("So far\n\nthe worker died (SIGKILL)\nline 4␛[2J\n")
    assert text.endswith("line 8␛[2J")
    assert failed.record is not None
    assert answer(failed.record) == "So far"
    assert "EngineError: the worker died (SIGKILL)" in pages.record_page(failed.record).plain


def test_safe_mode_is_said() -> None:
    safe = done(step(), engine=replace(ENGINE, safe_mode=True))
    assert any("safe mode" in line for line in draw([safe], 60))


def test_labels_say_only_what_differs() -> None:
    assert labels([cell("a"), cell("b", 1)]) == ["a", "b"]
    assert labels([cell("a"), cell("a", 1, prompt="other")]) == ["a · explain", "a · other"]
    assert labels([cell("a"), cell("a", 1, sample=1)]) == ["a · sample 1/2", "a · sample 2/2"]
    assert labels([]) == []


def test_text_is_never_markup() -> None:
    lines = draw([done(step("[bold]x[/nope] :smile: [@click=quit]y"))], 60)
    assert "[bold]x[/nope] :smile: [@click=quit]y" in lines[1]


def test_parts_are_packed_whole() -> None:
    assert columns.pack(["12 tokens/s", "first 1 s", "stop"], 24) == ["12 tokens/s · first 1 s", "stop"]


def test_tables() -> None:
    table = grid(("NAME", "SIZE"), [("雨", "1"), ("a\x1b\nb", "200")], right=[1])
    assert as_text(table) == "NAME  SIZE\n雨       1\na␛␊b   200\n"
    console = Console(width=30, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(as_rich(table, 30))
        console.print(as_rich(grid(("ID", "OUTPUT"), [("X" * 10, "many words " * 9)], cut_last=True), 30))
    shown = console.export_text().splitlines()
    assert "a␛␊b" in shown[2]
    assert [line.rstrip() for line in shown[4:]] == ["XXXXXXXXXX  many words many w…"]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (48, ["A  NUMBER  COUNT  LAST", "x    1000      1  " + "y" * 30]),
        (38, ["A  NUMBER  COUNT  LAST", "x    1000      1  " + "y" * 19 + "…"]),
        (37, ["A  COUNT  LAST", "x      1  " + "y" * 26 + "…"]),
        (29, ["A  LAST", "x  " + "y" * 25 + "…"]),
        (15, ["A  LAST", "x  " + "y" * 11 + "…"]),
    ],
)
def test_spare_columns_make_way_for_the_last_one(width: int, shown: list[str]) -> None:
    table = grid(("A", "NUMBER", "COUNT", "LAST"), [("x", "1000", "1", "y" * 30)], {1, 2}, cut_last=True, spare=(1, 2))
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(as_rich(table, width))
    assert [line.rstrip() for line in console.export_text().splitlines()] == shown
    assert as_text(table).splitlines() == ["A  NUMBER  COUNT  LAST", "x    1000      1  " + "y" * 30]


def test_spare_columns_stay_where_the_last_one_needs_little() -> None:
    table = grid(("A", "NUMBER", "B"), [("x", "1000", "y")], {1}, cut_last=True, spare=(1,))
    assert len(as_rich(table, 12).columns) == 3
    assert len(as_rich(table, 11).columns) == 2


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (253_113_024, "253.1 MB"), (7 * 10**9, "7.0 GB")],
)
def test_sizes(number: int | None, text: str) -> None:
    assert size(number) == text


def test_seconds() -> None:
    assert (seconds(0.0213), seconds(12.34)) == ("0.02 s", "12.3 s")


def test_json_is_exact_and_harmless() -> None:
    value = {"text": "é 雨 \x1b\x7f\x9b\u202e\u2028\ud800\ufeff\U0001f600", "n": [1.5, None]}
    text = dumps(value)
    assert json.loads(text) == value
    assert "é 雨" in text
    assert all(c.isprintable() for c in text)
    assert json.loads(dumps(value, ascii_only=True)) == value
    assert dumps(value, ascii_only=True).isascii()
    with pytest.raises(TypeError):
        dumps({"x": object()})


def test_a_record_shows_each_message_once_whatever_conversation_it_is_of() -> None:
    question, begun, other = Message("user", "Why?"), Message("assistant", "It is"), Message("user", "Another text.")
    first = replace(step(" wet.", "g"), messages=(question, begun), options={"max_tokens": 5})
    called = replace(step("Fine.", "c.output"), messages=(other,), constraint=Constraint("choices", ["Fine."]))
    last = replace(step("Bye.", "h"), messages=(question, Message("assistant", "It is wet."), Message("user", "And?")))
    record = done(first, called, last).record
    assert record is not None
    page = pages.record_page(record).plain
    assert [page.count(text) for text in ("Why?", "It is", "Another text.", "And?")] == [1, 1, 1, 1]
    assert 'options  {"max_tokens": 5}' in page
    assert 'constraint  {"choices": ["Fine."]}' in page
