"""Writes the tables of docs/keys.md from the tables that the program itself is made of: `python docs/keys.py`."""

from __future__ import annotations

from pathlib import Path

from promptlab.tui.bindings import by_topic, of, shown_keys
from promptlab.tui.command import Command, Scope

PAGE = Path(__file__).with_name("keys.md")
BEGIN = "<!-- made by docs/keys.py -->\n"
SCREENS: tuple[tuple[Scope, str], ...] = (
    ("app", "Everywhere"),
    ("play", "Play"),
    ("closer", "A closer look"),
    ("batch", "Batch"),
    ("history", "History"),
    ("models", "Models"),
    ("prompts", "In the list of prompts"),
    ("filter", "In the field that filters prompts"),
    ("field", "In the fields of play"),
    ("source", "In the source"),
    ("ticks", "In a list of things to tick"),
    ("tokens", "On an answer's tokens"),
    ("alternatives", "On a token's alternatives"),
    ("versions", "Window: versions"),
    ("cases", "Window: case sets"),
    ("keep", "Window: keep as a case"),
    ("example", "Window: keep as an example"),
    ("turn", "Window: next turn"),
    ("unsaved", "Window: what is not saved"),
    ("sure", "Window: a question"),
    ("choice", "Window: a choice"),
    ("name", "Window: the name of a file"),
    ("help", "Window: help"),
)


def page() -> str:
    """The page as it should be: its text, and every command below it."""
    text = PAGE.read_text().partition(BEGIN)[0]
    return text + BEGIN + "".join(_table(title, of(scope)) for scope, title in SCREENS)


def _table(title: str, commands: tuple[Command, ...]) -> str:
    rows = [_row(command) for _, some in by_topic(commands) for command in some]
    return "\n".join([f"\n### {title}\n", "| id | keys | what it does |", "| --- | --- | --- |", *rows, ""])


def _row(command: Command) -> str:
    keys = shown_keys(command).replace("|", "\\|")
    return f"| `{command.id}` | {' '.join(f'`{key}`' for key in keys.split(', '))} | {command.help} |"


if __name__ == "__main__":
    PAGE.write_text(page())
