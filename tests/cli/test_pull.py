"""`promptlab models pull` when the other side fails: a clear line, exit 1, no half file, and the next try succeeds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptlab.files import https
from promptlab.files.paths import cache_dir, model_file
from promptlab.files.registry import user_file
from tests.conftest import Cli, Result
from tests.webkit import DATA, HASH, Behave, Handler, HubServer, Server

ENTRY = """\
# Mine.
models:
  m:   # the one
    license: mit
    sha256: {sha256}
    sources: [{sources}]
    bytes: {size}
"""
UNPINNED = """\
models:
  # What we use.
  m:
    title: "A model"   # quoted
    license: mit
    sources:
      - {source}
    tags: [a,  b]

  other: {{license: mit}}
"""
HUB = "hf://owner/name/model.gguf@v1"


@pytest.fixture
def root(home: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty library, which is the working folder, and a server."""
    folder = home / "library"
    (folder / "prompts").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write(root: Path, *sources: str) -> None:
    text = ENTRY.format(sha256=HASH, sources=", ".join(sources), size=len(DATA))
    (root / "models.yaml").write_text(text)


def stored() -> list[str]:
    return [path.name for path in (cache_dir() / "models").glob("*")]


def failed(result: Result) -> str:
    """Of a pull that fails, the one line that says why; nothing of the model is to be seen."""
    assert (result.code, result.out, stored()) == (1, "", [])
    line = result.err.rstrip("\n").rpartition("\n")[2]
    assert line.startswith("promptlab: ")
    assert "Traceback" not in result.err
    return line


@dataclass(frozen=True)
class Failure:
    """Something that the other side does."""

    name: str
    behave: Behave
    told: str
    """What the line says."""


def long(ask: Handler) -> None:
    """More than was promised, and without a word of how much it is."""
    ask.send_response(200)
    ask.send_header("Connection", "close")
    ask.end_headers()
    ask.wfile.write(DATA + b"more")


def breaks_off(ask: Handler) -> None:
    """After the first bytes, and then at once each time."""
    ask.serve(most=0 if "Range" in ask.headers else 10_000)


def says(code: int) -> Failure:
    """No, by a number."""
    return Failure(f"answers {code}", lambda ask: ask.answer(b"no", code), f"answers {code}")


