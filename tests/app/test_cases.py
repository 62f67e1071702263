from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptlab.app.cases import case_inputs, case_names, check_cases, list_cases, load_cases
from promptlab.app.lab import Lab, open_lab
from promptlab.app.run import Typed, complete_inputs
from promptlab.errors import NotFound, SourceError, UsageError
from promptlab.files.paths import shipped_library

ONE = "- vars: {topic: rain}\n"


@pytest.fixture
def seeds(library: Path) -> Path:
    folder = library / "seeds"
    folder.mkdir()
    (folder / "rain.yaml").write_text(ONE)
    (folder / "numbers.csv").write_text("n,__expected\n3,icontains:three\n")
    (folder / "more.jsonl").write_text(
        '{"vars": {"topic": "sun"}, "assert": [{"type": "icontains", "value": "hot"}]}\n{}\n'
    )
    return folder


@pytest.fixture
def lab(seeds: Path, lab: Lab) -> Lab:
    return lab


@pytest.fixture
def shipped(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.chdir(home)
    with open_lab() as lab:
        yield lab


def labels(lab: Lab, *paths: str) -> list[str]:
    return [found.file for found in load_cases(lab, paths)]


@pytest.mark.parametrize("name", ["rain", "rain.yaml", "seeds/rain", "seeds/rain.yaml", "./seeds/rain.yaml"])
def test_a_file_is_found_by_name_or_path(lab: Lab, name: str) -> None:
    (found,) = load_cases(lab, [name])
    assert (found.name, len(found.cases)) == ("rain", 1)
    assert (found.file == name) is name.endswith("seeds/rain.yaml")


def test_a_name_is_found_from_everywhere(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.root / "prompts" / "numbers")
    assert labels(lab, "rain", "seeds/numbers.csv") == ["../../seeds/rain.yaml", "../../seeds/numbers.csv"]


def test_a_path_from_the_working_folder_comes_first(lab: Lab) -> None:
    (lab.root / "rain.yaml").write_text("- vars: {topic: snow}\n")
    assert load_cases(lab, ["rain.yaml"])[0].cases[0].vars == {"topic": "snow"}
    assert load_cases(lab, ["seeds/rain.yaml"])[0].cases[0].vars == {"topic": "rain"}


def test_each_file_is_read_once_in_the_order_given(lab: Lab) -> None:
    (lab.root / "seeds" / "copy.yaml").symlink_to("rain.yaml")
    assert labels(lab, "seeds/more.jsonl", "seeds/rain.yaml", "rain", "copy", "./seeds/more.jsonl") == [
        "seeds/more.jsonl",
        "seeds/rain.yaml",
    ]
    assert load_cases(lab, []) == []


def test_what_is_not_there_is_told_with_what_is(lab: Lab) -> None:
    for name in ("nope", "nope.yaml", "", "seeds", "x" * 300, "a\0b"):
        with pytest.raises(NotFound, match=r"there is no case file .* There are more.jsonl, numbers.csv, rain.yaml"):
            load_cases(lab, [name])


def test_a_name_that_two_files_have_is_refused(lab: Lab) -> None:
    (lab.root / "seeds" / "rain.csv").write_text("topic\nrain\n")
    with pytest.raises(UsageError, match=r"'rain' may be seeds/rain.yaml or seeds/rain.csv; name one of them"):
        load_cases(lab, ["rain"])
    assert labels(lab, "rain.csv") == ["seeds/rain.csv"]


def test_a_path_that_was_typed_may_lead_out_and_then_its_folder_is_the_limit(lab: Lab, home: Path) -> None:
    outside = home / "outside"
    outside.mkdir()
    (outside / "t.txt").write_text("fog")
    (outside / "s.yaml").write_text("- vars: {topic: file://t.txt}\n")
    (outside / "up.yaml").write_text("- vars: {topic: file://../library/models.yaml}\n")
    (home / "link.yaml").symlink_to(outside / "s.yaml")
    for name in (str(outside / "s.yaml"), "../outside/s.yaml", "../link.yaml"):
        assert load_cases(lab, [name])[0].cases[0].vars == {"topic": "fog"}
    with pytest.raises(SourceError, match=r"up.yaml:1:10: file://../library/models.yaml is outside the library"):
        load_cases(lab, ["../outside/up.yaml"])


def test_a_link_in_the_library_must_not_lead_out(lab: Lab, home: Path) -> None:
    (home / "secret.yaml").write_text(ONE)
    (lab.root / "seeds" / "out.yaml").symlink_to(home / "secret.yaml")
    for name in ("out", "seeds/out.yaml", str(lab.root / "seeds" / "out.yaml")):
        with pytest.raises(SourceError, match=r"out.yaml: is outside the library"):
            load_cases(lab, [name])


def test_a_way_into_the_library_through_a_link_is_in_the_library(lab: Lab, home: Path) -> None:
    (home / "way").symlink_to(lab.root)
    (lab.root / "seeds" / "up.yaml").write_text("- vars: {topic: file://../models.yaml}\n")
    assert "alpha" in load_cases(lab, ["../way/seeds/up.yaml"])[0].cases[0].vars["topic"]


def test_problems_of_all_files_are_told_at_once(lab: Lab) -> None:
    (lab.root / "seeds" / "rain.yaml").write_text("- {ids: 1}\n- {idd: 1}\n")
    (lab.root / "seeds" / "more.jsonl").write_text("{")
    with pytest.raises(SourceError) as caught:
        load_cases(lab, ["rain", "numbers", "more"])
    assert [(p.file, p.line) for p in caught.value.problems] == [
        ("seeds/rain.yaml", 1),
        ("seeds/rain.yaml", 2),
        ("seeds/more.jsonl", 1),
    ]
    checked = check_cases(lab, [])
    assert [found.name for found in checked.sets] == ["numbers"]
    assert [(p.file, p.line) for p in checked.problems] == [
        ("seeds/more.jsonl", 1),
        ("seeds/rain.yaml", 1),
        ("seeds/rain.yaml", 2),
    ]


def test_values_of_csv_are_read_by_the_types_of_inputs(lab: Lab) -> None:
    prompt = lab.library.load("numbers/count")
    (cases,) = load_cases(lab, ["numbers"])
    assert cases.cases[0].vars == {"n": "3"}
    assert case_inputs(cases, cases.cases[0]) == {"n": Typed("3")}
    assert complete_inputs(lab, prompt, case_inputs(cases, cases.cases[0])) == {"n": 3}
    (plain,) = load_cases(lab, ["rain"])
    assert case_inputs(plain, plain.cases[0]) == {"topic": "rain"}


def test_variables_must_fit_the_inputs_of_prompts(lab: Lab) -> None:
    (lab.root / "seeds" / "rain.yaml").write_text(
        "- vars: {topic: 3, tone: x}\n- {id: 1, vars: {topic: rain}}\n- {id: 2}\n"
    )
    (lab.root / "seeds" / "numbers.csv").write_text("n\nthree\n3\n")
    assert [str(p) for p in check_cases(lab, ["rain"], ["explain"]).problems] == [
        "seeds/rain.yaml:1:3: explain: there is no input 'tone'; the input 'topic': 3 is not of type 'string'",
        "seeds/rain.yaml:3:3: explain: the input 'topic' is missing",
    ]
    (problem,) = check_cases(lab, ["numbers"], ["numbers/count"]).problems
    assert str(problem) == "seeds/numbers.csv:2:1: numbers/count: the input 'n' wants integer, as JSON; got 'three'"
    assert check_cases(lab, ["rain", "numbers"]).problems == ()


def test_what_one_prompt_takes_may_be_unknown_to_another(lab: Lab) -> None:
    (lab.root / "seeds" / "both.yaml").write_text("- vars: {topic: rain, n: 3}\n- {id: 1, vars: {topic: rain}}\n")
    assert [str(p) for p in check_cases(lab, ["both"], ["explain", "numbers/count"]).problems] == [
        "seeds/both.yaml:2:3: numbers/count: the input 'n' is missing"
    ]


def test_misfits_are_told_up_to_a_number(lab: Lab) -> None:
    (lab.root / "seeds" / "many.csv").write_text("topic\n" + "".join(f"{i}\n" for i in range(500)))
    problems = check_cases(lab, ["many"], ["numbers/count"]).problems
    assert len(problems) == 51
    assert str(problems[-1]) == "seeds/many.csv: there are more problems"


def test_what_only_an_assertion_uses_need_not_be_an_input(lab: Lab) -> None:
    (lab.root / "seeds").mkdir(exist_ok=True)
    (lab.root / "seeds" / "x.yaml").write_text(
        "- vars: {n: 3, wanted: three, other: 1}\n  assert: [{type: icontains, value: '{{ wanted }}'}]\n"
    )
    problems = check_cases(lab, ["seeds/x.yaml"], ["numbers/count"]).problems
    assert ["other" in str(each) for each in problems] == [True]
    assert "wanted" not in str(problems[0])


def test_a_prompt_that_is_not_there_or_broken_is_an_error(lab: Lab) -> None:
    with pytest.raises(NotFound, match="there is no prompt 'nope'"):
        check_cases(lab, [], ["nope"])
    with pytest.raises(SourceError, match=r"broken.jinja:2:10"):
        check_cases(lab, [], ["broken"])


def test_the_list_has_what_cannot_be_read_with_its_problem(lab: Lab) -> None:
    (lab.root / "seeds" / "rain.yaml").write_text("description: Rain.\ntests: [{}]\n")
    (lab.root / "seeds" / "numbers.csv").write_text("n,n\n")
    more, numbers, rain = list_cases(lab)
    assert (more.name, more.file, more.cases, more.assertions, more.problem) == ("more", "seeds/more.jsonl", 2, 1, None)
    assert numbers.problem == "seeds/numbers.csv:1:3: the column 'n' stands here a second time"
    assert (rain.cases, rain.description) == (1, "Rain.")


def test_names_for_completion(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert case_names(None) == ["more", "numbers", "rain"]
    assert case_names(home / "nowhere") == []
    (lab.root / "seeds").rename(home / "seeds")
    assert case_names(None) == []
    assert list_cases(lab) == []


# --- the sets that ship


def test_the_sets_that_ship_fit_their_prompts(shipped: Lab) -> None:
    wanted = {"facts": "answer", "lake": "lake", "metaphors": "metaphor", "extract": "extract"}
    assert {found.name for found in check_cases(shipped, []).sets} == wanted.keys()
    for name, prompt in wanted.items():
        checked = check_cases(shipped, [f"seeds/{name}.yaml"], [prompt])
        assert checked.problems == ()
        assert all(case.asserts for case in checked.sets[0].cases)
        assert checked.sets[0].description


def test_facts_are_at_least_twenty_short_questions(shipped: Lab) -> None:
    (facts,) = load_cases(shipped, ["facts"])
    assert len(facts.cases) >= 20
    assert all(case.vars.keys() == {"question"} and len(case.vars["question"]) < 80 for case in facts.cases)


def test_every_question_of_the_metaphors_has_every_framing(shipped: Lab) -> None:
    (found,) = load_cases(shipped, ["metaphors"])
    asked: dict[str, set[str]] = {}
    for case in found.cases:
        asked.setdefault(case.vars["question"], set()).add(case.vars["framing"])
    assert len(asked) >= 3
    assert all(framings == {"god", "swarm", "tool", "oracle"} for framings in asked.values())


def test_a_set_that_ships_can_be_copied_and_changed(home: Path, library: Path, lab: Lab) -> None:
    shutil.copytree(shipped_library() / "seeds", home / "copy")
    (found,) = load_cases(lab, ["../copy/extract.yaml"])
    assert any("Henrique" in case.vars["message"] for case in found.cases)
