"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from promptlab.cli.commands import app
from promptlab.core.options import OPTION_NAMES
from promptlab.core.program import Ask, Transcript, step
from promptlab.core.prompt import Prompt, parse
from promptlab.errors import Exit
from promptlab.files.models import read_models
from promptlab.files.paths import shipped_library

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(language: str) -> str:
    """The first code block in a language."""
    match = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert match
    return match[1]


@pytest.fixture
def verdict() -> Prompt:
    return parse(block("jinja"), "verdict").with_partials({"_about.jinja": "Be brief."})


@pytest.mark.parametrize(("said", "asked"), [(" True.", "for believing it"), ("False", "against it"), ("?", "against")])
def test_the_example_branches_on_the_answer(verdict: Prompt, said: str, asked: str) -> None:
    inputs = {"claim": "Ice is cold.", "audience": "a curious reader"}
    first = step(verdict, inputs, ())
    assert isinstance(first, Ask)
    assert (first.name, first.options) == ("verdict", {"temperature": 0, "max_tokens": 6})
    second = step(verdict, inputs, (said,))
    assert isinstance(second, Ask)
    assert asked in second.messages[-1].content
    end = step(verdict, inputs, (said, "because"))
    assert isinstance(end, Transcript)
    assert end.output == "because"


def test_the_signature_is_as_written(verdict: Prompt) -> None:
    assert verdict.signature.removesuffix(" -> text") in README


def test_the_models_are_those_that_ship() -> None:
    models = read_models(shipped_library() / "models.yaml")
    shown = yaml.safe_load(block("yaml"))["models"]
    for name, entry in shown.items():
        assert entry["sha256"] == models[name].sha256
        assert entry["sources"][0] in models[name].sources
    size = sum(m.bytes or 0 for m in models.values() if m.default)
    assert f"{size / 1e6:.0f} MB together" in README


def test_options_commands_and_exit_codes_are_all_named() -> None:
    assert all(f" {name}" in README or f"`{name}" in README for name in OPTION_NAMES)
    groups = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    assert all(f"promptlab {name}" in README for name in groups)
    assert all(f"| {code.value} |" in README for code in Exit if code is not Exit.CHECKS_FAILED)


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    root = Path(__file__).parent.parent
    assert len(pictures) == 10
    assert sorted(pictures) == sorted(str(p.relative_to(root)) for p in (root / "docs" / "pictures").iterdir())
    assert all((root / p).stat().st_size > 1000 for p in pictures)
