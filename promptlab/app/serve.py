"""Serving the playground to browsers on this machine, with one engine for all of them."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.app.visit import ENGINE
from promptlab.errors import PromptlabError, UsageError
from promptlab.files.paths import find_library, working_folder

if TYPE_CHECKING:
    from promptlab.app.web import Site

PORT = 8642
"""Unless another is asked for; where it is taken, any that is free."""
COMMAND = (sys.executable, "-P", "-m", "promptlab")
"""A visitor. -P keeps the working folder, which may be a stranger's library, off the import path."""


def serve(
    library: Path | None,
    host: str,
    port: int | None,
    started: Callable[[str, Path], object],
    tell: Callable[[str], object],
) -> None:
    """Serve until SIGTERM, or until KeyboardInterrupt is raised.

    `started` hears the address, token and all, and the path of a private page that leads there; `tell` what the
    visitors' processes complain of. Raises UsageError and PromptlabError.
    """
    root = find_library(working_folder(), library)
    address = _loopback(host)
    _check_installed()
    with _listen(address, port) as listener, tempfile.TemporaryDirectory(prefix="promptlab-") as folder:
        private = Path(folder)  # only its owner may look into it
        name = f"[{address}]" if ":" in address else address
        token = secrets.token_urlsafe(32)
        hosts = [f"{each}:{listener.getsockname()[1]}" for each in dict.fromkeys((name, "127.0.0.1", "localhost"))]
        url = f"http://{hosts[0]}/?token={token}"
        page = private / "open.html"
        page.write_text(f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={url}">')
        _host(root, private / "engine", token, hosts, listener, tell, lambda: started(url, page))


def _host(
    root: Path,
    engine: Path,
    token: str,
    hosts: list[str],
    listener: socket.socket,
    tell: Callable[[str], object],
    started: Callable[[], object],
) -> None:
    from promptlab.app.lab import Labs
    from promptlab.app.web import Site
    from promptlab.engine.host import Host

    with closing(Labs(root)) as labs, closing(Host(engine, labs.shared)):
        command = (*COMMAND, "--library", str(root))
        site = Site(command, {ENGINE: str(engine)}, token, hosts, tell)
        asyncio.run(_serve(site, listener, started))


async def _serve(site: Site, listener: socket.socket, started: Callable[[], object]) -> None:
    from aiohttp import web

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    runner = await site.runner()
    try:
        await web.SockSite(runner, listener).start()
        started()
        await ended.wait()
    finally:
        await runner.cleanup()


def _loopback(host: str) -> str:
    """The address that is meant. Raises UsageError where others could reach it."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise UsageError(
            f"{host} is not a loopback address: whoever reached it could do here what you can",
            hint="From another machine, use `ssh -L PORT:127.0.0.1:PORT`",
        )
    return str(address)


def _check_installed() -> None:
    try:
        import textual_serve.server  # noqa: F401
    except ImportError as error:
        missing = f"the browser needs the package textual-serve ({error})"
        raise UsageError(missing, hint="Install it with: pip install 'promptlab-local[serve]'") from None


def _listen(address: str, port: int | None) -> socket.socket:
    """A socket at this port; with none, at the usual one, or any that is free. Raises PromptlabError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for wanted in (PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((address, wanted), family=family)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
    raise PromptlabError(f"port {wanted} of {address} cannot be used: {reason}", hint="`--port 0` takes any")
