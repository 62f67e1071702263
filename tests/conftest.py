"""What most tests use: a small library with models whose weights are a few bytes, a fake engine, the command line."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptlab.app.lab import Lab, open_lab
from promptlab.cli.main import main
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import present, read_models
from promptlab.files.paths import model_file, shipped_library
from tests.gitkit import git_settings

__all__ = ["git_settings"]  # a fixture for all tests

EXPLAIN = """\
---
description: Explain something.
inputs:
  topic: string, what to explain
  audience: {type: string, default: a child}
options: {temperature: 0.5, max_tokens: 50}
---
{% system %}You explain things to {{ audience }}.{% endsystem %}
{% user %}Explain {{ topic }}.{% enduser %}
"""

VERDICT = """\
---
description: Judge a claim, then defend the verdict.
inputs: {claim: string}
---
{% user %}Is it true that {{ claim }}? Answer yes or no.{% enduser %}
{% generate verdict max_tokens=5 %}
{% user %}Why {{ verdict }}?{% enduser %}
{% generate reason %}
{% return {"verdict": verdict, "reason": reason} %}
"""

COUNT = """\
---
inputs: {n: integer}
---
Count to {{ n }}.
"""

BROKEN = """\
---
inputs: {n: whole}
---
{{ n }}
"""

MODELS = """\
models:
  alpha:
    title: The first
    license: apache-2.0
    sha256: {alpha}
    sources: [alpha.gguf]
    default: true
  beta:
    license: mit
    sha256: {beta}
    sources: [beta.gguf]
    chat_template: plain
    default: true
  gamma:
    license: mit
    sha256: {gamma}
    bytes: 1234567
    sources: [gamma.gguf]
"""


def weights(name: str) -> bytes:
    """The file of a model that begins like a GGUF file and holds nothing."""
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, 0) + name.encode()


def sha256(data: bytes) -> str:
    """The hash that names a model's file."""
    return hashlib.sha256(data).hexdigest()


def pytest_configure() -> None:
    """Signals do what they do in a terminal, also where tests run in the background of a script, or under nohup."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `model` need the default models. Without them they are skipped, or fail where CI asks for them."""
    if item.get_closest_marker("model") is None:
        return
    models = read_models(shipped_library() / "models.yaml")
    if missing := [name for name, model in models.items() if model.default and present(model) is None]:
        reason = f"not on disk: {', '.join(missing)}; `promptlab models pull` fetches them"
        if os.environ.get("PROMPTLAB_REQUIRE_MODELS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def no_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that use the real cache, for its models, see nothing of the user's settings and leave nothing there."""
    for folder in ("config", "state"):
        monkeypatch.setenv(f"XDG_{folder.upper()}_HOME", str(tmp_path_factory.getbasetemp() / f"no-{folder}"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folders, empty; nothing of the real ones is seen."""
    for folder in ("cache", "data", "config", "state"):
        monkeypatch.setenv(f"XDG_{folder.upper()}_HOME", str(tmp_path / folder))
    for variable in [v for v in os.environ if v.startswith(("PROMPTLAB_", "GIT_"))]:
        monkeypatch.delenv(variable)
    return tmp_path


def make_library(root: Path) -> Path:
    """A library with four prompts, one of them broken, and three models: `gamma` is not on disk."""
    prompts = {"explain": EXPLAIN, "verdict": VERDICT, "numbers/count": COUNT, "broken": BROKEN}
    for name, text in prompts.items():
        path = root / "prompts" / f"{name}.jinja"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    hashes = {name: sha256(weights(name)) for name in ("alpha", "beta", "gamma")}
    (root / "models.yaml").write_text(MODELS.format(**hashes))
    for name in ("alpha", "beta"):
        model_file(hashes[name]).parent.mkdir(parents=True, exist_ok=True)
        model_file(hashes[name]).write_bytes(weights(name))
    (root / "gamma.gguf").write_bytes(weights("gamma"))
    return root


@pytest.fixture
def library(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library, which is the working folder too."""
    root = make_library(home / "library")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine that every lab of this test gets. Set its `answer` to make it say something else."""
    fake = FakeEngine()
    monkeypatch.setattr("promptlab.app.lab._pool", lambda: fake)
    return fake


@pytest.fixture
def lab(library: Path, engine: FakeEngine) -> Iterator[Lab]:
    """The library, opened."""
    with open_lab(library) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process: `cli("run", "explain", stdin=b"…")`."""

    def run(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = main(arguments, lambda library: 42)
        out, err = capsys.readouterr()
        return Result(int(code), out, err)

    return run
