from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.core.events import Failure
from promptlab.core.record import Cell
from promptlab.views.copied import Code, code_blocks, exact, write_answers
from tests.tui.test_columns import cell


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no code", []),
        ("```python\nprint(1)\n\nx\n```\nand", [Code("python", "print(1)\n\nx")]),
        ("a\n~~~\n```\n~~~\nb\n```` js x\n```\n````", [Code("", "```"), Code("js", "```")]),
        ("- item\n  ```sh\n  ls\n    -l\n  ```", [Code("sh", "ls\n  -l")]),
        ("```\nstill open", [Code("", "still open")]),
        ("```", []),
        ("`` `x` ``\n``` a `b`\nc", []),
        ("```\n```", [Code("", "")]),
        ("```\r\na\r\n```\r\n", [Code("", "a\r")]),
    ],
)
def test_code_blocks(text: str, expected: list[Code]) -> None:
    assert code_blocks(text) == expected


def test_what_is_copied_is_what_is_stored() -> None:
    said = "\x1b[2J raw\r\n\t\u202e "
    assert exact(cell(said)) == said
    done = cell("{}")
    assert done.record is not None
    assert exact(replace(done, record=replace(done.record, output={"a": "é"}))) == '{"a": "é"}'
    assert exact(replace(done, record=None)) == "{}"
    failed = replace(done.record, output=None, error=Failure("Cancelled", "cancelled"))
    assert exact(replace(done, record=failed)) == "{}"
    assert exact(cell(None)) == ""


def test_a_comparison_as_markdown() -> None:
    fence = "`" * 3
    asked = {"topic": "rain_*", "n": 3}

    def about(each: Cell) -> Cell:
        return replace(each, job=replace(each.job, inputs=asked))

    said = f"Because.\n{fence}py\nx\n{fence}\n\x07"
    cells = [about(cell(said)), about(cell(None, "beta"))]
    assert write_answers(cells) == (
        "# hello\n\n**topic**\n\n```\nrain_*\n```\n\n"
        + "**n**\n\n```\n3\n```\n\n"
        + f"## alpha\n\n````\n{said}\n````\n\n"
        + "20.0 tokens/s · first token 0.50 s · 30→41 tokens · stop · seed 11 · exact\n\n"
        + "## beta\n\n*waiting*\n"
    )


def test_a_failure_is_said_with_what_there_was() -> None:
    done = cell("half")
    assert done.record is not None
    bad = replace(done, status="failed", record=replace(done.record, error=Failure("EngineError", "out of *memory*")))
    text = write_answers([bad])
    assert "**Failed:** out of \\*memory\\*" in text
    assert "```\nhalf\n```" in text


def test_of_several_prompts_each_has_its_inputs() -> None:
    first, second = cell("a"), cell("b", sample=1)
    other = replace(second.job, prompt=replace(second.job.prompt, label="hello@2"), inputs={"x": "1"})
    text = write_answers([first, replace(second, job=other)])
    assert text.startswith("# hello, hello@2\n\nInputs of hello:\n\nInputs of hello@2:\n\n**x**")
    assert "## alpha · hello@2 · sample 2/2" in text
