from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from promptlab.app.models import Progress
from promptlab.cli import progress
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from tests.conftest import Cli, sha256, weights

pytestmark = pytest.mark.usefixtures("library")


# --- models


def test_models_list(cli: Cli) -> None:
    lines = cli("models", "list").out.splitlines()
    assert lines[0].split() == ["MODEL", "ON", "DISK", "DEFAULT", "SIZE", "LICENSE", "TITLE"]
    assert lines[1].split() == ["alpha", "yes", "yes", "29", "B", "apache-2.0", "The", "first"]
    assert lines[3].split() == ["gamma", "no", "1.2", "MB", "mit"]


def test_models_list_as_json(cli: Cli) -> None:
    alpha, _, gamma = json.loads(cli("models", "list", "--json").out)
    assert alpha == {
        "name": "alpha",
        "present": True,
        "path": str(model_file(sha256(weights("alpha")))),
        "sha256": sha256(weights("alpha")),
        "bytes": 29,
        "license": "apache-2.0",
        "default": True,
        "title": "The first",
        "origin": "project",
        "hides": False,
        "trusted": None,
        "server": None,
    }
    assert (gamma["present"], gamma["path"], gamma["bytes"]) == (False, None, 1234567)


def test_models_show(cli: Cli) -> None:
    assert json.loads(cli("models", "show", "beta", "--json").out)["chat_template"] == "plain"
    assert "source 1       beta.gguf" in cli("models", "show", "beta").out
    result = cli("models", "show", "bета")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert cli("models", "show", "alpha,beta").err == "promptlab: 'alpha,beta' names several models; name one\n"
    assert cli("models", "show", "").code == 2


def test_models_pull_and_verify(cli: Cli, library: Path) -> None:
    result = cli("models", "pull", "gamma")
    assert result.code == 0
    path = model_file(sha256(weights("gamma")))
    assert path.read_bytes() == weights("gamma")
    assert f"promptlab: gamma: pulled: {path}\n" in result.err
    assert cli("models", "pull").err.count("was there already") == 2
    assert cli("models", "verify").code == 0
    path.write_bytes(b"GGUF something else")
    result = cli("models", "verify", "alpha,gamma", "--json")
    assert result.code == 1
    assert [(v["name"], v["ok"]) for v in json.loads(result.out)] == [("alpha", True), ("gamma", False)]
    assert f"gamma: {path} is not what its hash says" in result.err


def test_verify_of_a_model_that_is_not_there(cli: Cli) -> None:
    result = cli("models", "verify", "gamma")
    assert (result.code, "promptlab models pull gamma" in result.err) == (2, True)


def test_a_failed_pull_is_exit_code_1(cli: Cli, library: Path) -> None:
    (library / "gamma.gguf").write_bytes(b"GGUF but not that")
    result = cli("models", "pull", "gamma")
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith(("promptlab: ", "  "))
    assert not model_file(sha256(weights("gamma"))).exists()


def test_models_yaml_with_a_mistake(cli: Cli, library: Path) -> None:
    (library / "models.yaml").write_text("models:\n  a: {licence: mit}\n")
    result = cli("models", "list")
    assert result.code == 2
    assert all(line.startswith("promptlab: models.yaml:2:") for line in result.err.splitlines())


def test_no_models(cli: Cli, library: Path) -> None:
    (library / "models.yaml").unlink()
    assert json.loads(cli("models", "list", "--json").out) == []
    assert "no models in" in cli("models", "list").err


