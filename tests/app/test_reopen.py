from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.app import reopen
from promptlab.app.lab import Lab
from promptlab.app.reopen import again, reopen_all
from promptlab.app.run import Request, prepare, records
from promptlab.core.events import Failure
from promptlab.core.record import ModelRef, Record
from promptlab.errors import ModelMissing, NotFound, SourceError, UsageError
from promptlab.files.paths import model_file
from tests import gitkit
from tests.files.test_store import record


def run(lab: Lab, topic: str = "rain", **changes: object) -> list[Record]:
    request = Request(("explain",), ("alpha", "beta"), {"topic": topic}, 2)
    return records(prepare(lab, replace(request, **changes)))  # type: ignore[arg-type]


def test_a_record_is_reopened_with_its_run(lab: Lab) -> None:
    run(lab, "snow")
    made = run(lab, options={"temperature": 0.25, "seed": 7})
    run(lab)
    for number, each in enumerate(made):
        opened = reopen.reopen(lab, each.id)
        assert [cell.record for cell in opened.cells] == made
        assert (opened.focus, opened.record) == (number, each)
        assert (opened.prompt, opened.versions, opened.note) == ("explain", ("explain",), "")
        assert (opened.samples, opened.models) == (2, ("alpha", "beta"))
        assert opened.overrides == {"temperature": 0.25, "seed": 7}
        assert [cell.job.id for cell in opened.cells] == [0, 1, 2, 3]
        assert opened.cells[0].job.model.title == "The first"
        assert {cell.status for cell in opened.cells} == {"done"}


def test_columns_stand_as_they_did_whichever_model_was_quicker(lab: Lab) -> None:
    made = run(lab)
    assert [each.place for each in made] == [0, 1, 2, 3]
    hour = {"alpha": "12", "beta": "11"}
    begun = [
        replace(each, id=f"01B{n}", run="01R", started_at=f"2026-11-01T{hour[each.model.name]}:00:00.000Z")
        for n, each in enumerate(reversed(made))
    ]
    for each in begun:
        lab.store.append(each)
    opened = reopen.reopen(lab, "01B0")
    assert [cell.record for cell in opened.cells] == begun[::-1]
    for each in begun:
        lab.store.append(replace(each, id=f"{each.id}A", run="01S", place=None))
    opened = reopen.reopen(lab, "01B0A")  # older ones stand in the order in which they began
    assert [cell.job.model.name for cell in opened.cells] == ["beta", "beta", "alpha", "alpha"]


def test_records_that_are_named_are_opened_in_their_order(lab: Lab) -> None:
    one, two = run(lab, "snow")[0], run(lab)[3]
    opened = reopen_all(lab, [two.id, one.id])
    assert [cell.record for cell in opened.cells] == [two, one]
    assert opened.focus == 0
    assert opened.prompt == "explain"


def test_versions_that_git_keeps_are_chosen_again(lab: Lab, library: Path, git_settings: None) -> None:
    for command in (["init", "-q"], ["add", "prompts"], ["commit", "-qm", "one"]):
        gitkit.run(library, *command)
    made = run(lab)
    assert made[0].prompt.label == "explain@1"
    (library / "prompts" / "explain.jinja").write_text("Now otherwise.")
    opened = reopen.reopen(lab, made[0].id)
    assert (opened.versions, opened.note) == (("explain@1",), "")


def test_a_prompt_that_has_changed_or_gone_is_said_and_the_source_of_the_record_shown(lab: Lab, library: Path) -> None:
    made = run(lab)
    path = library / "prompts" / "explain.jinja"
    source = path.read_text()
    path.write_text("Now otherwise.")
    opened = reopen.reopen(lab, made[0].id)
    assert (opened.prompt, opened.versions) == ("explain", ())
    assert opened.note.startswith("explain has changed since")
    assert opened.cells[0].job.prompt.source == source
    path.unlink()
    opened = reopen.reopen(lab, made[0].id)
    assert opened.prompt is None
    assert "There is no prompt explain any more" in opened.note


def test_odd_records_are_opened_all_the_same(lab: Lab) -> None:
    odd = record(
        "01A",
        prompt=replace(record().prompt, name="../../etc/passwd", label="../../etc/passwd@--output=x", source="{% if"),
        model=ModelRef("gone", None, None),
        started_at="yesterday",
        options={"temperature": "hot"},
        error=Failure("Cancelled", ""),
        engine=None,
        steps=(),
    )
    for each in (odd, replace(odd, id="01B", started_at="0001-01-01T00:00:00Z", error=Failure("EngineError", "x"))):
        lab.store.append(each)
        opened = reopen.reopen(lab, each.id)
        assert [cell.record for cell in opened.cells] == [each]
        assert opened.prompt is None
    assert reopen.reopen(lab, "01A").cells[0].status == "cancelled"
    assert reopen.reopen(lab, "01B").cells[0].status == "failed"
    with pytest.raises(NotFound):
        reopen.reopen(lab, "02")


