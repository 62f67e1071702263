"""`promptlab prompts`: check, log, diff, new, and versions in `run`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from promptlab.engine.fake import FakeEngine
from tests.conftest import EXPLAIN, Cli
from tests.gitkit import run as git

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture(autouse=True)
def same_time(library: Path, git_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_DATE", "2026-01-02T03:04:05+01:00")


@pytest.fixture
def repo(library: Path) -> Path:
    """The library with `explain` in two versions, the second with another input."""
    (library / "prompts" / "broken.jinja").unlink()
    (library / ".gitignore").write_text(".promptlab/\n")
    git(library, "init", "-q")
    git(library, "add", "-A")
    git(library, "commit", "-qm", "One \x1b[31mred")
    newer = EXPLAIN.replace("audience:", "tone: {type: string, default: calm}\n  audience:")
    (library / "prompts" / "explain.jinja").write_text(
        newer.replace("Explain {{ topic }}.", "Explain {{ topic }}, {{ tone }}.")
    )
    git(library, "commit", "-qam", "Two")
    return library


# --- check -----------------------------------------------------------------------------------------------------------


def test_check_says_everything_with_its_place(cli: Cli, library: Path) -> None:
    (library / "prompts" / "explain.jinja").write_text("---\ninputs: {a: string}\n---\n{{ b }}\n  {{ c }} \x1b[2J")
    result = cli("prompts", "check")
    assert result.code == 1
    assert result.out.splitlines() == [
        "prompts/broken.jinja:2:10: input n: 'whole' is not a type: use one of string, integer, number, boolean, null, "
        "any, or a JSON Schema",
        "prompts/explain.jinja:2:10: warning: the input a is not used",
        "prompts/explain.jinja:4:4: 'b' is undefined",
        "prompts/explain.jinja:5:6: 'c' is undefined",
    ]
    assert result.err == "promptlab: 4 prompts checked: 3 errors, 1 warning\n"


def test_check_as_json(cli: Cli) -> None:
    result = cli("prompts", "check", "broken", "--json")
    (found,) = json.loads(result.out)
    assert (found["file"], found["line"], found["column"], found["severity"]) == (
        "prompts/broken.jinja",
        2,
        10,
        "error",
    )
    assert result.code == 1


def test_check_of_what_is_right(cli: Cli, library: Path) -> None:
    result = cli("prompts", "check", "explain", "verdict", "explain")
    assert (result.code, result.out, result.err) == (0, "", "promptlab: 2 prompts checked: nothing is wrong\n")
    assert json.loads(cli("prompts", "check", "explain", "--json").out) == []
    result = cli("prompts", "check", "nope")
    assert (result.code, result.err.count("\n")) == (2, 1)


def test_warnings_fail_when_asked_to(cli: Cli, library: Path) -> None:
    (library / "prompts" / "explain.jinja").write_text("---\ninputs: {a: string}\n---\nx")
    assert cli("prompts", "check", "explain").code == 0
    assert cli("prompts", "check", "explain", "--strict").code == 1


def test_paths_are_those_from_the_working_folder(cli: Cli, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library / "prompts" / "numbers")
    assert cli("prompts", "check").out.startswith("../broken.jinja:2:10: ")


def test_files_are_checked_in_their_library(cli: Cli, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library.parent)
    result = cli("prompts", "check", "library/prompts/broken.jinja", "library/prompts/explain.jinja")
    assert (result.code, result.out.startswith("library/prompts/broken.jinja:2:10: ")) == (1, True)
    assert result.err == "promptlab: 2 prompts checked: 1 error, 0 warnings\n"
    for wrong in ("library/prompts/nope.jinja", "elsewhere.jinja", "library/models.jinja"):
        result = cli("prompts", "check", wrong)
        assert (result.code, result.err.count("\n")) == (2, 1)
    assert cli("prompts", "check", "explain", "library/prompts/explain.jinja").code == 2


def test_the_library_that_ships_is_not_checked_by_mistake(
    cli: Cli, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(library.parent)
    result = cli("prompts", "check")
    assert (result.code, "there is no library here: no folder prompts/ in" in result.err) == (2, True)
    assert cli("--library", "library", "prompts", "check", "explain").code == 0


def test_a_file_that_cannot_be_a_prompt_is_told(cli: Cli, library: Path) -> None:
    (library / "prompts" / "broken.jinja").unlink()
    (library / "prompts" / "has space.jinja").write_text("x")
    result = cli("prompts", "check")
    assert (result.code, "has space.jinja: warning: is not taken for a prompt" in result.out) == (0, True)


def test_many_prompts_are_checked_alike(cli: Cli, library: Path) -> None:
    for i in range(120):
        (library / "prompts" / f"many{i:03}.jinja").write_text(f"{{{{ missing{i} }}}}")
    found = json.loads(cli("prompts", "check", "--json").out)
    assert [f["message"] for f in found if "many" in f["file"]] == [f"'missing{i}' is undefined" for i in range(120)]


# --- versions --------------------------------------------------------------------------------------------------------


def test_log(cli: Cli, repo: Path) -> None:
    lines = cli("prompts", "log", "explain").out.splitlines()
    assert lines[0].split() == ["VERSION", "COMMIT", "DATE", "HASH", "SUBJECT"]
    assert lines[1].split()[0] == "explain@2"
    assert lines[1].endswith("  Two")
    assert lines[2].endswith("  One ␛[31mred")
    two, one = json.loads(cli("prompts", "log", "explain", "--json").out)
    assert two == {
        "number": 2,
        "commit": git(repo, "rev-parse", "HEAD"),
        "date": "2026-01-02T03:04:05+01:00",
        "hash": json.loads(cli("prompts", "show", "explain", "--json").out)["hash"],
        "subject": "Two",
        "file": "explain.jinja",
    }
    assert one["number"] == 1
    result = cli("prompts", "log", "explain@1")
    assert (result.code, result.err.count("\n")) == (2, 1)


def test_show_of_a_version(cli: Cli, repo: Path) -> None:
    shown = json.loads(cli("prompts", "show", "explain@1", "--json").out)
    assert (shown["name"], shown["label"], shown["dirty"]) == ("explain", "explain@1", False)
    assert shown["source"] == EXPLAIN
    assert shown["commit"] == git(repo, "rev-parse", "HEAD~1")
    page = cli("prompts", "show", "explain@1").out
    assert page.startswith('explain(topic: string, audience: string = "a child") -> text\n')
    assert "version  explain@1\n" in page
    assert "working copy" not in page


def test_versions_stand_side_by_side_in_a_run(cli: Cli, repo: Path, engine: FakeEngine) -> None:
    (repo / "prompts" / "explain.jinja").write_text(EXPLAIN + "\n")
    result = cli("run", "explain@1", "explain@2", "explain", "-m", "alpha", "--var", "topic=x", "--var", "tone=loud")
    assert result.code == 0
    assert [line for line in result.out.splitlines() if line.startswith("==")] == [
        f"== alpha · {label}" for label in ("explain@1", "explain@2", "explain")
    ]
    records = json.loads(
        cli(
            "run",
            "explain@1",
            "explain@2",
            "explain",
            "-m",
            "alpha",
            "--var",
            "topic=x",
            "--var",
            "tone=loud",
            "--json",
        ).out
    )
    assert [(r["prompt"]["name"], r["prompt"]["label"], r["prompt"]["dirty"]) for r in records] == [
        ("explain", "explain@1", False),
        ("explain", "explain@2", False),
        ("explain", "explain", True),
    ]
    assert [r["inputs"].get("tone") for r in records] == [None, "loud", None]
    assert [r["prompt"]["commit"] for r in records] == [git(repo, "rev-parse", r) for r in ("HEAD~1", "HEAD", "HEAD")]
    assert len({r["seed"] for r in records}) == 1


def test_a_value_that_no_version_takes_is_refused(cli: Cli, repo: Path) -> None:
    result = cli("run", "explain@1", "explain", "-m", "alpha", "--var", "topic=x", "--var", "zork=1")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "there is no input 'zork'" in result.err


def test_the_history_names_the_version(cli: Cli, repo: Path) -> None:
    cli("run", "explain@1", "-m", "alpha", "--var", "topic=x")
    assert "explain@1" in cli("runs", "list").out
    (row,) = json.loads(cli("runs", "list", "--json").out)
    assert (row["prompt"], row["label"]) == ("explain", "explain@1")


def test_render_of_a_version(cli: Cli, repo: Path) -> None:
    old = json.loads(cli("prompts", "render", "explain@1", "--var", "topic=x", "--json").out)
    assert old["messages"][1]["content"] == "Explain x."


# --- diff ------------------------------------------------------------------------------------------------------------


def test_diff_of_sources(cli: Cli, repo: Path) -> None:
    lines = cli("prompts", "diff", "explain@1", "explain@2").out.splitlines()
    assert lines[:2] == ["--- explain@1: explain.jinja", "+++ explain@2: explain.jinja"]
    assert "+  tone: {type: string, default: calm}" in lines
    assert "-{% user %}Explain {{ topic }}.{% enduser %}" in lines
    found = json.loads(cli("prompts", "diff", "explain@1", "--json").out)
    assert (found["old"]["label"], found["new"]["label"]) == ("explain@1", "explain@2")
    assert found["old"]["hash"] != found["new"]["hash"]
    assert found["changes"][0]["lines"][0].startswith("@@ ")


def test_diff_with_partials_and_the_commit_checked_out(cli: Cli, repo: Path) -> None:
    assert cli("prompts", "diff", "explain").err == "promptlab: explain and the working copy are the same\n"
    (repo / "prompts" / "_new.jinja").write_text("Brief.\n")
    (repo / "prompts" / "explain.jinja").write_text("{% include '_new.jinja' %}\n")
    lines = cli("prompts", "diff", "explain").out.splitlines()
    assert lines[:2] == ["--- explain@HEAD: explain.jinja", "+++ explain: explain.jinja"]
    at = lines.index("--- /dev/null")
    assert lines[at + 1 :] == ["+++ explain: _new.jinja", "@@ -0,0 +1 @@", "+Brief."]


def test_diff_of_what_a_model_would_see(cli: Cli, repo: Path) -> None:
    result = cli("prompts", "diff", "explain@1", "explain@2", "--var", "topic=rain", "--var", "tone=loud")
    assert [line for line in result.out.splitlines() if line[:1] in "+-"] == [
        "--- explain@1",
        "+++ explain@2",
        "-Explain rain.",
        "+Explain rain, loud.",
    ]
    assert cli("prompts", "diff", "explain@1", "explain@2", "--rendered").code == 2  # topic is missing


def test_diff_counts_tokens_when_a_model_is_named(cli: Cli, repo: Path) -> None:
    result = cli("prompts", "diff", "explain@1", "explain@2", "--var", "topic=rain", "-m", "alpha")
    assert "-Explain rain.<|im_end|>" in result.out
    assert result.out.rstrip().splitlines()[-1].endswith("tokens (+1)")
    found = json.loads(
        cli("prompts", "diff", "explain@1", "explain@2", "--var", "topic=rain", "-m", "alpha", "--json").out
    )
    assert found["token_change"] == found["new"]["tokens"] - found["old"]["tokens"] == 1


# --- new -------------------------------------------------------------------------------------------------------------


def test_a_new_prompt_is_right_from_the_start(cli: Cli, library: Path) -> None:
    result = cli("prompts", "new", "mail/reply")
    assert (result.code, result.out) == (0, "prompts/mail/reply.jinja\n")
    assert cli("prompts", "check", "mail/reply", "--strict").code == 0
    assert cli("prompts", "render", "mail/reply", "--var", "topic=rain").code == 0
    assert cli("run", "mail/reply", "-m", "alpha", "--var", "topic=rain").code == 0
    text = (library / "prompts" / "mail" / "reply.jinja").read_text()
    assert "promptlab run mail/reply --var topic=rain" in text


@pytest.mark.parametrize("name", ["explain", "../up", "_x", "a b", "", "x@1", "a//b", "explain/x", "a" * 200])
def test_a_new_prompt_never_overwrites_or_leaves(cli: Cli, library: Path, name: str) -> None:
    before = sorted(library.parent.rglob("*"))
    (library / "prompts" / "explain").write_text("in the way")
    result = cli("prompts", "new", name)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert (library / "prompts" / "explain.jinja").read_text() == EXPLAIN
    (library / "prompts" / "explain").unlink()
    assert sorted(library.parent.rglob("*")) == before


def test_a_new_prompt_does_not_follow_a_link_out(cli: Cli, library: Path) -> None:
    (library.parent / "outside").mkdir()
    (library / "prompts" / "far").symlink_to(library.parent / "outside")
    result = cli("prompts", "new", "far/x")
    assert (result.code, "leads out of the library" in result.err) == (2, True)
    assert list((library.parent / "outside").iterdir()) == []


# --- import ----------------------------------------------------------------------------------------------------------

DOTPROMPT = """\
---
model: some/model
config: {temperature: 0.9, topK: 3}
input: {schema: {name: string}}
---
{{role "system"}}
{{>rules}}
{{role "user"}}
Greet {{name}}.
{{history}}
"""


@pytest.fixture
def greet(library: Path) -> Path:
    folder = library.parent / "other"
    folder.mkdir()
    (folder / "greet.prompt").write_text(DOTPROMPT)
    (folder / "_rules.prompt").write_text("Be brief, {{name}}.")
    return folder / "greet.prompt"


def test_import_writes_the_prompt_and_what_it_includes(cli: Cli, library: Path, greet: Path) -> None:
    result = cli("prompts", "import", str(greet))
    assert (result.code, result.out.splitlines()) == (0, ["prompts/greet.jinja", "prompts/_rules.jinja"])
    assert f"promptlab: {greet}:2:1: model: models are chosen when a prompt is run" in result.err
    assert f"promptlab: {greet}:10:1: {{{{history}}}}: " in result.err
    assert cli("prompts", "check", "greet", "--strict").code == 0
    messages = json.loads(cli("prompts", "render", "greet", "--var", "name=Ada", "--json").out)["messages"]
    assert [(m["role"], m["content"]) for m in messages] == [("system", "Be brief, Ada."), ("user", "Greet Ada.")]
    shown = json.loads(cli("prompts", "show", "greet", "--json").out)
    assert shown["options"] == {"temperature": 0.9, "top_k": 3}


def test_import_as_json_and_strictly(cli: Cli, greet: Path) -> None:
    (greet.parent / "_rules.prompt").unlink()
    result = cli("prompts", "import", str(greet), "--name", "mail/greet", "--json", "--strict")
    made = json.loads(result.out)
    assert (result.code, made["name"], made["written"]) == (1, "mail/greet", ["prompts/mail/greet.jinja"])
    assert made["missing"] == ["_rules"]
    assert {(f["line"], f["kind"]) for f in made["findings"]} >= {(2, "changed"), (10, "lost")}


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("nope.prompt", "nope.prompt cannot be read: No such file or directory"),
        ("x.prompty", "A .prompty file needs no import: put it into prompts/"),
        ("explain.prompt", "there is a prompt explain already"),
        ("folder.prompt", "folder.prompt cannot be read: Is a directory"),
        ("pipe.prompt", "pipe.prompt is not a file"),
        ("bytes.prompt", "bytes.prompt:2: is not UTF-8 text"),
        ("front.prompt", "front.prompt:"),
        ("a b.prompt", "'a b' cannot be the name of a prompt. Give another one with --name"),
    ],
)
def test_what_cannot_be_imported(cli: Cli, library: Path, file: str, reason: str) -> None:
    (library / "folder.prompt").mkdir()
    os.mkfifo(library / "pipe.prompt")
    (library / "bytes.prompt").write_bytes(b"a\n\xff")
    (library / "front.prompt").write_text("---\na: &x 1\n---\n")
    (library / "explain.prompt").write_text("x")
    before = sorted((library / "prompts").rglob("*"))
    result = cli("prompts", "import", file)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert reason in result.err
    assert sorted((library / "prompts").rglob("*")) == before
