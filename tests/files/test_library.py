"""What lies in prompts/ may come from a stranger: each odd thing is a line in the list, and nothing outside is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptlab.errors import NotFound, SourceError
from promptlab.files.library import Library
from promptlab.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.fixture
def odd(tmp_path: Path, sandbox: Sandbox) -> Library:
    """A library with one good prompt among things that are none."""
    folder = tmp_path / "library" / "prompts"
    folder.mkdir(parents=True)
    (tmp_path / "secret.jinja").write_text("secret")
    (folder / "good.jinja").write_text("Hello.")
    (folder / "inner.jinja").symlink_to("good.jinja")
    (folder / "outer.jinja").symlink_to(tmp_path / "secret.jinja")
    (folder / "outernothing.jinja").symlink_to(tmp_path / "nothing")
    (folder / "nowhere.jinja").symlink_to("nothing")
    (folder / "circle.jinja").symlink_to("circle.jinja")
    (folder / "null.jinja").symlink_to("/dev/null")
    (folder / "utf16.jinja").write_bytes("Hello.".encode("utf-16"))
    (folder / "large.jinja").write_bytes(b"x" * (1024 * 1024 + 1))
    os.mkfifo(folder / "pipe.jinja")
    return Library(folder.parent, sandbox)


OUTSIDE = "is not a regular file inside the library"
REASONS = {
    "circle": "is a link that leads in a circle",
    "large": "is larger than 1,048,576 bytes",
    "nowhere": "is a link that leads nowhere",
    "null": OUTSIDE,
    "outer": OUTSIDE,
    "outernothing": OUTSIDE,  # whether there is anything outside is not told
    "pipe": OUTSIDE,
}


def test_one_odd_file_does_not_hide_the_others(odd: Library) -> None:
    entries = {entry.name: entry for entry in odd.entries()}
    assert [name for name, entry in entries.items() if entry.prompt] == ["good", "inner"]
    assert entries["utf16"].problem == "utf16.jinja:1:1: is not UTF-8 text"
    for name, reason in REASONS.items():
        assert entries[name].problem == f"{name}.jinja: {reason}"


@pytest.mark.parametrize("name", REASONS)
def test_an_odd_file_is_refused_by_its_name(odd: Library, name: str) -> None:
    with pytest.raises(SourceError, match=REASONS[name]):
        odd.load(name)


@pytest.mark.parametrize("name", ["", "nope", "../library/prompts/good", "good.jinja/x", "a" * 300, "good\0"])
def test_what_is_not_there(odd: Library, name: str) -> None:
    with pytest.raises(NotFound):
        odd.load(name)


@pytest.mark.parametrize("name", ["_nope", "_" + "a" * 300, "_a\\0"])
def test_what_is_included_and_not_there(odd: Library, name: str) -> None:
    (odd.folder / "asks.jinja").write_text('{% include "' + name + '" %}')
    with pytest.raises(SourceError, match=r"asks\.jinja:1: includes '_.*, which is not in"):
        odd.load("asks")


def test_a_partial_that_leads_out(odd: Library, tmp_path: Path) -> None:
    (odd.folder / "_out.jinja").symlink_to(tmp_path / "secret.jinja")
    (odd.folder / "asks.jinja").write_text('{% include "_out.jinja" %}')
    with pytest.raises(SourceError, match=r"_out\.jinja: is not a regular file inside the library"):
        odd.load("asks")


@pytest.mark.parametrize("target", ["/", "/dev"])
def test_a_folder_of_prompts_that_leads_out(tmp_path: Path, sandbox: Sandbox, target: str) -> None:
    (tmp_path / "prompts").symlink_to(target)
    library = Library(tmp_path, sandbox)
    for ask in (library.names, library.entries, lambda: library.load("good")):
        with pytest.raises(SourceError, match="is a link that leads out of the library"):
            ask()


def test_a_folder_of_prompts_may_lead_elsewhere_inside(tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "good.jinja").write_text("Hello.")
    (tmp_path / "prompts").symlink_to("src")
    assert Library(tmp_path, sandbox).load("good").body == "Hello."
