"""A machine without a network, for tests: `python tests/offline.py COMMAND…` runs a command on one.

`enter` leaves for a network namespace that has no interface but loopback, where the system allows that. In any case
`guard` lets each Python process refuse to look for, or to connect to, anything but this machine, and note the attempt.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_WATCHED = frozenset(
    {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)


def enter() -> bool:
    """Leave every network but loopback. Returns False, and changes nothing, where the system does not allow that."""
    if not sys.platform.startswith("linux"):
        return False
    child = os.fork()  # some systems allow the first step only: there is no way back from it
    if child == 0:
        try:
            _leave()
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        return False
    _leave()
    return True


def _leave() -> None:
    """Raises OSError."""
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = fcntl.ioctl(probe, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        (flags,) = struct.unpack_from("H", request, 16)
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def watch(log: str) -> None:
    """Refuse everything that leads off this machine, and note it."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _WATCHED:
            return
        target = arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname") else arguments[1]
        if is_here(target):
            return
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123  (pathlib may not be loaded yet)
            file.write(f"{event} {target!r} by {sys.argv}\n")
        raise OSError(101, "Network is unreachable (refused by the test)")

    sys.addaudithook(hook)


def is_here(target: object) -> bool:
    """Whether an address, or a name to look for, is this machine."""
    if isinstance(target, tuple):  # of AF_INET and AF_INET6; one of AF_UNIX is a path
        target = target[0] if target else None
    elif isinstance(target, str) and target.startswith(("/", "\0")):
        return True
    if isinstance(target, bytes):
        target = target.decode("utf-8", "replace")
        if target.startswith(("/", "\0")):
            return True
    if target is None or target in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(target)).is_loopback
    except ValueError:
        return False


def guard(folder: Path, log: Path) -> None:
    """Write the `sitecustomize` that makes each Python process with `folder` on its path call `watch`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (
        "import sys",
        f"sys.path.append({str(Path(__file__).parents[1])!r})",
        "from tests.offline import watch",
        "sys.path.pop()",
        f"watch({str(log)!r})",
    )
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    enter()
    os.execvp(sys.argv[1], sys.argv[1:])
