"""Pulling from the Hugging Face hub: a hub on loopback, which leads to another server for the file itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptlab.core.job import Model
from promptlab.errors import PullError
from promptlab.files import hub as hubs
from promptlab.files.paths import cache_dir
from promptlab.files.pull import Progress, pull, pull_unpinned
from promptlab.files.sources import Hub
from tests.webkit import DATA, HASH, Handler, HubServer, Server, running, use_hub

FILE = "hf://owner/name/q/model.gguf"
MODEL = Model("m", HASH, (FILE,), bytes=len(DATA))


def quiet(_: Progress) -> None:
    pass


def told(model: Model, folder: Path) -> str:
    """The one line that a pull ends with, and nothing of it in the store."""
    with pytest.raises(PullError) as caught:
        pull(model, library=folder, progress=quiet)
    assert not list((cache_dir() / "models").glob("*"))
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(f"m could not be pulled: {FILE}: ")


def test_a_file_is_found_and_fetched(hub: HubServer, server: Server, tmp_path: Path) -> None:
    seen: list[Progress] = []
    assert pull(MODEL, library=tmp_path, progress=seen.append).read_bytes() == DATA
    assert [path for path, _ in hub.heads] == ["/owner/name/resolve/main/q/model.gguf"]
    assert [path for path, _, _ in hub.asked] == ["/owner/name/resolve/main/q/model.gguf"]
    assert [path for path, _, _ in server.asked] == ["/blob?signed=1"]
    assert (seen[0].total, seen[-1].done, {each.phase for each in seen}) == (None, len(DATA), {"download"})


def test_the_hub_learns_no_more_than_it_must(hub: HubServer, server: Server, tmp_path: Path) -> None:
    pull(MODEL, library=tmp_path, progress=quiet)
    assert len(hub.heads) + len(hub.asked) + len(server.asked) == 3  # no list of programs, no statistics
    for headers in [hub.heads[0][1], hub.asked[0][2], server.asked[0][2]]:
        assert headers.get("user-agent", headers.get("User-Agent")) == "promptlab"
        assert "authorization" not in {name.lower() for name in headers}
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize("where", ["HF_TOKEN", "file"])
def test_the_token_is_for_the_hub_alone(
    hub: HubServer, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "file":
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf" / "token").write_text("hf_secret\n")
    else:
        monkeypatch.setenv(where, "hf_secret")
    pull(MODEL, library=tmp_path, progress=quiet)
    assert hub.heads[0][1]["authorization"] == hub.asked[0][2]["Authorization"] == "Bearer hf_secret"
    assert "hf_secret" not in str(server.asked)


def test_a_token_is_kept_back_where_the_user_says_so(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    pull(MODEL, library=tmp_path, progress=quiet)
    assert "hf_secret" not in f"{hub.heads}{hub.asked}"


def test_a_repository_of_a_new_name_is_followed_with_the_token(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    def behave(ask: Handler) -> None:
        moved = ask.path.startswith("/owner/")
        ask.answer(b"", 307, Location=ask.path.replace("owner", "heir")) if moved else hub.lead(ask)

    hub.behave = behave
    pull(MODEL, library=tmp_path, progress=quiet)
    assert [path.split("/")[1] for path, _ in hub.heads] == ["owner", "heir"]
    assert {headers["Authorization"] for _, _, headers in hub.asked} == {"Bearer hf_secret"}


def test_a_revision_is_asked_for(hub: HubServer, tmp_path: Path) -> None:
    pull(Model("m", HASH, (f"{FILE}@refs/pr/1",)), library=tmp_path, progress=quiet)
    assert hub.heads[0][0] == hub.asked[0][0] == "/owner/name/resolve/refs%2Fpr%2F1/q/model.gguf"


def test_what_has_come_from_the_hub_is_kept(hub: HubServer, server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(most=0 if len(server.asked) > 1 else 100_000)
    assert "broke off after 100,000" in told(MODEL, tmp_path)
    server.asked.clear()
    server.behave = Handler.serve
    assert pull(MODEL, library=tmp_path, progress=quiet).read_bytes() == DATA
    assert [wanted for _, wanted, _ in server.asked] == ["bytes=100000-"]


def test_another_file_is_refused_before_it_is_fetched(hub: HubServer, tmp_path: Path) -> None:
    hub.sha256 = "0" * 64
    assert told(MODEL, tmp_path) == (
        f"is not this model: the hub says that its SHA-256 is {'0' * 64}, models.yaml says {HASH}; nothing was fetched"
    )
    hub.sha256, hub.size = HASH, "5"
    assert told(MODEL, tmp_path).startswith("is not this model: the hub says that it has 5 bytes, models.yaml says ")
    assert hub.asked == []


@pytest.mark.parametrize(("size", "sha256"), [("", ""), ("soon", "1" * 40), ("-5", "x" * 64), ("9" * 5000, '"')])
def test_what_the_hub_says_may_be_nonsense(hub: HubServer, tmp_path: Path, size: str, sha256: str) -> None:
    hub.size, hub.sha256 = size, sha256
    assert pull(MODEL, library=tmp_path, progress=quiet).read_bytes() == DATA


def test_a_hash_that_the_hub_says_is_only_compared(hub: HubServer, server: Server, tmp_path: Path) -> None:
    model = Model("m", None, (FILE,))
    hub.sha256 = "0" * 64
    with pytest.raises(PullError, match=f"its SHA-256 is {HASH}, the hub says {'0' * 64}; what was fetched is deleted"):
        pull_unpinned(model, library=tmp_path, progress=quiet)
    assert not list((cache_dir() / "downloads").glob("*/*"))
    hub.sha256 = HASH
    assert pull_unpinned(model, library=tmp_path, progress=quiet).sha256 == HASH
    assert len(server.asked) == 2


def test_parts_may_come_from_the_hub(hub: HubServer, server: Server, tmp_path: Path) -> None:
    server.behave = lambda ask: ask.serve(DATA[:1000] if len(server.asked) == 1 else DATA[1000:])
    hub.sha256 = hub.size = ""
    parts = Model("m", HASH, (("hf://o/n/1", "hf://o/n/2"),), bytes=len(DATA))
    assert pull(parts, library=tmp_path, progress=quiet).read_bytes() == DATA


@pytest.mark.parametrize("hub", ["https"], indirect=True)
@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (401, "RepoNotFound", "the hub has no owner/name, or does not show it; set HF_TOKEN, or run `hf auth login`"),
        (401, "", "the hub has no owner/name, or does not show it; set HF_TOKEN"),
        (401, "GatedRepo", "owner/name is gated: accept its terms at https://localhost:"),
        (403, "GatedRepo", "owner/name is gated: accept its terms at https://localhost:"),
        (403, "", "the hub refuses owner/name (403); set HF_TOKEN"),
        (404, "RepoNotFound", "the hub has no owner/name, or does not show it; set HF_TOKEN"),
        (404, "RevisionNotFound", "owner/name has no revision main"),
        (404, "EntryNotFound", "owner/name has no file q/model.gguf in revision main"),
        (404, "", "the hub has no owner/name, or no such file or revision there"),
        (416, "", "the hub answers 416"),
        (429, "", "the hub answers 429; try again later"),
        (500, "", "the hub answers 500; try again later"),
    ],
)
def test_each_refusal_has_a_reason_and_the_next_try_succeeds(
    hub: HubServer, tmp_path: Path, status: int, error: str, reason: str
) -> None:
    hub.refuse(status, error)
    assert told(MODEL, tmp_path).startswith(reason)
    assert len(hub.heads) == (4 if "try again" in reason else 1)
    hub.behave = hub.lead
    assert pull(MODEL, library=tmp_path, progress=quiet).read_bytes() == DATA


@pytest.mark.parametrize("hub", ["https"], indirect=True)
def test_a_token_that_does_not_open_it_is_said(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.refuse(403, "GatedRepo")
    assert told(MODEL, tmp_path).endswith("/owner/name; your token does not open it")


def test_a_hub_that_is_busy_for_a_while_is_asked_again(hub: HubServer, tmp_path: Path) -> None:
    hub.behave = lambda ask: hub.lead(ask) if len(hub.heads) > 2 else ask.answer(b"", 503, Retry_After="99999")
    assert pull(MODEL, library=tmp_path, progress=quiet).read_bytes() == DATA


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://[::1", "the hub cannot be asked: Invalid IPv6 URL"),
        ("http://example.org/x", "leads to an address without https"),
        ("file:///etc/passwd", "leads in a circle, or to an address without https"),
        ("/again", "leads in a circle"),
    ],
)
def test_a_hub_that_leads_nowhere(hub: HubServer, tmp_path: Path, location: str, reason: str) -> None:
    hub.behave = lambda ask: ask.answer(b"", 302, Location=location)
    assert told(MODEL, tmp_path).endswith(reason)


def test_nobody_is_asked_offline(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert told(MODEL, tmp_path) == "HF_HUB_OFFLINE is set, so the hub is not asked"
    assert hub.heads == []


def test_a_hub_that_is_not_there(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub("https://127.0.0.1:9", tmp_path, monkeypatch)
    assert told(MODEL, tmp_path).startswith("no connection to 127.0.0.1:9: ")


def test_a_mirror_elsewhere_must_have_https(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint in ("http://mirror.example", "ftp://mirror.example", "mirror.example", "file:///etc"):
        use_hub(endpoint, tmp_path, monkeypatch)
        assert told(MODEL, tmp_path) == "HF_ENDPOINT must be an address that begins with https://"


@pytest.mark.parametrize("hub", ["https"], indirect=True)
def test_a_certificate_that_nobody_trusts_is_refused(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "shows no certificate that is trusted here; look at SSL_CERT_FILE" in told(MODEL, tmp_path)
    assert hub.heads == []


@pytest.mark.parametrize("hub", ["https"], indirect=True)
@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://127.0.0.1:9", "no connection to localhost:{}, or to the proxy: "),
        ("socks5://127.0.0.1:9", "the hub cannot be asked: "),
    ],
)
def test_proxies_are_used(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, reason: str
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert told(MODEL, tmp_path).startswith(reason.format(hub.server_port))
    assert hub.heads == []


@pytest.mark.parametrize("token", ["tökn", "two words", "a\x1b[2J"])
def test_what_is_no_token_is_not_sent(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    assert told(MODEL, tmp_path) == "what stands in HF_TOKEN is not a token"
    assert hub.heads == []


def test_without_the_extra_it_says_what_to_install(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert told(MODEL, tmp_path) == "needs the extra `hub`: install promptlab-local[hub]"


FIND = """
import json, sys
from promptlab.files import hub, https
from promptlab.files.sources import Hub
from promptlab.errors import PullError
https.PAUSE_S = 0
try:
    found = hub.find(Hub("owner/name", "model.gguf"), lambda: None)
    print(json.dumps([found.url, found.headers, found.size, found.sha256]))