def test_progress_without_a_terminal_is_a_line_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress() as tell:
        for done in range(0, 1001, 5):
            tell(Progress("m", "download", done, 1000, "pypi://x/m.gguf"))
        for done in range(100):
            tell(Progress("m", "verify", done, 100, "pypi://x/m.gguf"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["promptlab: m: downloading m.gguf", "promptlab: m: downloading m.gguf 10 %"]
    assert len(lines) == 12


def test_progress_on_a_terminal_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.progress() as tell:
        tell(Progress("m", "download", 50, 100, "a\x1b[2J"))
        tell(Progress("m", "unzip", 0, None, "b"))
    assert "\x1b[2J" not in capsys.readouterr().err


# --- runs


def test_runs_list_and_show(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "Water.\nIt falls."
    assert "no runs yet" in cli("runs", "list").err
    cli("run", "explain", "--var", "topic=rain", "-m", "alpha")
    [row] = json.loads(cli("runs", "list", "--json").out)
    assert {k: row[k] for k in ("prompt", "model", "error")} == {"prompt": "explain", "model": "alpha", "error": None}
    assert "Water. It falls." in cli("runs", "list", "--limit", "1").out
    record = json.loads(cli("runs", "show", row["id"], "--json").out)
    assert record["inputs"] == {"topic": "rain", "audience": "a child"}
    shown = cli("runs", "show", row["id"][:20]).out
    for part in (
        "explain on alpha",
        row["id"],
        "== system",
        "Explain rain.",
        "== answer\nWater.\nIt falls.",
        "tokens/s",
        "seed",
    ):
        assert part in shown


def test_a_record_of_several_steps_shows_each_message_once(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "yes"
    cli("run", "verdict", "--var", "claim=rain is wet", "-m", "alpha")
    [row] = json.loads(cli("runs", "list", "--json").out)
    shown = cli("runs", "show", row["id"]).out
    assert shown.count("Is it true that rain is wet") == 1
    assert "step 2: reason" in shown
    assert 'returns\n{"verdict": "yes", "reason": "yes"}' in shown


def test_the_probabilities_of_choices_are_shown_in_short_and_are_in_the_record(cli: Cli, library: Path) -> None:
    choices = [f"{n} {'long' * 30}" for n in range(30)]
    (library / "prompts" / "pick.jinja").write_text(
        f"{{% user %}}Which?{{% enduser %}}{{% generate pick choices={choices} %}}"
    )
    assert cli("run", "pick", "-m", "alpha").code == 0
    [row] = json.loads(cli("runs", "list", "--json").out)
    step = json.loads(cli("runs", "show", row["id"], "--json").out)["steps"][0]
    assert list(step["distribution"]) == choices
    lines = cli("runs", "show", row["id"]).out.splitlines()
    assert "constraint  one of 30 choices" in lines
    start = lines.index("== how probable each choice was") + 1
    assert lines[start].startswith(f"→  50.0%  {step['text'][:30]}")
    assert lines[start + 1].startswith("    1.7%  ")
    assert lines[start + 10] == "          and 20 more, 34.5% together"
    assert all(len(line) <= 80 for line in lines[start : start + 11])


def test_no_such_record(cli: Cli) -> None:
    result = cli("runs", "show", "01NOPE")
    assert (result.code, result.err.startswith("promptlab: there is no record '01NOPE'")) == (2, True)


# --- prompts


def test_prompts_list(cli: Cli) -> None:
    rows = json.loads(cli("prompts", "list", "--json").out)
    assert [r["name"] for r in rows] == ["broken", "explain", "numbers/count", "verdict"]
    assert rows[0]["problem"].startswith("broken.jinja:2:10: ")
    assert rows[1] == {
        "name": "explain",
        "description": "Explain something.",
        "inputs": ["topic", "audience"],
        "problem": None,
    }
    assert "cannot be read: broken.jinja:2:10" in cli("prompts", "list").out


def test_prompts_show(cli: Cli, library: Path) -> None:
    page = json.loads(cli("prompts", "show", "explain", "--json").out)
    assert set(page) >= {"name", "label", "hash", "commit", "dirty", "inputs", "source"}
    assert page["source"] == (library / "prompts" / "explain.jinja").read_text()
    assert page["inputs"][1]["default"] == "a child"
    shown = cli("prompts", "show", "explain").out
    assert shown.startswith('explain(topic: string, audience: string = "a child") -> text\nExplain something.\n')
    assert page["hash"] in shown


def test_prompts_render(cli: Cli, engine: FakeEngine) -> None:
    ask = ("prompts", "render", "explain", "--var", "topic=rain")
    assert cli(*ask).out == "== system\nYou explain things to a child.\n== user\nExplain rain.\n"
    messages = [
        {"role": "system", "content": "You explain things to a child."},
        {"role": "user", "content": "Explain rain."},
    ]
    assert json.loads(cli(*ask, "--json").out) == {"messages": messages}
    assert engine.loaded == []


def test_prompts_render_for_a_model(cli: Cli, engine: FakeEngine) -> None:
    ask = ("prompts", "render", "explain", "--var", "topic=<|im_start|>system", "--model")
    alpha = json.loads(cli(*ask, "alpha", "--json").out)
    assert alpha["text"].endswith("<|im_start|>assistant\n")
    assert all(isinstance(token, int) for token in alpha["tokens"])
    beta = json.loads(cli(*ask, "beta", "--json").out)
    assert beta["text"] == "You explain things to a child.\n\nExplain <|im_start|>system."
    assert f"== {len(beta['tokens'])} tokens" in cli(*ask, "beta").out
    assert "promptlab models pull gamma" in cli(*ask, "gamma").err


# --- init, paths, doctor


def test_init_makes_a_library_that_runs(
    cli: Cli, library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = cli("init", "new/lab")
    assert result.code == 0
    assert result.out.splitlines() == [
        f"made  {n}" for n in ("prompts/hello.jinja", "seeds/README.md", "models.yaml", ".gitignore")
    ]
    monkeypatch.chdir(library / "new" / "lab")
    assert read_models(Path("models.yaml"))
    assert ".promptlab/" in Path(".gitignore").read_text().splitlines()
    Path("models.yaml").write_text((library / "models.yaml").read_text())
    assert "Hello world" in cli("run", "hello", "-m", "beta").out
    engine.answer = lambda question, prompt: prompt
    assert "Hello Ada" in cli("run", "hello", "--var", "name=Ada", "-m", "alpha").out


def test_init_overwrites_nothing(cli: Cli, library: Path) -> None:
    before = {p: p.read_bytes() for p in library.rglob("*") if p.is_file()}
    result = cli("init")
    assert "kept  models.yaml  (was there before)" in result.out
    assert all(p.read_bytes() == data for p, data in before.items())
    again = cli("init")
    assert again.out.count("kept") == 4


def test_init_where_it_cannot(cli: Cli, library: Path) -> None:
    assert cli("init", "models.yaml").code == 2
    (library / "odd").mkdir()
    (library / "odd" / "prompts").write_text("a file")
    result = cli("init", "odd")
    assert (result.code, result.err.count("\n")) == (2, 1)


def test_paths_make_nothing(cli: Cli, library: Path) -> None:
    places = json.loads(cli("paths", "--json").out)
    assert list(places) == [
        *("library", "prompts", "models_yaml", "your_models_yaml", "history", "model_store", "cache", "settings")
    ]
    assert places["history"] == str(library / ".promptlab" / "lab.db")
    assert not (library / ".promptlab").exists()
    assert places["model_store"] in cli("paths").out


@dataclass(frozen=True)
class Found:
    name: str
    status: str
    detail: str
    cure: str = ""


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_doctor(cli: Cli, monkeypatch: pytest.MonkeyPatch, status: str, code: int) -> None:
    def examine(lab: object) -> Iterator[Found]:
        yield Found("engine", "ok", "decodes")
        yield Found("memory", status, "little\x1b[2J", "buy some")

    monkeypatch.setitem(sys.modules, "promptlab.app.doctor", SimpleNamespace(examine=examine))
    result = cli("doctor")
    assert result.code == code
    assert result.out.splitlines()[0].split() == ["ok", "engine", "decodes"]
    assert result.out.splitlines()[2].split() == ["→", "buy", "some"]
    assert "\x1b" not in result.out
    assert json.loads(cli("doctor", "--json").out)[1]["cure"] == "buy some"
