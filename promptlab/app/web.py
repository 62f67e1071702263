"""The playground as a web page: textual-serve's terminal, behind a guard, for whoever has the token.

textual-serve itself listens to everybody, and its page loads a font from the internet. So its routes and its page are
replaced here; what is used of it is the terminal in the browser, and how that talks to a program's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

PAGE = Path(__file__).parent / "page"
MAX_VISITORS = 8
"""Each is a process of its own."""
MAX_MESSAGE = 1 << 20
"""Bytes of one message from a browser: what somebody has pasted."""
END_S = 8.0
"""How long a visitor's process may take to end by itself."""
WIDTHS, HEIGHTS = (20, 1000), (5, 400)
"""Of a terminal, in characters."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site(Server):
    """The pages, and one process for each visitor."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        token: str,
        hosts: Sequence[str],
        tell: Callable[[str], object],
    ) -> None:
        """`environment` is added to the visitors'; `hosts` are the names that a browser may know this server by.

        `tell` hears what the visitors' processes write to standard error.
        """
        super().__init__("")
        self._visitor = (tuple(command), dict(environment))
        self._token = token
        self._cookie = f"promptlab-{hosts[0].rpartition(':')[2]}"
        self._hosts = frozenset(hosts)
        self._tell = tell
        self._sockets: set[web.WebSocketResponse] = set()

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/page.css", lambda _: _file("page.css")),
                web.get("/page.js", lambda _: _file("page.js")),
                web.get("/ws", self.handle_websocket),
                web.static("/static", self.statics_path),
            ]
        )
        app.on_response_prepare.append(_harden)
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def runner(self) -> web.AppRunner:
        """The server, ready to be given a socket."""
        # No access log: it would hold the token.
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=END_S + 2)
        await runner.setup()
        return runner

    async def on_shutdown(self, app: web.Application) -> None:
        """Hang up on every browser; their processes end with that."""
        await asyncio.gather(*(socket.close(code=1001) for socket in self._sockets))

    # --- who may come in ---------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if reason := self._refusal(request):
            return web.Response(status=403, text=f"{reason}\n")
        return await handler(request)

    def _refusal(self, request: web.Request) -> str:
        """Why a request is refused; empty where it is not."""
        # A page of a stranger may have a name of its own lead to this address; then it names that as the host.
        if request.host not in self._hosts:
            return "promptlab is reached by its loopback address only."
        given = (request.query.get("token", ""), request.cookies.get(self._cookie, ""))
        if not any(_same(each, self._token) for each in given):
            return "This needs the address that `promptlab serve` has printed, with its token."
        if request.path == "/ws" and request.headers.get("Origin") != f"http://{request.host}":
            return "Only promptlab's own page may connect."
        return ""

    # --- what there is -----------------------------------------------------------------------------------------------

    async def _index(self, request: web.Request) -> web.StreamResponse:
        response = await _file("index.html")
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
        return response

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Begin a process, and connect its screen with the browser until either ends."""
        if len(self._sockets) >= MAX_VISITORS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_VISITORS} visitors are here already.\n")
        socket = web.WebSocketResponse(heartbeat=15, timeout=1.0, max_msg_size=MAX_MESSAGE)
        self._sockets.add(socket)
        try:
            await socket.prepare(request)
            await self._attend(request, socket)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _attend(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        visitor = Visitor(*self._visitor, self._tell, socket, self.download_manager)
        size = [
            min(max(to_int(request.query.get(name, ""), usual), least), most)
            for name, usual, (least, most) in (("width", 80, WIDTHS), ("height", 24, HEIGHTS))
        ]
        try:
            await visitor.start(*size)
            await self._process_messages(socket, visitor)
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
            await socket.close(code=1003)  # this is not what the page says
        except ConnectionError:
            pass  # the browser, or the process, has gone
        finally:
            await visitor.stop()


class Visitor(AppService):
    """One visitor's process."""

    def __init__(
        self,
        command: tuple[str, ...],
        environment: dict[str, str],
        tell: Callable[[str], object],
        socket: web.WebSocketResponse,
        downloads: Any,
    ) -> None:
        async def close() -> None:
            await socket.close()

        super().__init__(
            "", write_bytes=socket.send_bytes, write_str=socket.send_str, close=close, download_manager=downloads
        )
        self._argv = command
        self._added = environment
        self._tell = tell
        self._errors: asyncio.Task[None] | None = None

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        return {**super()._build_environment(width, height), **self._added}

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Without a shell; and what it writes to standard error goes where the server's own goes, not to its output."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self._build_environment(width, height)
        )
        self._stdin = process.stdin
        assert process.stderr is not None
        self._errors = asyncio.create_task(self._pass_on(process.stderr))
        process.stderr = asyncio.StreamReader()
        process.stderr.feed_eof()
        return process

    async def _pass_on(self, errors: asyncio.StreamReader) -> None:
        while data := await errors.read(4096):
            self._tell(data.decode("utf-8", "replace").rstrip())

    async def stop(self) -> None:
        """Ask the process to end; end it where it does not."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(END_S):
                await super().stop()
                assert process.stdin is not None
                process.stdin.close()
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        if self._errors is not None:
            await self._errors


async def _file(name: str) -> web.StreamResponse:
    return web.FileResponse(PAGE / name)


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    """Nothing is loaded from elsewhere, nobody may embed the page, and nothing is kept."""
    policy = [
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # the terminal sets styles of its own
        "img-src 'self' data:",
        f"connect-src 'self' ws://{request.host}",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    response.headers.update(
        {
            "Content-Security-Policy": "; ".join(policy),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
    )


def _same(given: str, token: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())
