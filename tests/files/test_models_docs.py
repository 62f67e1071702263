"""What docs/models.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from promptlab.cli import models as commands
from promptlab.files.models import KEYS, parse_models
from promptlab.files.sources import parse_source

PAGE = (Path(__file__).parent.parent.parent / "docs" / "models.md").read_text()


def cells(title: str) -> list[str]:
    """The first cells of the table below a title."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(.+?)`.* \|", section, re.MULTILINE)


def test_every_key_is_described() -> None:
    assert set(cells("models.yaml")) == set(KEYS)


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_can_be_read(text: str) -> None:
    assert parse_models(text, "models.md").models


def test_sources_are_of_these_forms() -> None:
    for text in cells("Sources")[:4]:
        example = text.replace("VERSION", "1.0").replace("OWNER/NAME", "owner/name").replace("HOST", "host")
        parse_source(example)


def test_every_command_is_described() -> None:
    named = {command.name for command in commands.app.registered_commands}
    section = PAGE.split("## Commands\n")[1]
    assert named == {name for name in named if name and re.search(rf"`(models )?{name}\b", section)}