def test_asking_again_asks_the_same(lab: Lab, library: Path) -> None:
    made = run(lab, options={"temperature": 0.25, "seed": 7})
    (library / "prompts" / "explain.jinja").write_text("Now otherwise.")
    new = records(again(lab, [each.id for each in made[1:3]]))
    assert [each.key for each in new] == [each.key for each in made[1:3]]
    assert [each.output for each in new] == [each.output for each in made[1:3]]
    assert not {each.id for each in new} & {each.id for each in made}
    assert len(lab.store.recent(99)) == 6


def test_what_overrode_a_tag_does_so_again_and_old_records_are_asked_by_what_they_say(lab: Lab, library: Path) -> None:
    """The option is what the prompt says too, so it can only be told from the record that somebody asked for it."""
    text = "---\noptions: {max_tokens: 9}\n---\n{% user %}Hi{% enduser %}{% generate output max_tokens=3 %}"
    (library / "prompts" / "tagged.jinja").write_text(text)
    (made,) = records(prepare(lab, Request(("tagged",), ("alpha",), options={"max_tokens": 9})))
    assert made.steps[0].options["max_tokens"] == 9
    (new,) = records(again(lab, [made.id]))
    assert (new.key, new.overrides) == (made.key, {"max_tokens": 9})
    assert reopen.reopen(lab, made.id).cells[0].job.overrides == {"max_tokens": 9}
    (old,) = [replace(each, id="01C", overrides=None) for each in run(lab, options={"seed": 7})[:1]]
    lab.store.append(old)
    (new,) = records(again(lab, ["01C"]))
    assert (new.key, new.overrides) == (old.key, {"seed": 7})


def test_what_cannot_be_asked_again_is_refused(lab: Lab, library: Path) -> None:
    made = run(lab)[0]
    bad = replace(made, id="01A", prompt=replace(made.prompt, source="---\ninputs: {a: whole}\n---\n"))
    other = replace(made, id="01B", model=replace(made.model, sha256="f" * 64))
    lab.store.append(bad)
    lab.store.append(other)
    with pytest.raises(SourceError):
        again(lab, ["01A"])
    with pytest.raises(NotFound, match=r"no entry of models\.yaml is alpha as it was, sha256 ffff"):
        again(lab, ["01B"])
    text = (library / "models.yaml").read_text()
    (library / "models.yaml").write_text(text.replace(str(made.model.sha256), "f" * 64))
    with pytest.raises(NotFound):
        again(lab, [made.id])
    (library / "models.yaml").write_text(text)
    model_file(str(made.model.sha256)).unlink()
    with pytest.raises(ModelMissing):
        again(lab, [made.id])
    with pytest.raises(UsageError):
        again(lab, [made.id])


def test_what_was_run_right_after_it_is_another_run(lab: Lab) -> None:
    """The same inputs on another model within the minute: as if one had cleared a tick and run again."""
    (first,) = run(lab, models=("alpha",), samples=1)
    (second,) = run(lab, models=("beta",), samples=1)
    assert None is not first.run != second.run is not None
    for each in (first, second):
        opened = reopen.reopen(lab, each.id)
        assert (opened.records, opened.models) == ((each,), (each.model.name,))


def test_versions_with_other_inputs_are_of_their_run(lab: Lab, library: Path, git_settings: None) -> None:
    for command in (["init", "-q"], ["add", "prompts"], ["commit", "-qm", "one"]):
        gitkit.run(library, *command)
    (library / "prompts" / "explain.jinja").write_text("---\ninputs: {n: integer}\n---\nTo {{ n }}.")
    labels = ("explain", "explain@1")
    made = run(lab, prompts=labels, inputs={"topic": "rain", "n": 3}, models=("alpha",), samples=1)
    opened = reopen.reopen(lab, made[0].id)
    assert {each.prompt.label for each in opened.records} == set(labels)
    assert opened.versions == labels


def test_old_records_do_not_say_of_which_run_they_came(lab: Lab) -> None:
    old = [replace(each, id=f"01{n}", run=None) for n, each in enumerate(run(lab, samples=1))]
    for each in old:
        lab.store.append(each)
    opened = reopen.reopen(lab, "010")
    assert [each.id for each in opened.records] == ["010", "011"]


def test_of_a_comparison_it_is_the_case(lab: Lab) -> None:
    made = [replace(each, id=f"01{n}", run="one", case="a") for n, each in enumerate(run(lab, samples=1))]
    other_file = [replace(each, id=f"02{n}", inputs={"topic": "snow"}) for n, each in enumerate(made)]
    other_case = [replace(each, id=f"03{n}", case="b") for n, each in enumerate(made)]
    other_prompt = [
        replace(each, id=f"04{n}", prompt=replace(each.prompt, name="verdict")) for n, each in enumerate(made)
    ]
    for each in (*made, *other_file, *other_case, *other_prompt):
        lab.store.append(each)
    assert [each.id for each in reopen.reopen(lab, "011").records] == ["010", "011"]
    assert [each.id for each in reopen.reopen(lab, "020").records] == ["020", "021"]
    assert [each.id for each in reopen.reopen(lab, "031").records] == ["030", "031"]
