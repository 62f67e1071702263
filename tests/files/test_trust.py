from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptlab.core.job import Model
from promptlab.errors import StoreError
from promptlab.files.registry import read_registry
from promptlab.files.trust import Want, everything, outside, revoke, trust, trust_file, trusted, wants

ADDRESS = "http://127.0.0.1:8080/v1"
MODELS = f"""\
models:
  asks: {{license: x, server: '{ADDRESS}'}}
  reads: {{license: x, sources: [../outside.gguf]}}
  stays: {{license: x, sources: [inside.gguf, 'hf://o/r/f.gguf']}}
"""


@pytest.fixture
def project(home: Path) -> Path:
    root = home / "project"
    root.mkdir()
    (root / "models.yaml").write_text(MODELS)
    return root


def said(project: Path) -> dict[str, bool]:
    return {name: model.trusted for name, model in read_registry(project).models.items()}


def everything_wanted(project: Path) -> frozenset[Want]:
    return frozenset().union(*(wants(model, project) for model in read_registry(project).models.values()))


def test_what_an_entry_wants(project: Path) -> None:
    model = Model("m", None, ("in.gguf", "/abs/x.gguf", ("../part", "pypi://a==1/b")), server=ADDRESS)
    assert wants(model, project) == {
        Want("server", ADDRESS),
        Want("path", "/abs/x.gguf"),
        Want("path", str(project.parent / "part")),
    }


def test_links_are_followed_to_where_they_lead(project: Path) -> None:
    (project / "link.gguf").symlink_to("/somewhere/else.gguf")
    (project / "round").symlink_to("round")
    (project / "in.gguf").symlink_to("other.gguf")
    assert outside("link.gguf", project) == "/somewhere/else.gguf"
    assert outside("in.gguf", project) is None
    assert outside("round", project) is None  # it stays in the library, and is told when it is read
    assert outside("~/x.gguf", project) is None


def test_nothing_is_trusted_until_the_user_says_so(project: Path) -> None:
    assert said(project) == {"asks": False, "reads": False, "stays": False}
    trust(project, everything_wanted(project))
    assert said(project) == {"asks": True, "reads": True, "stays": False}  # the last one wants nothing
    assert everything() == {str(project): everything_wanted(project)}
    assert list(project.iterdir()) == [project / "models.yaml"]  # nothing is written into a library


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [(ADDRESS, "http://127.0.0.1:9090/v1", "asks"), ("../outside.gguf", "../../outside.gguf", "reads")],
)
def test_what_changes_is_asked_for_again(project: Path, old: str, new: str, name: str) -> None:
    trust(project, everything_wanted(project))
    (project / "models.yaml").write_text(MODELS.replace(old, new))
    assert {each for each, is_trusted in said(project).items() if is_trusted} == {"asks", "reads"} - {name}


def test_a_link_that_leads_elsewhere_is_asked_for_again(project: Path) -> None:
    (project / "inside.gguf").symlink_to("/one.gguf")
    trust(project, everything_wanted(project))
    assert said(project)["stays"]
    (project / "inside.gguf").unlink()
    (project / "inside.gguf").symlink_to("/other.gguf")
    assert not said(project)["stays"]


def test_another_library_with_the_same_text_is_not_trusted(project: Path, home: Path) -> None:
    trust(project, everything_wanted(project))
    other = home / "other"
    other.mkdir()
    (other / "models.yaml").write_text(MODELS)
    assert said(other) == {"asks": False, "reads": False, "stays": False}


def test_trust_is_taken_back(project: Path) -> None:
    trust(project, everything_wanted(project))
    assert revoke(project)
    assert not revoke(project)
    assert said(project)["asks"] is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"version": 2, "libraries": {}}',
        '{"version": 1, "libraries": []}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_damaged_file_trusts_nothing_and_is_not_overwritten(project: Path, text: str) -> None:
    trust_file().parent.mkdir(parents=True)
    trust_file().write_text(text, encoding="latin-1")
    assert trusted(project) == frozenset()
    for change in (lambda: trust(project, ()), lambda: revoke(project), everything):
        with pytest.raises(StoreError, match=r"trust\.json is damaged or of another version"):
            change()
    assert trust_file().read_text(encoding="latin-1") == text


@pytest.mark.parametrize("kept", [None, 3, [], {}, {"server": 3}, {"server": [3, None]}, {"server": {"a": 1}}])
def test_odd_values_in_it_trust_nothing(project: Path, kept: object) -> None:
    trust_file().parent.mkdir(parents=True)
    trust_file().write_text(json.dumps({"version": 1, "libraries": {str(project): kept}}))
    assert said(project) == {"asks": False, "reads": False, "stays": False}
