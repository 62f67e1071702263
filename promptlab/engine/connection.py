"""A connection to an OpenAI-compatible server: what is sent there, how much may come back, and errors as one line.

The official client reads keys, organisations and headers from the environment. None of that may reach an address that a
models.yaml names, so the transport below lets only known headers through, whatever the client adds. It knows no proxy,
no redirect and no cookies, and it takes only so many bytes: the client itself has no limit on a line or an event.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promptlab.core.schema import shorten
from promptlab.errors import EngineError

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

KEY = "PROMPTLAB_SERVER_KEY"
"""The environment variable with the key for servers that want one. Nothing else of the environment is sent."""
NO_KEY = "none"
"""Sent where there is no key: the client insists on one, and servers that want none ignore it."""
CONNECT_S = 5.0
"""How long connecting may take."""
PAGE_BYTES = 4 << 20
"""Bytes of an answer that is not streamed."""
LIMIT: ContextVar[int] = ContextVar("LIMIT", default=PAGE_BYTES)
"""Bytes that the server may send in answer to a request of this task."""
SENT = frozenset({"host", "accept", "content-type", "content-length", "connection", "transfer-encoding"})
"""Headers of a request; `authorization` and `accept-encoding` are set here."""


def shown_address(server: str) -> str:
    """An address as records have it: host, port and path, without what could be secret."""
    parts = urlsplit(server)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def connect(server: str, silent_s: float) -> AsyncOpenAI:
    """The official client for a server. Raises EngineError where it is not installed."""
    try:
        import httpx2
        from openai import AsyncOpenAI
    except ImportError:
        hint = "Install promptlab with its extra `servers`: pip install 'promptlab[servers]'"
        raise EngineError("the package openai is needed to ask a server, and it is not installed", hint=hint) from None
    key = os.environ.get(KEY, "").strip() or NO_KEY
    timeout = httpx2.Timeout(silent_s, connect=min(CONNECT_S, silent_s))
    http = httpx2.AsyncClient(
        transport=_transport(key, secure=server.startswith("https:")),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        max_redirects=0,
    )
    return AsyncOpenAI(
        base_url=server, api_key=key, organization="", project="", max_retries=0, timeout=timeout, http_client=http
    )


def _transport(key: str, *, secure: bool) -> httpx2.AsyncBaseTransport:
    import ssl

    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        """What a server sends, up to a limit."""

        def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
            self._stream = stream
            self._left = limit

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for data in self._stream:
                self._left -= len(data)
                if self._left < 0:
                    raise TooMuch("sent far more than it was asked for")
                yield data

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Guarded(httpx2.AsyncHTTPTransport):
        """Sends known headers only, and takes only so much."""

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            for name in [name for name in request.headers if name not in SENT]:
                del request.headers[name]
            request.headers["authorization"] = f"Bearer {key}"
            request.headers["accept-encoding"] = "identity"
            response = await super().handle_async_request(request)
            if response.headers.get("content-encoding", "identity") != "identity":
                await response.aclose()
                raise TooMuch("sent something compressed, which was not asked for")
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = Bounded(response.stream, LIMIT.get())
            return response

    # Whoever is asked without TLS needs no certificates, and reading them takes as long as a short answer.
    verify = httpx2.create_ssl_context(trust_env=False) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # A connection for each request: one that is kept may be closed by the server just when it is used again.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return Guarded(verify, trust_env=False, limits=limits)


class TooMuch(Exception):
    """A server sent more than an answer can need, or something that could become more."""


async def page(client: AsyncOpenAI, address: str) -> Any:
    """What a server says at an address below its own, or at a whole one. Raises what `reason` can read."""
    return await client.get(address, cast_to=object)


@contextlib.contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Let the server send this many bytes."""
    token = LIMIT.set(limit)
    try:
        yield
    finally:
        LIMIT.reset(token)


def reason(error: BaseException, silent_s: float) -> str:
    """What went wrong, as one line that goes on from `the server at X `."""
    import openai

    cause = error.__cause__ or error
    match error:
        case TimeoutError() | openai.APITimeoutError():
            return f"said nothing for {silent_s:g} s"
        case TooMuch():
            return str(error)
        case openai.APIConnectionError():
            return str(cause) if isinstance(cause, TooMuch) else _unreached(cause)
        case openai.APIStatusError():
            return _refused(error.status_code, _said(error))
        case openai.APIError():
            return f"failed: {_line(error.message)}"
        case ValueError() | TypeError() | KeyError() | RecursionError():
            return "sent something that is no answer"
    return f"could not be asked: {_line(str(error) or type(error).__name__)}"


def _unreached(cause: BaseException) -> str:
    kind = type(cause).__name__
    if kind == "ConnectError" and "SSL" not in str(cause):
        return "cannot be reached: nothing answers there"
    if kind in ("ReadError", "RemoteProtocolError", "WriteError"):
        return "broke off the connection"
    return f"cannot be reached: {_line(str(cause)) or kind}"


def _refused(code: int, said: str) -> str:
    words = {
        401: f"wants a key, or another one: set {KEY}",
        403: f"wants a key, or another one: set {KEY}",
        404: "does not have that: is its address right? It mostly ends in /v1",
        429: "has too much to do",
        503: "is not ready",
    }
    if 300 <= code < 400:
        return f"sends elsewhere (HTTP {code}), which is not followed: put the right address into models.yaml"
    known = words.get(code, "refused" if code < 500 else "failed")
    return f"{known} (HTTP {code})" + (f": {said}" if said else "")


def _said(error: Any) -> str:
    """The server's own words."""
    body = error.body
    message = body.get("message") if isinstance(body, Mapping) else body if isinstance(body, str) else ""
    return _line(message) if isinstance(message, str) else ""


def _line(text: str) -> str:
    key = os.environ.get(KEY, "").strip()
    return shorten(" ".join((text.replace(key, "…") if key else text)[:2000].split()), 300)
