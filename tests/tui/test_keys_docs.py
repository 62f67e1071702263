"""docs/keys.md says what the program does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from promptlab.core.settings import read_settings
from promptlab.tui.bindings import COMMANDS
from promptlab.tui.preferences import keyboard
from promptlab.tui.theme import DARK, LIGHT

DOCS = Path(__file__).parents[2] / "docs"


def test_every_command_is_in_the_table() -> None:
    made = runpy.run_path(str(DOCS / "keys.py"))
    page = (DOCS / "keys.md").read_text()
    assert page == made["page"](), "run `python docs/keys.py`"
    assert sorted(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)) == sorted(c.id for c in COMMANDS)


def test_its_example_is_right() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "keys.md").read_text(), re.DOTALL)
    settings = read_settings(example, file="keys.md", keyboard=keyboard(), themes=(DARK.name, LIGHT.name))
    assert settings.theme == LIGHT.name
    assert settings.keys["run"] == "f12"
