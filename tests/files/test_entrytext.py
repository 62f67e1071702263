from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core import yamltext
from promptlab.errors import NotFound, SourceError, UsageError
from promptlab.files.entrytext import add_entry, remove_entry, set_value
from promptlab.files.models import parse_models

FILE = """\
# Ours.
models:
  # The first.
  one:
    license: mit   # really
    sources: [a.gguf]  # here
    # inside one

  "two": {license: mit}  # in braces

  # The last.
  three:
    license: |
      MIT
    tags:
      - small

# The end.
"""
HASH = "0" * 64


def test_an_entry_is_added_after_the_last_one() -> None:
    added = add_entry(FILE, "four", {"license": "mit", "sha256": HASH, "tags": ["a b", "c"], "options": {"seed": 1}})
    assert added == FILE.replace(
        "      - small\n",
        f"""\
      - small

  four:
    license: mit
    sha256: "{HASH}"
    tags: ["a b", c]
    options: {{seed: 1}}
""",
    )
    assert remove_entry(added, "four") == FILE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "models:\n  a:\n    license: x\n"),
        ("# Mine.\n", "# Mine.\nmodels:\n  a:\n    license: x\n"),
        ("# Mine.", "# Mine.\nmodels:\n  a:\n    license: x\n"),
        ("models:\n", "models:\n  a:\n    license: x\n"),
        ("models: # none\n# end\n", "models: # none\n  a:\n    license: x\n# end\n"),
        ("models: {}\n", "models: \n  a:\n    license: x\n"),
        ("models:\n    b:\n        license: y", "models:\n    b:\n        license: y\n\n    a:\n      license: x\n"),
        (
            "models:\r\n  b:\r\n    license: y\r\n",
            "models:\r\n  b:\r\n    license: y\r\n\r\n  a:\r\n    license: x\r\n",
        ),
        # An empty line would belong to the text before it, so there is none.
        (
            "models:\n  b:\n    license: |+\n      y\n\n",
            "models:\n  b:\n    license: |+\n      y\n\n  a:\n    license: x\n",
        ),
    ],
)
def test_where_there_is_little_or_it_looks_otherwise(before: str, after: str) -> None:
    assert add_entry(before, "a", {"license": "x"}) == after


def test_an_entry_is_taken_out_with_what_is_in_it_and_nothing_else() -> None:
    assert remove_entry(FILE, "one") == FILE.replace(
        "  one:\n    license: mit   # really\n    sources: [a.gguf]  # here\n    # inside one\n", ""
    )
    assert remove_entry(FILE, "two") == FILE.replace('  "two": {license: mit}  # in braces\n\n', "")
    without = remove_entry(remove_entry(remove_entry(FILE, "three"), "two"), "one")
    assert parse_models(without, "models.yaml").models == {}
    assert [line for line in without.split("\n") if line.strip()] == [
        *("# Ours.", "models:", "  # The first.", "  # The last.", "# The end.")
    ]


@pytest.mark.parametrize(
    ("name", "key", "value", "old", "new"),
    [
        ("one", "license", "gpl", "license: mit   # really", "license: gpl   # really"),
        ("one", "sources", ["b.gguf"], "sources: [a.gguf]  # here", "sources: [b.gguf]  # here"),
        ("one", "bytes", 7, "[a.gguf]  # here\n", "[a.gguf]  # here\n    bytes: 7\n"),
        ("two", "sha256", HASH, "{license: mit}", f'{{license: mit, sha256: "{HASH}"}}'),
        ("two", "license", "gpl", "{license: mit}", "{license: gpl}"),
        ("three", "license", "MIT", "license: |\n      MIT\n", "license: MIT\n"),
        ("three", "tags", ["a"], "tags:\n      - small\n", "tags: [a]\n"),
        ("three", "default", True, "      - small\n", "      - small\n    default: true\n"),
    ],
)
def test_a_value_is_set_in_its_place(name: str, key: str, value: Any, old: str, new: str) -> None:
    assert set_value(FILE, name, key, value) == FILE.replace(old, new)


def test_a_value_that_is_missing_after_its_key_is_written_there() -> None:
    text = "models:\n  a:\n    sha256:  # later\n    license: x\n"
    assert set_value(text, "a", "sha256", "f" * 4) == text.replace("sha256:", "sha256: ffff")


@pytest.mark.parametrize("text", ["models: {a: {license: x}}\n", "models:\n  ? a\n  : {license: x}\n"])
def test_what_is_written_in_another_way_is_left_to_its_writer(text: str) -> None:
    changes: tuple[Callable[[], str], ...] = (
        lambda: add_entry(text, "b", {"license": "x"}),
        lambda: remove_entry(text, "a"),
        lambda: set_value(text, "a", "bytes", 1),
    )
    for change in changes:
        with pytest.raises(UsageError, match=r"models\.yaml cannot be changed: .* Change it by hand"):
            change()


def test_names_that_are_there_or_are_not() -> None:
    with pytest.raises(UsageError, match="has an entry 'one' already"):
        add_entry(FILE, "one", {"license": "x"})
    changes: tuple[Callable[[], str], ...] = (
        lambda: remove_entry(FILE, "no"),
        lambda: set_value(FILE, "no", "bytes", 1),
    )
    for change in changes:
        with pytest.raises(NotFound, match=r"there is no entry 'no' in models\.yaml"):
            change()
    with pytest.raises(UsageError, match="not a mapping"):
        set_value("models:\n  a: 3\n", "a", "bytes", 1)


@pytest.mark.parametrize("text", ["[1]\n", "models: 3\n", "models: [a]\n", "models: {\n", "models:\n  a: &x 1\n"])
def test_what_is_no_models_yaml_is_not_changed(text: str) -> None:
    with pytest.raises(SourceError, match=r"^mine\.yaml:"):
        add_entry(text, "b", {"license": "x"}, label="mine.yaml")


def test_a_text_that_only_one_of_the_readers_takes() -> None:
    text = 'models:\n  a:\n    license: "\\udc80"  # half a character\n'
    assert set_value(text, "a", "bytes", 1) == text + "    bytes: 1\n"


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
values = st.dictionaries(
    st.sampled_from(["license", "title", "sha256", "tags", "options", "bytes", "default"]),
    st.one_of(
        texts, st.integers(), st.booleans(), st.lists(texts, max_size=3), st.dictionaries(texts, texts, max_size=2)
    ),
    min_size=1,
)


@given(values, values, st.sampled_from(["license", "bytes", "new"]), texts)
def test_whatever_is_written_is_read_again(first: Any, second: Any, key: str, value: str) -> None:
    text = add_entry(add_entry(FILE, "x", first), "y", second)
    assert remove_entry(text, "y") == add_entry(FILE, "x", first)
    changed = set_value(text, "x", key, value)
    models = yamltext.read(changed, file="").value["models"]
    assert models["x"] == {**first, key: value}
    assert models["y"] == second
    for comment in ("# Ours.", "# really", "# in braces", "# The last.", "# The end."):
        assert comment in changed