except PullError as error:
    print(json.dumps(str(error)))
assert "hf_xet" not in sys.modules
"""


def found(folder: Path, **settings: str) -> object:
    """What a process of its own finds, with these variables."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    settings = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **settings}
    done = subprocess.run([sys.executable, "-c", FIND], env=mine | settings, capture_output=True, check=True)
    assert done.stderr == b""  # not even what the hub warns of
    return json.loads(done.stdout)


def test_the_settings_are_those_of_the_environment(certificate: Path, tmp_path: Path) -> None:
    cdn = Server(None)
    server = HubServer(None, cdn)
    endpoint = server.url("mirror")
    with running(server):
        settings = {"HF_ENDPOINT": f"{endpoint}/", "HF_TOKEN": "hf_1", "HF_HUB_USER_AGENT_ORIGIN": "o", "AI_AGENT": "x"}
        assert found(tmp_path, NO_PROXY="localhost", **settings) == [
            f"{endpoint}/owner/name/resolve/main/model.gguf",
            {"Authorization": "Bearer hf_1"},
            len(DATA),
            HASH,
        ]
    cdn.server_close()
    assert [(path, headers["user-agent"]) for path, headers in server.heads] == [
        ("/mirror/owner/name/resolve/main/model.gguf", "promptlab")
    ]
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []  # neither in the home folder nor in the cache
    assert found(tmp_path, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1") == "HF_HUB_OFFLINE is set, so the hub is not asked"
    assert "huggingface_hub cannot be loaded: " in str(found(tmp_path, HF_HUB_ETAG_TIMEOUT="soon"))


def test_a_name_that_the_hub_does_not_know_of_is_said(hub: HubServer) -> None:
    with pytest.raises(PullError, match="the hub cannot be asked: Cannot have -- or "):
        hubs.find(Hub("owner/a--b", "model.gguf"), lambda: None)
    assert hub.heads == []
