"""A web server on loopback that does what a test says, with TLS or without, and a Hugging Face hub that it plays."""

from __future__ import annotations

import hashlib
import os
import random
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from promptlab.files import https
from tests.files import ggufkit

DATA = ggufkit.model() + random.Random(7).randbytes(300_000)
"""A file that begins like a model."""
HASH = hashlib.sha256(DATA).hexdigest()
Behave = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Does what the test says."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range"), dict(self.headers)))
        self.close_connection = True
        self.server.behave(self)

    def do_HEAD(self) -> None:
        self.server.heads.append((self.path, dict(self.headers)))
        self.close_connection = True
        self.server.behave(self)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def answer(self, data: bytes, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def raw(self, data: bytes) -> None:
        """Send something, whatever it is."""
        self.wfile.write(data)

    def serve(self, data: bytes = DATA, *, most: int | None = None, etag: str = '"1"') -> None:
        """Serve a file as a good server does; but of each answer only so many bytes."""
        wanted = self.headers.get("Range")
        start = int(wanted[6:-1]) if wanted and self.headers.get("If-Range") == etag else 0
        rest = data[start:]
        headers = {"ETag": etag}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(rest[:most], 206 if start else 200, len(rest), **headers)


class Server(ThreadingHTTPServer):
    """On loopback, with a certificate of its own, or with none and without TLS."""

    def __init__(self, certificate: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.behave: Behave = Handler.serve
        self.asked: list[tuple[str, str | None, dict[str, str]]] = []
        """Each GET: its path, its range, its headers."""
        self.heads: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str = "model.gguf") -> str:
        return f"{self.scheme}://localhost:{self.server_port}/{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """The client may break off: that is no news."""


class HubServer(Server):
    """A hub, as far as a pull sees it: it leads to another server, which has the file."""

    def __init__(self, certificate: Path | None, cdn: Server) -> None:
        super().__init__(certificate)
        self.cdn = cdn
        self.size = str(len(DATA))
        self.sha256 = HASH
        self.behave = self.lead

    def lead(self, ask: Handler, status: int = 302) -> None:
        news = {"X_HF_Warning": "a topic; \x1b[2Jnews"}
        linked = {"X_Linked_Size": self.size, "X_Linked_Etag": f'"{self.sha256}"', "X_Repo_Commit": "c" * 40}
        ask.answer(b"", status, None, Location=self.cdn.url("blob?signed=1"), ETag='"pointer"', **linked, **news)

    def refuse(self, status: int, error: str) -> None:
        """From now on say no, as the hub does."""
        self.behave = lambda ask: ask.answer(b"", status, None, **({"X_Error_Code": error} if error else {}))


@contextmanager
def running(server: Server) -> Iterator[None]:
    """Serve until the end of the block."""
    with server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield
        server.shutdown()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost in one file; beside it the certificate alone."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    made = ("openssl", "req", "-x509", *curve, "-nodes", "-days", "2", *subject, "-keyout", path, "-out", f"{path}.crt")
    subprocess.run(made, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def server(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with TLS, and an empty cache."""
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setattr(https, "PAUSE_S", 0.0)
    made = Server(certificate)
    with running(made):
        yield made


@pytest.fixture(params=["https", "http"])
def hub(
    request: pytest.FixtureRequest, certificate: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HubServer]:
    """A hub which leads to `server`; with TLS, and as a mirror on loopback without."""
    made = HubServer(certificate if request.param == "https" else None, server)
    with running(made):
        use_hub(made.url("").rstrip("/"), tmp_path, monkeypatch)
        yield made


def use_hub(endpoint: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process use a hub, whatever the environment says; its login would be in `folder`."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    # The library has read its settings when it was imported.
    settings = {
        "ENDPOINT": endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_TOKEN_PATH": str(folder / "hf" / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
        "HF_HUB_DISABLE_TELEMETRY": False,
        "AGENT_HARNESSES_PATH": str(folder / "hf" / ".agent_harnesses.json"),
    }
    for name, value in settings.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
