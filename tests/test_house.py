"""The house itself: what imports what, what is pinned, what must not stand in it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import promptlab

ROOT = Path(__file__).parent.parent
HEAVY = ("textual", "llama_cpp", "llguidance")


def imported_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_imports_go_down_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_the_use_case_loads_neither_the_interface_nor_the_engine() -> None:
    loaded = imported_by("import promptlab.app.run")
    assert "promptlab" in loaded
    assert not loaded & set(HEAVY)


def test_the_command_line_loads_nothing_heavy_before_it_knows_what_to_do() -> None:
    loaded = imported_by("import promptlab.__main__, promptlab.cli.main")
    assert not loaded & {*HEAVY, "pydantic", "numpy", "jsonschema", "jinja2", "yaml"}


def test_the_engine_is_loaded_by_nothing_but_its_own_file() -> None:
    assert "llama_cpp" not in imported_by("import promptlab.engine.pool, promptlab.engine.fake, promptlab.app.doctor")


def test_constraints_and_pyproject_pin_the_same_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pinned == project["tool"]["uv"]["constraint-dependencies"]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.+]*", line) for line in pinned)


@pytest.mark.parametrize("name", ["jinja2", "textual", "pydantic", "llama-cpp-python", "pytest", "typer"])
def test_what_is_installed_is_what_is_pinned(name: str) -> None:
    assert f"{name}=={version(name)}" in (ROOT / "constraints.txt").read_text().splitlines()


def test_no_download_address_is_recorded() -> None:
    # Spelled apart, so that this file passes its own test.
    hosts = ["pypi" + ".org", "python" + "hosted", "huggingface" + ".co", "deb." + "debian", "registry." + "npmjs"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        assert not any(host.encode() in data for host in hosts), name


def test_lock_files_stay_out_of_git() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"uv.lock", "package-lock.json", "pylock.toml"} <= set(ignored)


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == promptlab.__version__
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_build_flags_that_cure_the_engine_are_in_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    flags = project["tool"]["uv"]["extra-build-variables"]["llama-cpp-python"]["CMAKE_ARGS"]
    assert "-fno-tree-dse -fno-dse" in flags
    from promptlab.app.doctor import REBUILD

    assert "-fno-tree-dse -fno-dse" in REBUILD
    assert "-fno-tree-dse -fno-dse" in (ROOT / "README.md").read_text()
