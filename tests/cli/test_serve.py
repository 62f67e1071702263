"""`promptlab serve`, the real program with a fake engine: who is let in, what visitors share, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pyte
import pytest

from promptlab.errors import Exit
from tests.conftest import Cli, make_library

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
SIZE = (120, 40)


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is running."""

    process: subprocess.Popen[str]
    url: str

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).netloc

    @property
    def token(self) -> str:
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.url).query)["token"][0]

    @property
    def cookie(self) -> str:
        return f"promptlab-{self.host.rpartition(':')[2]}={self.token}"

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """A request, with exactly these headers."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_S)
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": self.host, **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        found = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        connection.close()
        return found


@contextmanager
def serving(library: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """Serve a library until the block ends."""
    command = [sys.executable, "-m", "tests.cli.fake_main", "--library", str(library), "serve", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        yield Served(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests that only ask."""
    home = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CACHE", "DATA", "CONFIG", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
        with serving(add_prompt(make_library(home / "library")), "--port", "0", FAKE_ANSWER="Rain falls.") as running:
            yield running


def add_prompt(library: Path) -> Path:
    """One that comes first, and can be run as it is."""
    (library / "prompts" / "a.jinja").write_text("How is the weather?\n")
    return library


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- who is let in ---


def test_the_address_is_on_this_machine_and_has_a_token(served: Served) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", served.url)


@pytest.mark.parametrize(
    "path", ["/", "/page.js", "/static/js/textual.js", "/static/", "/ws", "/download/x", "/nothing"]
)
@pytest.mark.parametrize("given", ["", "?token=", "?token=x", "?token=%ff%00", "cookie"])
def test_without_the_token_nothing_is_told(served: Served, path: str, given: str) -> None:
    headers = {"Cookie": f"{served.cookie.partition('=')[0]}=x; token={served.token}"} if given == "cookie" else {}
    status, _, body = served.get(path if headers else path + given, headers)
    assert status == 403
    assert body == b"This needs the address that `promptlab serve` has printed, with its token.\n"


def test_with_the_token_there_is_the_page_and_a_cookie_for_the_rest(served: Served) -> None:
    status, headers, body = served.get(f"/?token={served.token}")
    assert status == 200
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert cookie == served.cookie
    assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Strict"}
    assert served.token.encode() not in body
    for path in re.findall(r'(?:href|src)="(/[^"]+)"', body.decode()):
        assert served.get(path, {"Cookie": served.cookie})[0] == 200
    assert served.get("/nothing", {"Cookie": served.cookie})[0] == 404
    assert served.get("/static/", {"Cookie": served.cookie})[0] == 403  # no list of what there is
    assert served.get("/static/../server.py", {"Cookie": served.cookie})[0] in (403, 404)


def test_nothing_comes_from_elsewhere_and_nothing_is_kept(served: Served) -> None:
    _, headers, body = served.get(f"/?token={served.token}")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    style = served.get("/page.css", {"Cookie": served.cookie})[2]
    assert not re.search(rb"https?:|//[a-z]", body + style)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost", ""])
def test_another_name_is_refused_even_with_the_token(served: Served, host: str) -> None:
    status, _, body = served.get(f"/?token={served.token}", {"Host": host})
    assert status in (400, 403)
    assert b"terminal" not in body


