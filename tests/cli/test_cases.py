"""`promptlab cases`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptlab.core.case import vars_id
from tests.conftest import Cli


@pytest.fixture(autouse=True)
def seeds(library: Path) -> Path:
    folder = library / "seeds"
    folder.mkdir()
    (folder / "rain.yaml").write_text(
        "description: About rain.\n"
        "tests:\n"
        "  - id: wet\n"
        "    description: Rain is wet.\n"
        "    vars: {topic: rain}\n"
        "    assert: [{type: icontains, value: wet, metric: facts}, {type: not-contains, value: dry}]\n"
        "    metadata: {level: easy}\n"
        "  - vars: {topic: snow, audience: a poet}\n"
    )
    (folder / "numbers.csv").write_text("n\n3\n")
    return folder


def test_check_of_what_is_right_is_a_table(cli: Cli) -> None:
    result = cli("cases", "check")
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()] == [
        ["FILE", "CASES", "ASSERTIONS"],
        ["seeds/numbers.csv", "1", "0"],
        ["seeds/rain.yaml", "2", "2"],
    ]
    assert json.loads(cli("cases", "check", "rain", "--json").out) == {
        "files": [{"name": "rain", "file": "seeds/rain.yaml", "cases": 2, "assertions": 2}],
        "problems": [],
    }


def test_check_says_everything_with_its_place(cli: Cli, seeds: Path) -> None:
    (seeds / "rain.yaml").write_text("- {id: 1, assert: [{type: icontain, value: x}]}\n- {ids: 2}\n")
    (seeds / "numbers.csv").write_text("n,__id\n3\n")
    result = cli("cases", "check")
    assert (result.code, result.err) == (2, "")
    places = [line.split(" ")[0] for line in result.out.splitlines()]
    assert places == ["seeds/numbers.csv:2:1:", "seeds/rain.yaml:1:20:", "seeds/rain.yaml:2:4:"]
    result = cli("cases", "check", "--json")
    assert result.code == 2
    problems = json.loads(result.out)["problems"]
    assert [(p["file"], p["line"], p["column"]) for p in problems][1] == ("seeds/rain.yaml", 1, 20)
    assert "icontain" in problems[1]["message"]


def test_check_against_prompts(cli: Cli) -> None:
    assert cli("cases", "check", "rain", "--prompt", "explain").code == 0
    result = cli("cases", "check", "--prompt", "explain", "--prompt", "verdict")
    assert (result.code, result.out.splitlines()[0]) == (
        2,
        "seeds/numbers.csv:2:1: explain: there is no input 'n'; the input 'topic' is missing",
    )
    assert "seeds/rain.yaml:3:5: verdict: the input 'claim' is missing" in result.out
    result = cli("cases", "check", "--prompt", "nope")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_what_is_not_there_is_one_line(cli: Cli) -> None:
    result = cli("cases", "check", "rain", "nope.csv")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "there is no case file 'nope.csv'" in result.err


def test_what_a_stranger_wrote_does_nothing_to_a_terminal(cli: Cli, seeds: Path) -> None:
    evil = "\x1b]52;c;x\x07\u202e"
    (seeds / f"{evil}.yaml").write_text('- {"\\e[2J": 1}\n')
    (seeds / "rain.yaml").write_text(f'- {{id: "a", description: "\\e[2J", vars: {{topic: "\\e[2J{evil[-1]}"}}}}\n')
    out = "".join(
        cli("cases", *rest).out for rest in (["check"], ["list"], ["show", "rain"], ["show", "rain", "--case", "a"])
    )
    assert "␛" in out
    assert not set("\x1b\x07\u202e") & set(out)


def test_no_case_files(cli: Cli, library: Path, seeds: Path) -> None:
    for file in seeds.iterdir():
        file.unlink()
    for command in ("list", "check"):
        result = cli("cases", command)
        assert (result.code, result.out, result.err) == (0, "", f"promptlab: no case files in {library / 'seeds'}\n")
    assert json.loads(cli("cases", "check", "--json").out) == {"files": [], "problems": []}


def test_list(cli: Cli, seeds: Path) -> None:
    (seeds / "bad.yaml").write_text("[]")
    lines = cli("cases", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "CASES", "DESCRIPTION"]
    assert lines[1].split(maxsplit=1) == ["bad", "cannot be read: seeds/bad.yaml:1:1: there are no cases in it"]
    assert lines[3].split(maxsplit=2) == ["rain", "2", "About rain."]
    assert json.loads(cli("cases", "list", "--json").out)[2] == {
        "name": "rain",
        "file": "seeds/rain.yaml",
        "cases": 2,
        "assertions": 2,
        "description": "About rain.",
        "problem": None,
    }


def test_show(cli: Cli) -> None:
    snow = vars_id({"topic": "snow", "audience": "a poet"})
    assert [line.split(maxsplit=1) for line in cli("cases", "show", "rain").out.splitlines()] == [
        ["CASE", "EXPECTED                 VARS"],
        ["wet", '         icontains, not-contains  {"topic": "rain"}'.lstrip()],
        [snow, '{"topic": "snow", "audience": "a poet"}'],
    ]
    found = json.loads(cli("cases", "show", "rain", "--json").out)
    assert [case["id"] for case in found] == ["wet", snow]
    assert found[0]["asserts"][0] == {
        "type": "icontains",
        "value": "wet",
        "threshold": None,
        "weight": 1.0,
        "metric": "facts",
        "provider": None,
    }


def test_show_one(cli: Cli) -> None:
    out = cli("cases", "show", "seeds/rain.yaml", "--case", "wet").out
    for part in ("id           wet", "description  Rain is wet.", "topic  rain", "metric  facts", "level  easy"):
        assert part in out
    assert [case["id"] for case in json.loads(cli("cases", "show", "rain", "--case", "wet", "--json").out)] == ["wet"]
    result = cli("cases", "show", "rain", "--case", "dry")
    assert (result.code, result.err.count("\n"), "there is no case 'dry'" in result.err) == (2, 1, True)


def test_the_sets_that_ship_can_be_used_from_elsewhere(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "empty").mkdir()
    monkeypatch.chdir(home / "empty")
    assert cli("cases", "check", "facts", "--prompt", "answer").code == 0
    assert "seeds/lake.yaml" in cli("cases", "check").out
