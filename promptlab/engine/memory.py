"""How much memory there is, and how much of it a process holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

CONTROL_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process holds, in bytes."""

    rss: int
    """Pages of mapped files included."""
    private: int
    """Without them: what the free memory is less by."""


class Memory(Protocol):
    """What the pool asks before it loads a model."""

    def available(self) -> int:
        """Free memory, in bytes."""
        ...

    def taken(self, pid: int) -> Taken:
        """What a process holds; nothing when it has ended."""
        ...


class SystemMemory:
    """As the system counts."""

    def available(self) -> int:
        """What programs can still get; in a container, not more than its limit leaves."""
        return min([psutil.virtual_memory().available, *group_room(CONTROL_GROUP)])

    def taken(self, pid: int) -> Taken:
        """What a process holds; nothing when it has ended."""
        try:
            info = psutil.Process(pid).memory_info()
        except psutil.Error:
            return Taken(0, 0)
        return Taken(info.rss, info.rss - getattr(info, "shared", 0))


def group_room(folder: Path) -> list[int]:
    """What a control group's limit leaves, where there is one: pages of files make way for what programs ask for."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        files = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
        return [] if limit == "max" else [max(int(limit) - used + files, 0)]
    except (OSError, ValueError):
        return []
