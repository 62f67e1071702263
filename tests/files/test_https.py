"""Pulling from an https address: a local server that breaks off, lies, is slow, or has something else there."""

from __future__ import annotations

import hashlib
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from promptlab.core.job import Model
from promptlab.errors import PullError
from promptlab.files import https
from promptlab.files.paths import cache_dir
from promptlab.files.pull import Progress, pull
from promptlab.files.sources import Address, parse_source
from tests.webkit import DATA, HASH, Behave, Handler, Server, running


def quiet(done: int, total: int | None) -> None:
    pass


def fetch(server: Server, folder: Path, *, size: int | None = None, headers: dict[str, str] | None = None) -> bytes:
    target = folder / "got"
    sha256 = https.download(server.url(), target, quiet, size=size, headers=headers)
    assert [path.name for path in folder.glob("got*")] == ["got"]
    data = target.read_bytes()
    assert sha256 == hashlib.sha256(data).hexdigest()
    target.unlink()
    return data


def test_a_model_is_pulled_and_the_next_pull_asks_nobody(server: Server, tmp_path: Path) -> None:
    seen: list[Progress] = []
    model = Model("m", HASH, (server.url(),), bytes=len(DATA))
    path = pull(model, library=tmp_path, progress=seen.append)
    assert path.read_bytes() == DATA
    downloads = [each for each in seen if each.phase == "download"]
    assert (downloads[-1].done, downloads[-1].total, downloads[-1].source) == (len(DATA), len(DATA), server.url())
    assert list((cache_dir() / "downloads").glob(f"{HASH}/*")) == []
    pull(model, library=tmp_path, progress=seen.append)
    assert len(server.asked) == 1


