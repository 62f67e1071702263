"""`promptlab compare`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from tests.conftest import Cli

FACTS = """\
- {id: rain, vars: {topic: rain}, assert: [{type: icontains, value: rain}]}
- {id: snow, vars: {topic: snow}, assert: [{type: icontains, value: snow}]}
"""

pytestmark = pytest.mark.usefixtures("seeds")


@pytest.fixture
def seeds(library: Path) -> Path:
    (library / "seeds").mkdir()
    (library / "seeds" / "facts.yaml").write_text(FACTS)
    return library


def echo(question: Question, prompt: str) -> str:
    return prompt


def half(question: Question, prompt: str) -> str:
    """One that knows nothing of snow."""
    return "rain"


def test_tables_and_exit_code_0_when_everything_passes(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = echo
    result = cli("compare", "explain", "-c", "facts", "-n", "2")
    assert result.code == 0
    assert "alpha" in result.out
    assert "100%" in result.out
    assert "cannot tell" in result.out
    assert "Traceback" not in result.err


def test_exit_code_100_when_a_column_is_below_what_is_asked(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = half
    assert cli("compare", "explain", "-c", "facts").code == 100
    assert cli("compare", "explain", "-c", "facts", "--min-pass-rate", "0.5").code == 0
    assert cli("compare", "explain", "-c", "facts", "--min-pass-rate", "0.6").code == 100
    assert cli("compare", "explain", "-c", "facts", "--min-pass-rate", "2").code == 2


def test_exit_code_1_when_an_answer_failed(cli: Cli, engine: FakeEngine) -> None:
    def broken(question: Question, prompt: str) -> str:
        raise ValueError("no")

    engine.answer = broken
    assert cli("compare", "explain", "-c", "facts").code == 1
    engine.answer = echo
    assert cli("compare", "explain", "-c", "facts").code == 1  # failures stand
    assert cli("compare", "explain", "-c", "facts", "--retry-errors").code == 0
    assert cli("compare", "explain", "-c", "facts").code == 0


def test_what_is_unscored_fails_nothing_unless_that_is_asked(cli: Cli, seeds: Path) -> None:
    (seeds / "seeds" / "open.yaml").write_text("- {vars: {topic: rain}}\n")
    assert cli("compare", "explain", "-c", "open").code == 0
    assert cli("compare", "explain", "-c", "open", "--strict").code == 100


def test_json_has_cells_columns_and_pairs(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = echo
    result = cli("compare", "explain", "-c", "facts", "-n", "2", "--json")
    document = json.loads(result.out)
    cells = document["cells"]
    assert len(cells) == 8
    assert {(c["model"]["name"], c["case"], c["sample"]) for c in cells} == {
        (model, case, sample) for model in ("alpha", "beta") for case in ("rain", "snow") for sample in (0, 1)
    }
    assert [c["pass_rate"] for c in document["columns"]] == [1.0, 1.0]
    assert document["columns"][0]["interval"]["high"] == 1.0
    assert document["pairs"][0]["decision"] == "cannot tell"
    lines = cli("compare", "explain", "-c", "facts", "-n", "2", "--jsonl").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [c["id"] for c in cells]


def test_files_by_suffix_several_at_once(cli: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    engine.answer = echo
    names = ["a.html", "a.json", "a.jsonl", "a.csv", "a.md", "deep/a.junit.xml"]
    options = [each for name in names for each in ("-o", str(tmp_path / name))]
    result = cli("compare", "explain", "-c", "facts", *options)
    assert result.code == 0
    assert "<!doctype html>" in (tmp_path / "a.html").read_text().lower()
    assert len(json.loads((tmp_path / "a.json").read_text())["cells"]) == 4
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 4
    assert len(list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))) == 4
    assert "|" in (tmp_path / "a.md").read_text()
    assert "<testsuite" in (tmp_path / "deep" / "a.junit.xml").read_text()
    assert result.err.count("written: ") == 6


def test_a_suffix_that_is_none_is_refused_before_anything_runs(cli: Cli, engine: FakeEngine) -> None:
    result = cli("compare", "explain", "-c", "facts", "-o", "report.pdf")
    assert result.code == 2
    assert ".html" in result.err
    assert engine.loaded == []


def test_a_baseline_is_written_and_held_against(cli: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    engine.answer = half
    kept = tmp_path / "baseline.json"
    assert cli("compare", "explain", "-c", "facts", "--write-baseline", str(kept)).code == 100
    assert cli("compare", "explain", "-c", "facts", "--baseline", str(kept)).code == 0
    engine.answer = lambda question, prompt: "hail"
    worse = cli("compare", "explain", "-c", "facts", "--baseline", str(kept), "--fresh")
    assert worse.code == 100
    assert "rain" in worse.out
    engine.answer = echo
    assert cli("compare", "explain", "-c", "facts", "--baseline", str(kept), "--fresh").code == 0
    assert cli("compare", "explain", "-c", "facts", "--baseline", str(tmp_path / "none.json")).code == 2
    assert cli("compare", "explain", "-c", "facts", "--write-baseline", "seeds/facts.yaml").code == 2
    assert (Path("seeds") / "facts.yaml").read_text() == FACTS


def test_all_problems_of_prompts_and_cases_are_said_at_once(cli: Cli, engine: FakeEngine, seeds: Path) -> None:
    (seeds / "seeds" / "bad.yaml").write_text("- {vars: {topic: x}, assert: [{type: nothing}]}\n- {vras: {}}\n")
    result = cli("compare", "broken", "-c", "bad", "-c", "facts")
    assert result.code == 2
    assert "broken.jinja:2:" in result.err
    assert "seeds/bad.yaml:1:" in result.err
    assert "seeds/bad.yaml:2:" in result.err
    assert engine.loaded == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--jsonl"),
        ("--fresh", "--retry-errors"),
        ("--judge", "nobody"),
        ("-m", "nobody"),
        ("-n", "0"),
        ("--option", "temperature=hot"),
        ("-c", "nowhere"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("compare", "explain", "-c", "facts", *arguments)
    assert result.code == 2
    assert "Traceback" not in result.err
    assert result.out == ""


def test_nothing_is_kept_with_no_log(cli: Cli, library: Path) -> None:
    assert cli("compare", "explain", "-c", "facts", "--no-log").code in (0, 100)
    assert not (library / ".promptlab").exists()


def test_without_cases_all_files_have_what_was_given(cli: Cli, tmp_path: Path) -> None:
    names = ["a.html", "a.json", "a.jsonl", "a.csv", "a.md", "a.junit.xml"]
    options = [each for name in names for each in ("-o", str(tmp_path / name))]
    result = cli("compare", "numbers/count", "--var", "n=3", *options)
    assert result.code == 0
    (row, _) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text()))
    assert row["vars.n"] == "3"
    assert json.loads((tmp_path / "a.json").read_text())["cases"][0]["vars"] == {"n": 3}
    assert not any("Typed" in (tmp_path / name).read_text() for name in names)


@pytest.mark.parametrize("path", ["folder.html", "seeds/facts.yaml/x.html"])
def test_a_place_where_no_file_can_be_is_refused_before_anything_runs(
    cli: Cli, engine: FakeEngine, seeds: Path, path: str
) -> None:
    (seeds / "folder.html").mkdir()
    result = cli("compare", "explain", "-c", "facts", "-o", path)
    assert (result.code, engine.loaded) == (2, [])
    assert "is in the way" in result.err
