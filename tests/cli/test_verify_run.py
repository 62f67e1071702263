"""`promptlab runs verify`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.core import codec
from promptlab.core.events import Engine, Server
from promptlab.core.record import Record
from promptlab.engine.backend import Expected
from promptlab.engine.fake import FakeEngine
from promptlab.errors import EngineError
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from promptlab.files.store import Store
from tests.conftest import Cli, Result
from tests.gitkit import run as git

Change = Callable[[Path], object]


@pytest.fixture
def id(library: Path, cli: Cli, git_settings: None) -> str:
    """The id of a record of alpha, in a repository with one commit."""
    git(library, "init", "-q")
    git(library, "add", "-A")
    git(library, "commit", "-q", "-m", "first")
    return asked(cli)


def asked(cli: Cli, *more: str) -> str:
    found: str = json.loads(cli("run", "explain", "--var", "topic=rain", "-m", "alpha", "--json", *more).out)[0]["id"]
    return found


def items(result: Result) -> dict[str, tuple[str, str, str]]:
    """What stands how, what it was, and what it is now."""
    return {each["what"]: (each["standing"], each["was"], each["now"]) for each in json.loads(result.out)["items"]}


def unlike(result: Result) -> dict[str, tuple[str, str]]:
    return {what: (how, now) for what, (how, _, now) in items(result).items() if how != "same"}


def edit(file: str, old: str, new: str) -> Change:
    def change(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new))

    return change


def test_nothing_has_changed(id: str, cli: Cli, engine: FakeEngine) -> None:
    loaded = list(engine.loaded)
    result = cli("runs", "verify", id[:20])
    assert result.code == 0
    assert {line.split()[0] for line in result.out.splitlines() if not line.startswith(" ")} == {"same"}
    assert [line[9:24].strip() for line in result.out.splitlines()[1:] if line.startswith("same")] == [
        *("record", "prompt", "weights", "model entry", "chat template", "engine", "processor", "threads", "layout"),
        *("mode", "options"),
    ]
    assert "version 1 (commit " in result.out
    assert "hashed just now" in result.out
    assert engine.loaded == loaded
    found = json.loads(cli("runs", "verify", id, "--json").out)
    assert (found["standing"], found["id"], found["label"], found["model"]) == ("same", id, "explain@1", "alpha")


def changed_weights(root: Path) -> None:
    file = model_file(str(read_models(root / "models.yaml")["alpha"].sha256))
    file.write_bytes(file.read_bytes() + b"!")


def gone_weights(root: Path) -> None:
    model_file(str(read_models(root / "models.yaml")["alpha"].sha256)).unlink()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (edit("prompts/explain.jinja", "Explain {{", "Now {{"), {"prompt": ("differs", "version 1 (commit ")}),
        (
            edit("prompts/explain.jinja", "temperature: 0.5", "temperature: 0.25"),
            {"prompt": ("differs", "has what it was"), "options": ("differs", "temperature 0.25")},
        ),
        (
            lambda root: (root / "prompts/explain.jinja").unlink(),
            {"prompt": ("gone", "there is no prompt explain; version 1"), "options": ("unknown", "is gone")},
        ),
        (
            edit("prompts/explain.jinja", "---\ndesc", "---\n- desc"),
            {"prompt": ("differs", "cannot be read: explain"), "options": ("unknown", "cannot be read")},
        ),
        (changed_weights, {"weights": ("differs", "hashed just now")}),
        (gone_weights, {"weights": ("gone", "not on disk")}),
        (
            edit("models.yaml", "alpha:", "first:"),
            {"model entry": ("differs", "there is no alpha; those weights are first")},
        ),
        (
            edit("models.yaml", "sources: [alpha.gguf]", "options: {temperature: 2, top_k: 3}"),
            {"options": ("differs", "top_k 3")},
        ),
        (edit("models.yaml", "default: true\n  beta", "context: 512\n  beta"), {"layout": ("differs", "context 512")}),
        (
            edit("models.yaml", "default: true\n  beta", "chat_template: plain\n  beta"),
            {"chat template": ("differs", "hash ")},
        ),
    ],
)
def test_what_has_changed_is_told(id: str, cli: Cli, library: Path, change: Change, wanted: dict[str, Any]) -> None:
    change(library)
    result = cli("runs", "verify", id, "--json")
    found = unlike(result)
    gone = "weights" in wanted and wanted["weights"][0] == "gone"
    if gone:  # what the engine would do with a file that is not there, nobody can tell
        assert {found.pop(what)[0] for what in ("chat template", "threads", "layout")} == {"unknown"}
        assert found.pop("engine")[0] == found.pop("processor")[0] == "differs"
    assert found.keys() == wanted.keys()
    for what, (how, text) in wanted.items():
        assert found[what][0] == how
        assert text in found[what][1]
    unknown = gone or any(how == "unknown" for how, _ in wanted.values())
    assert result.code == (1 if unknown else 100)


def test_another_file_under_the_same_name(id: str, cli: Cli, library: Path) -> None:
    old, new = (str(read_models(library / "models.yaml")[name].sha256) for name in ("alpha", "beta"))
    edit("models.yaml", old, new)(library)
    found = unlike(cli("runs", "verify", id, "--json"))
    assert found["model entry"] == ("differs", f"alpha is sha256 {new[:12]}; no entry has those weights")
    assert "weights" not in found
    edit("models.yaml", "alpha:", "other:")(library)
    assert unlike(cli("runs", "verify", id, "--json"))["model entry"][0] == "gone"


def test_quick_looks_at_sizes_only(id: str, cli: Cli, library: Path) -> None:
    changed_weights(library)
    assert cli("runs", "verify", id, "--quick").code == 0
    assert "not hashed" in cli("runs", "verify", id, "--quick").out
    edit("models.yaml", "sources: [alpha.gguf]", "bytes: 29")(library)
    found = unlike(cli("runs", "verify", id, "--quick", "--json"))
    assert found == {"weights": ("differs", "the file has 30 bytes, and models.yaml says 29")}


def altered(library: Path, path: str, value: object) -> None:
    """Change a record behind the program's back."""
    with closing(sqlite3.connect(library / ".promptlab" / "lab.db")) as database, database:
        database.execute("UPDATE records SET json = json_set(json, ?, json(?))", (path, json.dumps(value)))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("$.inputs.topic", "snow", "it has been altered"),
        ("$.seed", 7, "it has been altered"),
        ("$.options.top_k", 7, "it has been altered"),
        ("$.model.sha256", "0" * 64, "it has been altered"),
        ("$.engine.llama_cpp", "0.1", "it has been altered"),
        ("$.prompt.source", "Hello.", "is not the one that its hash says"),
    ],
)
def test_an_altered_record_is_noticed(id: str, cli: Cli, library: Path, path: str, value: object, said: str) -> None:
    altered(library, path, value)
    result = cli("runs", "verify", id, "--json")
    assert unlike(result)["record"][0] == "differs"
    assert said in unlike(result)["record"][1]
    assert result.code != 0