def test_parts_may_come_from_addresses(server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(DATA[:1000] if ask.path == "/a" else DATA[1000:])
    model = Model("m", HASH, ((server.url("a"), server.url("b")),), bytes=len(DATA))
    assert pull(model, library=tmp_path, progress=lambda _: None).read_bytes() == DATA


def test_a_connection_that_breaks_is_gone_on_from_where_it_was(server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(most=110_000)
    assert fetch(server, tmp_path) == DATA
    assert [wanted for _, wanted, _ in server.asked] == [None, "bytes=110000-", "bytes=220000-"]


def test_what_has_come_is_kept_for_the_next_pull(server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(most=0 if len(server.asked) > 1 else 100_000)
    model = Model("m", HASH, (server.url(),))
    with pytest.raises(PullError, match=r"broke off after 100,000 of [0-9,]+ bytes; what has come so far is kept"):
        pull(model, library=tmp_path, progress=lambda _: None)
    assert not list((cache_dir() / "models").glob("*"))
    server.asked.clear()
    server.behave = Handler.serve
    assert pull(model, library=tmp_path, progress=lambda _: None).read_bytes() == DATA
    assert [wanted for _, wanted, _ in server.asked] == ["bytes=100000-"]


def test_another_file_under_the_same_address_is_begun_anew(server: Server, tmp_path: Path) -> None:
    def behave(ask: Handler) -> None:
        ask.serve(bytes(len(DATA)), most=100_000, etag='"0"') if len(server.asked) == 1 else ask.serve()

    server.behave = behave
    assert fetch(server, tmp_path) == DATA


def test_without_a_strong_etag_nothing_is_patched_together(server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(most=None if len(server.asked) > 2 else 100_000, etag='W/"1"')
    assert fetch(server, tmp_path) == DATA
    assert {wanted for _, wanted, _ in server.asked} == {None}


def wrong_range(ask: Handler) -> None:
    if ask.headers.get("Range"):
        ask.answer(DATA[5:], 206, Content_Range=f"bytes 5-{len(DATA) - 1}/{len(DATA)}", ETag='"1"')
    else:
        ask.serve(most=100_000)


def gone(ask: Handler) -> None:
    if ask.headers.get("Range"):
        ask.answer(b"", 416)
    else:
        ask.serve(most=100_000)


@pytest.mark.parametrize("behave", [wrong_range, gone])
def test_a_server_that_cannot_go_on_is_asked_anew_and_not_for_ever(
    server: Server, tmp_path: Path, behave: Behave
) -> None:
    server.behave = behave
    with pytest.raises(PullError):
        fetch(server, tmp_path)
    assert 3 <= len(server.asked) <= 12
    server.behave = Handler.serve
    assert fetch(server, tmp_path) == DATA


@pytest.mark.parametrize(
    ("behave", "size", "reason"),
    [
        (lambda ask: ask.answer(b"no", 404), None, "answers 404 Not Found"),
        (lambda ask: ask.answer(b"no", 401), None, "answers 401 Unauthorized"),
        (lambda ask: ask.answer(b"no", 403), None, "answers 403 Forbidden"),
        (lambda ask: ask.answer(b"no", 416), None, "answers 416 Requested Range Not Satisfiable"),
        (lambda ask: ask.answer(b"no", 429), None, "answers 429 Too Many Requests"),
        (lambda ask: ask.answer(b"no", 503), None, "answers 503 Service Unavailable"),
        (Handler.serve, 5, "bytes, but should have 5"),
        (lambda ask: ask.answer(b"", 302, Location="http://localhost/x"), None, "leads to an address without https"),
        (lambda ask: ask.answer(b"", 302, Location="file:///etc/passwd"), None, "or to an address without https"),
        (lambda ask: ask.answer(b"", 302, Location=ask.path), None, "leads in a circle"),
        (lambda ask: ask.answer(DATA, 200, 10**14), None, "bytes are needed, but only"),
        (lambda ask: ask.answer(b"", 302, Location="https://[::1"), None, "leads to something that is no address"),
        (lambda ask: ask.answer(b"", 302, Location=f"https://{'a' * 70}/"), None, "leads to something that is no"),
        (lambda ask: ask.answer(b"", 302), None, "leads in a circle, or to an address without https"),
        (lambda ask: ask.wfile.write(b"no http at all\r\n\r\n"), None, "no connection to localhost"),
    ],
)
def test_each_failure_has_a_reason_and_the_next_try_succeeds(
    server: Server, tmp_path: Path, behave: Behave, size: int | None, reason: str
) -> None:
    server.behave = behave
    with pytest.raises(PullError) as caught:
        fetch(server, tmp_path, size=size)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "got").exists()
    server.behave = Handler.serve
    assert fetch(server, tmp_path) == DATA


def test_more_than_the_file_has_is_not_taken(server: Server, tmp_path: Path) -> None:
    def behave(ask: Handler) -> None:
        ask.send_response(200)
        ask.send_header("Connection", "close")
        ask.end_headers()
        ask.wfile.write(DATA)

    server.behave = behave
    with pytest.raises(PullError, match="sends more than the 1,000 bytes that the file has"):
        fetch(server, tmp_path, size=1000)
    assert fetch(server, tmp_path) == DATA  # where nothing says how long it is, the end is the end


def test_wrong_bytes_are_deleted_and_another_source_is_tried(server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(bytes(len(DATA)) if ask.path == "/bad" else DATA)
    bad, good = server.url("bad"), server.url("good")
    with pytest.raises(PullError, match="is not this model: its SHA-256 is"):
        pull(Model("m", HASH, (bad,)), library=tmp_path, progress=lambda _: None)
    assert pull(Model("m", HASH, (bad, good)), library=tmp_path, progress=lambda _: None).read_bytes() == DATA


@pytest.mark.parametrize("same", [True, False])
def test_what_is_meant_for_a_server_is_told_to_no_other(
    server: Server, certificate: Path, tmp_path: Path, same: bool
) -> None:
    other = server if same else Server(certificate)

    def behave(ask: Handler) -> None:
        if ask.path == "/model.gguf":
            ask.answer(b"", 302, Location=other.url("elsewhere"))
        else:
            ask.serve()

    server.behave = behave
    with nullcontext() if same else running(other):
        assert fetch(server, tmp_path, headers={"Authorization": "Bearer secret"}) == DATA
    (_, _, first), (_, _, second) = server.asked + ([] if same else other.asked)
    assert first["Authorization"] == "Bearer secret"
    assert ("Authorization" in second) == same


def test_a_redirect_does_not_lead_from_https_to_this_machine_without(server: Server, tmp_path: Path) -> None:
    plain = Server(None)
    server.behave = lambda ask: ask.answer(b"", 302, Location=plain.url())
    with running(plain), pytest.raises(PullError, match="leads to an address without https"):
        fetch(server, tmp_path)
    assert plain.asked == []


def test_without_https_only_this_machine_is_asked(tmp_path: Path) -> None:
    for host in ("example.org", "127.0.0.1.example.org", "localhost@example.org", "[::1", "1.2.3.4"):
        with pytest.raises(PullError, match="would be asked without https"):
            https.download(f"http://{host}/x", tmp_path / "got", quiet)
    plain = Server(None)
    plain.behave = lambda ask: ask.answer(b"", 302, Location="http://example.org/x")
    with running(plain), pytest.raises(PullError, match="leads to an address without https"):
        fetch(plain, tmp_path)
    assert https.may_be_asked("http://[::1]:80/x")


def test_a_pull_that_was_stopped_at_its_very_end_asks_nobody_again(server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        https.download(server.url(), tmp_path / "got", stop)
    assert fetch(server, tmp_path) == DATA
    assert len(server.asked) == 1


def test_a_certificate_that_nobody_trusts_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(PullError, match="shows no certificate that is trusted here; look at SSL_CERT_FILE"):
        fetch(server, tmp_path)
    assert server.asked == []


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "TIMEOUT_S", 0.2)
    held = threading.Event()

    def behave(ask: Handler) -> None:
        held.wait(20)

    server.behave = behave
    with pytest.raises(PullError, match="does not answer in time"):
        fetch(server, tmp_path)
    held.set()


def test_whoever_watches_may_stop_it_and_nothing_is_lost(server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(most=100_000)

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        https.download(server.url(), tmp_path / "got", stop)
    server.asked.clear()
    server.behave = Handler.serve
    assert fetch(server, tmp_path) == DATA
    assert server.asked[0][1] is not None


@pytest.mark.parametrize(
    "text", ["https://", "https://host", "https://host/", "https://u:p@host/x", "https://host/a b", "https://host/x#y"]
)
def test_what_is_no_address_of_a_file_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not of the form|does not name a file|a name or a password"):
        parse_source(text)
    assert parse_source("https://host/x.gguf?download=true") == Address("https://host/x.gguf?download=true")
