from __future__ import annotations

from pathlib import Path

import pytest

from promptlab.app.lab import Lab
from promptlab.app.versions import list_versions, load_versions, preview_version, united
from promptlab.core.prompt import Input, Prompt
from promptlab.errors import NotFound
from tests import gitkit
from tests.conftest import EXPLAIN


@pytest.fixture
def committed(library: Path, git_settings: None) -> Path:
    """Two versions of `explain`; tags on the first, and on a commit that made none."""
    explain = library / "prompts" / "explain.jinja"
    gitkit.run(library, "init", "-q", "-b", "main")
    for text, subject, tag in (
        (EXPLAIN, "First \x1b[2J", "v1"),
        (EXPLAIN.replace("Explain {{", "Tell {{"), "Second", ""),
        (EXPLAIN.replace("Explain {{", "Tell {{"), "Nothing of it", "v2"),
    ):
        explain.write_text(text)
        gitkit.run(library, "add", ".")
        gitkit.run(library, "commit", "-q", "--allow-empty", "-m", subject)
        if tag:
            gitkit.run(library, "tag", *(["-a", "-m", "About v2"] if tag == "v2" else []), tag)
    return explain


def test_working_copy_numbers_and_tags(committed: Path, lab: Lab) -> None:
    listing = list_versions(lab, "explain")
    assert listing.problem == ""
    assert [v.label for v in listing.versions] == ["explain", "explain@2", "explain@1", "explain@v2"]
    here, second, first, tagged = listing.versions
    assert (here.dirty, here.subject, here.hash) == (False, "explain@2", second.hash)
    assert (first.subject, first.tags, second.tags) == ("First \x1b[2J", ("v1",), ())
    assert tagged.subject == "About v2"
    assert all(v.date for v in (second, first, tagged))
    committed.write_text(EXPLAIN + "more")
    assert list_versions(lab, "explain").versions[0].dirty is True


def test_a_version_beside_the_working_copy(committed: Path, lab: Lab) -> None:
    seen = preview_version(lab, "explain", "explain@1")
    assert seen.source == EXPLAIN
    assert "+{% user %}Tell {{ topic }}.{% enduser %}" in seen.changes[0].lines
    assert preview_version(lab, "explain", "explain").changes == ()
    committed.write_text("---\ninputs: {n: whole}\n---\n")
    assert "is not a type" in preview_version(lab, "explain", "explain@1").problem
    assert list_versions(lab, "explain").versions[0].label == "explain"
    with pytest.raises(NotFound, match="git knows no commit"):
        preview_version(lab, "explain", "explain@nowhere")


def test_versions_together_ask_for_the_inputs_of_all(committed: Path, lab: Lab) -> None:
    committed.write_text(EXPLAIN.replace("  topic: string, what to explain\n", "  tone: string\n  about: string\n"))
    prompts = load_versions(lab, ("explain", "explain@1"))
    together = united(prompts, ("explain", "explain@1"))
    assert [i.name for i in together.inputs] == ["tone", "about", "audience", "topic"]
    assert together.label == "explain, explain@1"
    assert together.source == committed.read_text()


def test_of_a_default_that_versions_do_not_share_none_is_shown(committed: Path, lab: Lab) -> None:
    now = EXPLAIN.replace("  topic: string, what to explain\n", "  topic: {type: string, default: 1}\n")
    committed.write_text(now.replace("a child", "an engineer"))
    together = united(load_versions(lab, ("explain", "explain@1")), ("explain", "explain@1"))
    audience, topic = sorted(together.inputs, key=lambda each: each.name)
    assert (audience.varies, audience.required, audience.default) == (True, False, None)
    assert (topic.varies, topic.required, topic.default) == (False, True, None)
    (alone, _) = sorted(united(load_versions(lab, ("explain",)), ("explain",)).inputs, key=lambda each: each.name)
    assert (alone.varies, alone.default) == (False, "an engineer")


@pytest.mark.parametrize(
    ("one", "other", "same"), [(1, 1, True), (1, 1.0, False), (1, True, False), (True, False, False)]
)
def test_which_defaults_are_the_same(one: object, other: object, same: bool) -> None:
    prompts = [
        Prompt("p", "", "", inputs=(Input("x", {"type": "boolean", "default": d}, False),)) for d in (one, other)
    ]
    (found,) = united(prompts, ("p", "p@1")).inputs
    assert found.varies != same
    assert found.schema == ({"type": "boolean", "default": one} if same else {"type": "boolean", "enum": [True, False]})


def test_without_git_there_is_the_working_copy_and_one_line(lab: Lab) -> None:
    listing = list_versions(lab, "explain")
    assert [v.label for v in listing.versions] == ["explain"]
    assert "is in no git repository" in listing.problem
    assert "\n" not in listing.problem