FAILURES = [
    Failure("breaks off", breaks_off, "broke off after 10,000"),
    Failure("lies: longer", lambda ask: ask.answer(DATA, 200, len(DATA) + 5), "bytes, but should have"),
    Failure("lies: shorter", lambda ask: ask.answer(DATA, 200, len(DATA) - 5), "bytes, but should have"),
    Failure("sends more", long, "sends more than the"),
    Failure("another file", lambda ask: ask.serve(bytes(len(DATA))), "its SHA-256 is"),
    Failure("silent", lambda ask: None, "no connection to localhost"),
    Failure("no HTTP", lambda ask: ask.raw(b"hello\r\n\r\n"), "no connection to localhost"),
    Failure("to http", lambda ask: ask.answer(b"", 302, Location="http://example.org/x"), "an address without https"),
    Failure("in a circle", lambda ask: ask.answer(b"", 302, Location=ask.path), "leads in a circle"),
    *map(says, (401, 403, 404, 410, 416, 429, 500, 503)),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
@pytest.mark.parametrize("hub", ["https"], indirect=True)
@pytest.mark.parametrize("scheme", ["https", "hf"])
def test_each_failure_is_told_in_a_line_and_the_next_try_succeeds(
    cli: Cli, root: Path, server: Server, hub: HubServer, scheme: str, failure: Failure
) -> None:
    source = HUB if scheme == "hf" else server.url()
    write(root, source)
    server.behave = failure.behave
    line = failed(cli("models", "pull", "m"))
    assert line.startswith(f"promptlab: m could not be pulled: {source}: ")
    assert failure.told in line
    server.behave = Handler.serve
    result = cli("models", "pull", "m")
    assert (result.code, stored()) == (0, [f"{HASH}.gguf"])
    assert result.err.endswith(f"m: pulled: {model_file(HASH)}\n")
    assert model_file(HASH).read_bytes() == DATA
    assert cli("models", "verify", "m").code == 0


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(
    cli: Cli, root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "TIMEOUT_S", 0.1)
    ended = threading.Event()

    def silent(ask: Handler) -> None:
        if "Range" not in ask.headers:
            ask.serve(most=10_000)
            ask.wfile.flush()
        ended.wait(20)

    write(root, server.url())
    server.behave = silent
    assert "does not answer in time; what has come so far is kept" in failed(cli("models", "pull", "m"))
    ended.set()
    server.behave = Handler.serve
    monkeypatch.setattr(https, "TIMEOUT_S", 20.0)
    assert cli("models", "pull", "m").code == 0


def test_no_room_on_the_disk_is_found_before_anything_is_fetched(
    cli: Cli, root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, server.url())
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        assert f"{len(DATA):,} bytes are needed, but only 1,000 are free" in failed(cli("models", "pull", "m"))
    assert not list((cache_dir() / "downloads").glob("*/*.partial"))
    assert cli("models", "pull", "m").code == 0


@pytest.mark.parametrize("hub", ["http"], indirect=True)
def test_sources_are_tried_in_order_and_each_failure_is_told(
    cli: Cli, root: Path, server: Server, hub: HubServer
) -> None:
    write(root, HUB, server.url("gone"), "lost.gguf")
    hub.refuse(404, "RevisionNotFound")
    server.behave = lambda ask: ask.answer(b"", 404) if ask.path == "/gone" else ask.serve()
    result = cli("models", "pull", "m")
    assert (result.code, stored()) == (1, [])
    assert result.err.endswith(
        f"promptlab: m could not be pulled:\n"
        f"  {HUB}: owner/name has no revision v1\n"
        f"  {server.url('gone')}: localhost:{server.server_port} answers 404 Not Found\n"
        f"  lost.gguf: there is no such file in {root} that can be read\n"
    )
    write(root, HUB, server.url("gone"), server.url())
    assert cli("models", "pull", "m").code == 0


# --- without a hash --------------------------------------------------------------------------------------------------


def pinned(text: str) -> str:
    return text.replace("    tags: [a,  b]\n", f"    tags: [a,  b]\n    sha256: {HASH}\n    bytes: {len(DATA)}\n")


@pytest.mark.parametrize("hub", ["http"], indirect=True)
@pytest.mark.parametrize("scheme", ["https", "hf"])
def test_a_hash_is_computed_and_written_down(cli: Cli, root: Path, server: Server, hub: HubServer, scheme: str) -> None:
    before = UNPINNED.format(source=HUB if scheme == "hf" else server.url())
    (root / "models.yaml").write_text(before)
    line = failed(cli("models", "pull", "m"))
    assert "m: has no sha256" in line
    assert "`promptlab models pull --pin m`" in line
    assert (server.asked, hub.heads) == ([], [])
    result = cli("models", "pull", "--pin", "m")
    assert (result.code, result.out) == (0, "")
    assert result.err.endswith(
        f"promptlab: m: pulled: {model_file(HASH)}\n"
        f"promptlab: m: SHA-256 {HASH} is written into models.yaml: commit this\n"
    )
    assert (root / "models.yaml").read_text() == pinned(before)
    assert model_file(HASH).read_bytes() == DATA
    again = cli("models", "pull", "--pin", "m")
    assert (again.code, again.err) == (0, f"promptlab: m: was there already: {model_file(HASH)}\n")


@pytest.mark.parametrize("failure", FAILURES[:1] + FAILURES[5:8], ids=lambda failure: failure.name)
def test_a_pin_that_fails_writes_nothing_and_the_next_one_succeeds(
    cli: Cli, root: Path, server: Server, failure: Failure
) -> None:
    before = UNPINNED.format(source=server.url())
    (root / "models.yaml").write_text(before)
    server.behave = failure.behave
    assert failure.told in failed(cli("models", "pull", "--pin", "m"))
    assert (root / "models.yaml").read_text() == before
    server.behave = Handler.serve
    assert cli("models", "pull", "--pin", "m").code == 0
    assert (root / "models.yaml").read_text() == pinned(before)


def test_what_is_no_model_is_not_pinned(cli: Cli, root: Path, server: Server) -> None:
    before = UNPINNED.format(source=server.url())
    (root / "models.yaml").write_text(before)
    server.behave = lambda ask: ask.serve(b"<!doctype html><html>Sign in, please</html>")
    line = failed(cli("models", "pull", "--pin", "m"))
    assert line.endswith("is not a usable GGUF file: it is a web page; what was fetched is deleted")
    assert (root / "models.yaml").read_text() == before


def test_where_the_hash_cannot_be_written_nothing_is_fetched(cli: Cli, root: Path, server: Server) -> None:
    (root / "models.yaml").write_text(f"models: {{m: {{license: mit, sources: ['{server.url()}']}}}}\n")
    result = cli("models", "pull", "--pin", "m")
    assert result.code == 2
    assert "models.yaml cannot be changed" in result.err
    assert server.asked == []


def test_the_hash_of_an_own_entry_is_written_into_the_own_file(cli: Cli, root: Path, server: Server) -> None:
    write(root, "lost.gguf")  # of the same name, in whose place the user's stands
    project = (root / "models.yaml").read_text()
    user_file().parent.mkdir(parents=True)
    user_file().write_text(UNPINNED.format(source=server.url()))
    result = cli("models", "pull", "--pin", "m")
    assert result.code == 0
    assert result.err.endswith(f"is written into {user_file()}\n")
    assert user_file().read_text() == pinned(UNPINNED.format(source=server.url()))
    assert (root / "models.yaml").read_text() == project


def test_the_library_that_ships_is_not_written(
    cli: Cli, root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "models.yaml").write_text(UNPINNED.format(source=server.url()))
    monkeypatch.setattr("promptlab.app.pinning.is_packaged", lambda _: True)
    result = cli("models", "pull", "--pin", "m")
    assert result.code == 2
    assert "m is not pinned in the library that ships. `promptlab init` makes your own" in result.err
    assert server.asked == []


def test_what_a_server_answers_for_is_not_pulled(cli: Cli, root: Path) -> None:
    entry = "  far: {license: mit, server: 'http://127.0.0.1:9/v1', default: true}\n"
    (root / "models.yaml").write_text("models:\n" + entry)
    result = cli("models", "pull")
    assert result.code == 2
    assert "there is nothing to pull: far answers at a server" in result.err


def test_an_entry_that_changes_meanwhile_is_not_pinned(cli: Cli, root: Path, server: Server) -> None:
    path = root / "models.yaml"
    path.write_text(UNPINNED.format(source=server.url()))
    changed = UNPINNED.format(source=server.url("new"))

    def behave(ask: Handler) -> None:
        path.write_text(changed)
        ask.serve()

    server.behave = behave
    result = cli("models", "pull", "--pin", "m")
    assert result.code == 1
    assert "m is fetched, but not pinned: its entry in models.yaml has been changed meanwhile" in result.err
    assert f"Write `sha256: {HASH}` there by hand" in result.err
    assert path.read_text() == changed


def test_what_others_write_meanwhile_stays(cli: Cli, root: Path, server: Server) -> None:
    path = root / "models.yaml"
    path.write_text(UNPINNED.format(source=server.url()))
    changed = UNPINNED.format(source=server.url()) + "  third: {license: mit}\n"

    def behave(ask: Handler) -> None:
        path.write_text(changed)
        ask.serve()

    server.behave = behave
    assert cli("models", "pull", "--pin", "m").code == 0
    assert path.read_text() == pinned(changed)


def test_pins_are_for_entries_that_are_named(cli: Cli, root: Path) -> None:
    result = cli("models", "pull", "--pin")
    assert (result.code, result.err) == (
        2,
        "promptlab: --pin is for entries that are named. `promptlab models pull --pin NAME`\n",
    )


# --- two at once -----------------------------------------------------------------------------------------------------


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "promptlab", "models", "pull", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_of_two_processes_one_fetches_and_the_other_waits(root: Path, server: Server) -> None:
    write(root, server.url())
    asked, waits = threading.Event(), threading.Event()

    def behave(ask: Handler) -> None:
        asked.set()
        waits.wait(30)
        ask.serve()

    server.behave = behave
    first = start(root, "m")
    assert asked.wait(60)
    second = start(root, "m")
    assert second.stderr is not None
    assert second.stderr.readline() == "promptlab: m: waiting for another pull\n"
    waits.set()
    for process in (first, second):
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert len(server.asked) == 1
    assert stored() == [f"{HASH}.gguf"]