def test_an_old_record_does_not_say_what_was_asked_for_with_the_run(id: str, cli: Cli, library: Path) -> None:
    altered(library, "$.overrides", None)
    assert cli("runs", "verify", id).code == 0
    other = asked(cli, "-o", "top_k=5")
    assert cli("runs", "verify", other).code == 0
    altered(library, "$.overrides", None)
    found = unlike(cli("runs", "verify", other, "--json"))
    assert {what: how for what, (how, _) in found.items()} == {"record": "unknown", "options": "unknown"}


class Batched(FakeEngine):
    """Its models have been measured as they are laid out for a batch, and not for a person."""

    def expected(self, model: Any, path: Path) -> Expected | None:
        return super().expected(model, path) if model.layout.get("wide") else None


def test_what_was_measured_for_a_batch_is_known(id: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptlab.app.lab._pool", Batched)
    assert cli("runs", "verify", id).code == 0


class Forgetful(FakeEngine):
    """Nobody has measured its models."""

    def expected(self, model: Any, path: Path) -> Expected | None:
        return None


def test_what_nobody_has_measured_is_unknown(id: str, cli: Cli, monkeypatch: pytest.MonkeyPatch, library: Path) -> None:
    monkeypatch.setattr("promptlab.app.lab._pool", Forgetful)
    monkeypatch.setattr("promptlab.engine.probe.build", lambda: {"version": "fake", "features": "fake"})
    monkeypatch.setattr("promptlab.app.verify_run.cpu_name", lambda: "fake")
    result = cli("runs", "verify", id, "--json")
    found = unlike(result)
    assert {what: how for what, (how, _) in found.items()} == dict.fromkeys(
        ("chat template", "threads", "layout"), "unknown"
    )
    assert "is not a usable GGUF file" in found["chat template"][1]
    edit("models.yaml", "sources: [alpha.gguf]", "threads: 1")(library)
    assert "threads" not in unlike(cli("runs", "verify", id, "--json"))

    def missing() -> dict[str, str]:
        raise EngineError("llama-cpp-python cannot be loaded: no such file")

    monkeypatch.setattr("promptlab.engine.probe.build", missing)
    assert unlike(cli("runs", "verify", id, "--json"))["engine"] == (
        "unknown",
        "llama-cpp-python cannot be loaded: no such file",
    )


def test_another_engine(id: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(FakeEngine):
        def _engine(self, model: Any) -> Engine:
            layout = {"kv_unified": True, "flash_attention": False}
            return Engine("exact", "0.4", "fake | AMX = 1 |", "Another \x1b[2J", 4, layout, context=model.context)

    monkeypatch.setattr("promptlab.app.lab._pool", Newer)
    result = cli("runs", "verify", id)
    assert result.code == 100
    for text in ("now: llama.cpp 0.4, build AMX = 1", "now: Another ␛[2J", "now: 4", "now: kv_unified yes"):
        assert text in result.out
    assert "\x1b" not in result.out


def test_a_server_knows_what_nobody_else_does(id: str, cli: Cli, library: Path) -> None:
    with Store.open(library) as store:
        record = store.get(id)
        server = Server("127.0.0.1:8080/v1", "qwen", "llama.cpp", "b1")
        engine = Engine("remote", "", "", "", 0, server=server)
        store.append(replace(record, id="served", engine=engine, model=replace(record.model, name="far", sha256=None)))
    (library / "models.yaml").write_text("models: {far: {server: 'http://127.0.0.1:8080/v1'}}")
    result = cli("runs", "verify", "served", "--json")
    found = items(result)
    assert result.code == 1
    assert {what for what, (how, *_) in found.items() if how == "unknown"} == {"weights", "chat template", "engine"}
    assert found["engine"][1] == "qwen at 127.0.0.1:8080/v1 (llama.cpp b1)"
    assert found["model entry"][0] == "same"
    edit("models.yaml", "8080", "8081")(library)
    assert items(cli("runs", "verify", "served", "--json"))["model entry"][0] == "differs"


def test_several_records(id: str, cli: Cli, library: Path) -> None:
    other = asked(cli, "-o", "top_k=5")
    result = cli("runs", "verify", "--all")
    assert (result.code, result.err.splitlines()[-1]) == (0, "promptlab: 2 verified: 2 same")
    assert [line.split()[:2] for line in result.out.splitlines()] == [["same", other], ["same", id]]
    assert result.err.count("checking") == 1  # one file, hashed once
    edit("prompts/explain.jinja", "Explain {{", "Now {{")(library)
    result = cli("runs", "verify", id, other)
    assert result.code == 100
    assert [line.split()[:2] for line in result.out.splitlines()][1] == ["differs", "prompt"]
    assert len(json.loads(cli("runs", "verify", "-l", "1", "--json").out)) == 1


def test_what_cannot_be_read_is_named(id: str, cli: Cli, library: Path) -> None:
    asked(cli, "-o", "top_k=5")
    with closing(sqlite3.connect(library / ".promptlab" / "lab.db")) as database, database:
        database.execute("UPDATE records SET json = '{}' WHERE id = ?", (id,))
    result = cli("runs", "verify", "--all")
    assert result.code == 1
    assert f"record {id} cannot be read" in result.out
    assert result.err.splitlines()[-1] == "promptlab: 2 verified: 1 same, 1 unknown"


@pytest.mark.parametrize("arguments", [[], ["01", "--all"], ["--all", "-l", "1"], ["nothing"], ["--limit", "0"]])
def test_what_makes_no_sense_is_one_line(id: str, cli: Cli, arguments: list[str]) -> None:
    result = cli("runs", "verify", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_a_record_that_went_through_json_has_the_same_key(id: str, cli: Cli) -> None:
    shown = json.loads(cli("runs", "show", id, "--json").out)
    assert codec.load(Record, shown).key == shown["key"]
