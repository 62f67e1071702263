"""`promptlab models add|remove|usage|import-…`, `promptlab trust`, and the user's own registry in other commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptlab.files.paths import model_file
from promptlab.files.registry import user_file
from promptlab.files.trust import trust_file
from tests.cli.test_history import typed
from tests.conftest import Cli, sha256, weights
from tests.files import ggufkit

pytestmark = pytest.mark.usefixtures("library")

SERVER = "http://127.0.0.1:9/v1"


@pytest.fixture
def wanting(library: Path) -> Path:
    """A library that wants more than itself."""
    with (library / "models.yaml").open("a") as file:
        file.write(f"  served: {{license: x, server: '{SERVER}', tags: [far]}}\n")
        file.write("  outside: {license: x, sha256: '" + "0" * 64 + "', sources: [../outside.gguf]}\n")
    return library


def own(text: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


# --- where entries are from


def test_the_list_says_where_entries_are_from_once_one_is_ones_own(cli: Cli) -> None:
    assert "FROM" not in cli("models", "list").out
    own("models:\n  mine: {license: x}\n  alpha: {license: x}\n")
    result = cli("models", "list")
    first = result.out.splitlines()[1].split()
    assert (first[0], first[-2:]) == ("alpha", ["yours", "(unpinned)"])
    assert [line.split()[0] for line in result.out.splitlines()[1:]] == ["alpha", "beta", "gamma", "mine"]
    assert result.err == "promptlab: alpha: yours, in the place of the project's of the same name\n"
    assert [m["hides"] for m in json.loads(cli("models", "list", "--json").out)] == [True, False, False, False]


def test_problems_of_both_files_are_told(cli: Cli, library: Path) -> None:
    (library / "models.yaml").write_text("models:\n  a: {}\n")
    own("models:\n  b: {}\n")
    result = cli("models", "list")
    assert result.code == 2
    assert result.err == (
        f"promptlab: models.yaml:2:3: license is missing\npromptlab: {user_file()}:2:3: license is missing\n"
    )


def test_an_entry_of_ones_own_answers_in_any_library(cli: Cli) -> None:
    own(f"models:\n  mine:\n    license: x\n    sha256: {sha256(weights('beta'))}\n    tags: [own]\n")
    result = cli("run", "explain", "--var", "topic=rain", "-m", "tag:own", "--json")
    assert result.code == 0
    assert [record["model"]["name"] for record in json.loads(result.out)] == ["mine"]


# --- trust


def test_what_is_not_trusted_is_told_and_refused(cli: Cli, wanting: Path) -> None:
    result = cli("models", "list")
    assert "served   not trusted" in result.out
    assert "served, outside want more than this library: `promptlab trust` shows what" in result.err
    result = cli("run", "explain", "--var", "topic=rain", "-m", "served")
    assert result.code == 2
    assert result.err == (
        f"promptlab: served asks {SERVER}, and this library is not trusted."
        " `promptlab trust` shows what it wants, and lets it\n"
    )
    result = cli("models", "pull", "outside")
    assert result.code == 1
    assert "lies outside the library" in result.err
    assert "`promptlab trust`" in result.err
    assert "no: see `promptlab trust`" in cli("models", "show", "served").out


def test_trust_shows_what_it_is_about_and_where_nobody_can_be_asked_does_nothing(cli: Cli, wanting: Path) -> None:
    result = cli("trust")
    assert result.code == 2
    assert [line.split() for line in result.out.splitlines()[1:]] == [
        ["served", "asks", SERVER, "not", "yet"],
        ["outside", "reads", str(wanting.parent / "outside.gguf"), "not", "yet"],
    ]
    assert result.err == f"promptlab: this would trust {wanting} in what is marked `not yet`. Say --yes to do so\n"
    assert not trust_file().exists()
    assert cli("trust", "--json").code == 0
    assert not trust_file().exists()


@pytest.mark.parametrize(("answer", "kept"), [(b"y\n", True), (b"n\n", False), (b"\n", False), (b"\x04", False)])
def test_on_a_terminal_it_asks(wanting: Path, answer: bytes, kept: bool) -> None:
    output, code = typed(wanting, answer, "trust")
    assert f"promptlab: trust {wanting} in this? [y/N]" in output
    assert ("is trusted in this" if kept else "nothing was changed") in output
    assert code == 0
    assert trust_file().exists() is kept


def test_trust_is_given_listed_and_taken_back(cli: Cli, wanting: Path) -> None:
    (wanting.parent / "outside.gguf").write_bytes(weights("outside"))
    assert cli("trust", "--list").err == "promptlab: no library is trusted\n"
    assert "is trusted in this" in cli("trust", "--yes").err
    assert json.loads(cli("trust", "--list", "--json").out) == [
        {"library": str(wanting), "servers": [SERVER], "paths": [str(wanting.parent / "outside.gguf")]}
    ]
    assert {each["trusted"] for each in json.loads(cli("trust", "--json").out)["wants"]} == {True}
    assert "is trusted in all of this already" in cli("trust").err
    assert "lies outside" not in cli("models", "pull", "outside").err  # it has another hash, which is told now
    assert cli("trust", "--revoke").err == f"promptlab: {wanting} is not trusted any more\n"
    assert cli("trust", "--revoke").code == 0
    assert "lies outside" in cli("models", "pull", "outside").err


def test_a_library_that_wants_nothing(cli: Cli, library: Path) -> None:
    result = cli("trust")
    assert (result.code, result.out) == (0, "")
    assert result.err == (
        f"promptlab: {library} asks no server and reads no file outside it: there is nothing to trust\n"
    )


def test_an_address_cannot_move_the_cursor(cli: Cli, library: Path) -> None:
    (library / "models.yaml").write_text('models:\n  a: {license: x, sources: ["/\\u202e\\u009b2J"]}\n')
    result = cli("trust")
    assert "<U+202E><U+009B>2J" in result.out


# --- entries from files


def test_add_show_usage_and_remove(cli: Cli, home: Path) -> None:
    file = home / "Tiny.gguf"
    file.write_bytes(ggufkit.model())
    digest = sha256(file.read_bytes())
    result = cli("models", "add", str(file))
    assert (result.code, result.out) == (0, "")
    assert f"promptlab: tiny: added to {user_file()}; the store has" in result.err
    assert "promptlab: tiny: the file names no license" in result.err
    page = cli("models", "show", "tiny").out
    for line in ("tiny: A model", "from           your own models.yaml", f"pinned         {digest}"):
        assert line in page.splitlines()
    assert "architecture   llama, 4 layers of width 128" in page
    shown = json.loads(cli("models", "show", "tiny", "--json").out)
    assert (shown["origin"], shown["pinned"], shown["file"]["shape"]["context"]) == ("yours", True, 2048)
    listed = [line.split()[0] for line in cli("models", "usage").out.splitlines()]
    assert f"{digest[:12]}…" in listed
    found = json.loads(cli("models", "usage", "--json").out)
    assert [each["entries"] for each in found["files"] if each["sha256"] == digest] == [["tiny"]]
    result = cli("models", "remove", "tiny", "--file")
    assert f"promptlab: tiny: is out of {user_file()}; its file is" in result.err
    assert not model_file(digest).exists()
    assert file.exists()
    assert cli("models", "remove", "tiny").code == 2


def test_add_as_json_and_what_is_no_model(cli: Cli, home: Path) -> None:
    (home / "Tiny.gguf").write_bytes(ggufkit.model())
    added = json.loads(cli("models", "add", str(home / "Tiny.gguf"), "--license", "mit", "--json").out)
    assert (added["name"], added["license"], added["registry"]) == ("tiny", "mit", str(user_file()))
    (home / "text.gguf").write_text("hello")
    result = cli("models", "add", str(home / "text.gguf"))
    assert (result.code, result.err.count("\n")) == (2, 1)
    result = cli("models", "add", str(home / "gone.gguf"))
    assert (result.code, result.err) == (2, f"promptlab: there is no file {home / 'gone.gguf'}\n")


def test_runs_are_counted_by_the_file_that_answered(cli: Cli) -> None:
    assert cli("run", "explain", "--var", "topic=rain", "-m", "alpha,beta", "-n", "2").code == 0
    found = {each["sha256"]: each for each in json.loads(cli("models", "usage", "--json").out)["files"]}
    assert found[sha256(weights("alpha"))]["runs"] == 2
    assert found[sha256(weights("alpha"))]["last_run"].startswith("2")


def test_import_from_a_folder(cli: Cli, home: Path) -> None:
    folder = home / "models" / "publisher" / "repository"
    folder.mkdir(parents=True)
    (folder / "Tiny.gguf").write_bytes(ggufkit.model())
    (folder / "mmproj.gguf").write_bytes(b"x")
    result = cli("models", "import-lmstudio", str(home / "models"), "--dry-run")
    assert result.code == 0
    assert result.err.splitlines()[-1] == "promptlab: 1 would be added, 0 known, 1 left out"
    assert not user_file().exists()
    found = json.loads(cli("models", "import-lmstudio", str(home / "models"), "--json").out)
    assert [each["name"] for each in found["added"]] == ["tiny"]
    assert [each["name"] for each in found["skipped"]] == ["publisher/repository/mmproj.gguf"]
    (folder / "Tiny.gguf").unlink()
    assert cli("models", "import-lmstudio", str(home / "models")).code == 1  # nothing could be used
    result = cli("models", "import-ollama", str(home / "models"))
    assert (result.code, result.err.count("\n")) == (2, 1)


def test_completion_knows_tags_and_ones_own(cli: Cli, library: Path) -> None:
    from promptlab.app.models import model_names

    own("models:\n  mine: {license: x, tags: [own]}\n")
    assert model_names(library) == ["alpha", "beta", "gamma", "mine", "tag:own"]
    own("models: 3\n")
    assert model_names(library) == []