def test_the_names_of_this_machine_are_taken(served: Served) -> None:
    port = served.host.rpartition(":")[2]
    assert served.get(f"/?token={served.token}", {"Host": f"localhost:{port}"})[0] == 200


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://{host}", "http://localhost:1"])
def test_only_its_own_page_may_connect(served: Served, origin: str | None) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    headers = {"Cookie": served.cookie, **upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    if origin is not None:
        headers["Origin"] = origin.format(host=served.host)
    status, _, body = served.get("/ws", headers)
    assert (status, body) == (403, b"Only promptlab's own page may connect.\n")
    assert served.children() == []


# --- visitors ---


class Browser:
    """A terminal at the other end of a websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.screen = pyte.Screen(*SIZE)
        self.news = asyncio.Condition()

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    async def listen(self) -> None:
        """Draw what comes; all the time, because pings are answered meanwhile."""
        stream = pyte.ByteStream(self.screen)
        async for message in self.socket:
            assert message.type is aiohttp.WSMsgType.BINARY, message
            stream.feed(message.data)
            async with self.news:
                self.news.notify_all()

    async def until(self, text: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S), self.news:
                await self.news.wait_for(lambda: text in self.text)
        except TimeoutError:
            pytest.fail(f"{text!r} never came:\n{self.text}")

    async def press(self, keys: str) -> None:
        await self.socket.send_json(["stdin", keys])


@asynccontextmanager
async def visiting(served: Served) -> AsyncIterator[tuple[Browser, asyncio.Task[None]]]:
    """A browser that shows the library, and what ends when the server hangs up."""
    headers = {"Cookie": served.cookie, "Origin": f"http://{served.host}"}
    where = f"ws://{served.host}/ws?width={SIZE[0]}&height={SIZE[1]}"
    async with aiohttp.ClientSession(headers=headers) as session, session.ws_connect(where) as socket:
        browser = Browser(socket)
        listening = asyncio.create_task(browser.listen())
        await browser.until("How is the weather?")  # the first prompt; it takes no inputs
        yield browser, listening
        await socket.close()
        await listening


async def ask_for_rain(browser: Browser) -> None:
    await browser.press("\x12")
    await browser.until("Rain falls.")


def test_two_visitors_ask_one_engine(served: Served) -> None:
    async def go() -> None:
        async with visiting(served) as (one, closed), visiting(served) as (two, _):
            await asyncio.gather(ask_for_rain(one), ask_for_rain(two))
            visitors = [child for child in served.children() if child.cmdline()[2:4] == ["-m", "promptlab"]]
            assert len(visitors) == 2
            await one.press("\x11")  # it quits; the other goes on
            await closed
            await two.press("\x12")
            await two.until("Rain falls.")

    asyncio.run(go())
    until(lambda: served.children() == [])  # whose tab is closed, ends


@pytest.mark.parametrize("said", ["hello", '["resize", 5]'])
def test_who_says_what_the_page_does_not_is_hung_up_on(served: Served, said: str) -> None:
    async def go() -> None:
        async with visiting(served) as (browser, closed):
            await browser.socket.send_str(said)
            await closed

    asyncio.run(go())
    until(lambda: served.children() == [])


# --- how it ends ---


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.OK), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_nothing_is_left_running(library: Path, how: signal.Signals, code: int) -> None:
    async def go(server: Served) -> tuple[int, list[psutil.Process]]:
        async with visiting(server) as (_, closed):
            found = server.children()
            server.process.send_signal(how)
            await closed
            ended = await asyncio.to_thread(server.process.wait, PATIENCE_S)
            return ended, found

    folder = library.parent / "temporary"
    folder.mkdir()
    with serving(add_prompt(library), "--port", "0", TMPDIR=str(folder)) as server:
        ended, found = asyncio.run(go(server))
    assert ended == code
    assert found
    assert psutil.wait_procs(found, PATIENCE_S)[1] == []
    assert how is signal.SIGKILL or list(folder.iterdir()) == []


# --- refusals ---


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "", "10.0.0.1"])
def test_only_this_machine_is_served(cli: Cli, library: Path, host: str) -> None:
    result = cli("serve", "--host", host)
    assert result.code == Exit.USAGE
    assert f"promptlab: {host} is not a loopback address" in result.err
    assert result.out == ""


def test_a_port_that_is_taken_is_one_line(cli: Cli, library: Path, served: Served) -> None:
    result = cli("serve", "--port", served.host.rpartition(":")[2])
    assert result.code == Exit.ERROR
    assert re.fullmatch(r"promptlab: port \d+ of 127\.0\.0\.1 cannot be used: .*\. `--port 0` takes any\n", result.err)


def test_without_the_extra_it_says_what_to_install(cli: Cli, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    result = cli("serve", "--port", "0")
    assert result.code == Exit.USAGE
    assert "pip install 'promptlab-local[serve]'" in result.err


def test_a_library_that_is_none_is_said_at_once(cli: Cli, home: Path) -> None:
    result = cli("--library", str(home), "serve")
    assert result.code == Exit.USAGE
    assert "is not a library" in result.err
