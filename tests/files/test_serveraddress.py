from __future__ import annotations

from pathlib import Path

import pytest

from promptlab.errors import SourceError
from promptlab.files.models import read_models
from promptlab.files.serveraddress import server_problem


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:8080/v1", "https://host.example/v1", "http://[::1]:80/v1", "http://localhost", "HTTP://x/"],
)
def test_addresses(text: str) -> None:
    assert server_problem(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("127.0.0.1:8080/v1", "wants an address such as"),
        ("localhost:8080", "wants an address such as"),
        ("file:///etc/passwd", "wants an address such as"),
        ("http://", "wants an address such as"),
        ("http://:80/v1", "wants an address such as"),
        ("http://x:0/v1", "wants an address such as"),
        ("http://x:99999/v1", "is no address"),
        ("http://[::1/v1", "is no address"),
        ("http://ann:secret@x/v1", "takes no name and password"),
        ("http://@x/v1", "takes no name and password"),
        ("http://x/v1?key=1", "without ? and #"),
        ("http://x/v1?", "without ? and #"),
        ("http://x/v1#a", "without ? and #"),
        ("http://x/ v1", "plain characters"),
        ("http://x/\x1b[2J", "plain characters"),
        ("http://\u0445/v1", "plain characters"),
        ("http://x/" + "a" * 300, "plain characters"),
        ("", "plain characters"),
    ],
)
def test_what_is_none(text: str, reason: str) -> None:
    assert reason in (server_problem(text) or "")


def write(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_text(text)
    return path


def test_an_entry_for_a_server(tmp_path: Path) -> None:
    entry = "models:\n  there:\n    server: http://127.0.0.1:8080/v1\n    model: big\n"
    model = read_models(write(tmp_path, entry))["there"]
    assert (model.server, model.model, model.license) == ("http://127.0.0.1:8080/v1", "big", "not said")
    assert (model.sha256, model.sources, model.trusted) == (None, (), False)


def test_what_does_not_go_together(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
models:
  one:
    server: http://127.0.0.1/v1
    threads: 2
    kv_type: q8_0
  two:
    license: mit
    model: big
  three:
    server: http://ann:secret@127.0.0.1/v1
  four:
    server: ""
""",
    )
    with pytest.raises(SourceError) as caught:
        read_models(path, "models.yaml")
    assert str(caught.value).splitlines() == [
        "models.yaml:2:3: `server` goes without threads, kv_type: what it computes with is its own",
        "models.yaml:6:3: `model` is what a `server` calls the model, and there is no `server`",
        "models.yaml:10:5: server takes no name and password: put a key into PROMPTLAB_SERVER_KEY; "
        "got 'http://ann:secret@127.0.0.1/v1'",
        "models.yaml:11:3: license is missing",
        "models.yaml:12:5: server wants an address of up to 300 plain characters, such as http://127.0.0.1:8080/v1; "
        "got ''",
    ]
