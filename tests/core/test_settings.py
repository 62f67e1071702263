from __future__ import annotations

import pytest

from promptlab.core.settings import Bound, Keyboard, Settings, read_settings
from promptlab.errors import SourceError

KEYBOARD = Keyboard(
    {
        "run": Bound("play", ("ctrl+r",), always=True),
        "zoom": Bound("play", ("z",), always=False),
        "batch.zoom": Bound("batch", ("z",), always=False),
        "help": Bound("app", ("f1", "question_mark"), always=False),
    },
    names=("f1", "f2", "question_mark", "comma", "enter"),
    normal=lambda key: {"?": "question_mark"}.get(key, key),
    typed=lambda key: not key.startswith(("ctrl+", "f")),
)
THEMES = ("dark", "light")


def read(text: str) -> Settings:
    return read_settings(text, file="settings.yaml", keyboard=KEYBOARD, themes=THEMES)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", Settings()),
        ("# nothing\n", Settings()),
        ("theme:\nkeys:\n", Settings()),
        ("theme: light\n", Settings("light")),
        ("keys:\n  run: ctrl+g\n  zoom: x, comma\n", Settings("", {"run": "ctrl+g", "zoom": "x,comma"})),
        ('keys: {help: "?"}', Settings("", {"help": "question_mark"})),
        ("keys: {zoom: 5}", Settings("", {"zoom": "5"})),
        ("keys: {zoom: ctrl+shift+f2}", Settings("", {"zoom": "ctrl+shift+f2"})),
        ("keys: {zoom: f2, batch.zoom: f2}", Settings("", {"zoom": "f2", "batch.zoom": "f2"})),  # never on one screen
        ("keys: {help: f2, zoom: f1}", Settings("", {"help": "f2", "zoom": "f1"})),  # it has been given up
    ],
)
def test_what_is_set(text: str, settings: Settings) -> None:
    assert read(text) == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "1:1: settings are a mapping of `theme` and `keys`"),
        ("colour: red", "1:1: there is no setting 'colour'; there are theme and keys"),
        ("theme: blue", "1:1: there is no theme 'blue'; there are dark, light"),
        ("theme: [light]", "1:1: there is no theme \"['light']\"; there are dark, light"),
        ("keys: ctrl+g", "1:1: keys are a mapping from the id of a command to its keys"),
        ("keys:\n  runn: x", "2:3: there is no command 'runn'; did you mean run?"),
        ("keys:\n  qqq: x", "2:3: there is no command 'qqq'; docs/keys.md lists them"),
        ("keys: {run: }", "1:8: the keys of run are a text, such as ctrl+r"),
        ("keys: {run: [ctrl+g]}", "1:8: the keys of run are a text, such as ctrl+r"),
        ("keys: {run: true}", "1:8: the keys of run are a text, such as ctrl+r"),
        ("keys: {zoom: ctrl+nothing}", "1:8: there is no key 'ctrl+nothing'; a comma is called comma"),
        ("keys: {zoom: 'x,,y'}", "1:8: there is no key ''; a comma is called comma"),
        ('keys: {zoom: "\\e"}', "1:8: there is no key '\\x1b'; a comma is called comma"),
        ("keys: {zoom: 'x,x'}", "1:8: a key stands here twice"),
        ("keys: {zoom: 'a,b,c,d,e,f,g,h,i,j,k'}", "1:8: a command has at most 10 keys"),
        ("keys: {run: g}", "1:8: g can be typed, and this command holds while you type: take ctrl+… or f1 to f24"),
        ("keys: {zoom: ctrl+r}", "1:8: ctrl+r is a key of run already"),
        ("keys: {zoom: '?'}", "1:8: question_mark is a key of help already"),
        ("keys: {help: z}", "1:8: z is a key of zoom already"),
        ("keys: {run: f2, zoom: f2}", "1:8: f2 is a key of zoom already"),
        ("keys: {zoom: x, zoom: y}", "1:17: YAML: the key 'zoom' stands here a second time"),
        ("keys: {zoom: ", "1:14: YAML:"),
    ],
)
def test_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(SourceError) as raised:
        read(text)
    assert str(raised.value.problems[0]).startswith(f"settings.yaml:{problem}")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SourceError) as raised:
        read("keys:\n  run: g\n  nope: x\n  zoom: f1\ntheme: red\nmore: 1\n")
    assert [problem.line for problem in raised.value.problems] == [2, 3, 4, 5, 6]
