"""What waits for a slot, and in which order it gets one."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator

from promptlab.engine.work import Job


class Queue:
    """What waits, taken in the order of the tokens of its prompts, round and round.

    Neighbours in that order share the longest beginnings, so what one has computed is on the shelf when the next one
    needs it, however small the shelf is. Whatever comes, each is taken before the round is over.
    """

    def __init__(self) -> None:
        self._jobs: list[tuple[tuple[int, ...], int, Job]] = []
        self._last: tuple[tuple[int, ...], int] = ((), -1)

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return (job for _, _, job in self._jobs)

    def following(self) -> Iterator[Job]:
        """What waits, in the order in which it will be taken."""
        at = self._next() if self._jobs else 0
        return (job for _, _, job in itertools.chain(self._jobs[at:], self._jobs[:at]))

    def add(self, job: Job) -> None:
        """Let one wait."""
        bisect.insort(self._jobs, (job.ids, job.seq, job), key=lambda each: each[:2])

    def peek(self) -> Job:
        """The next one; there must be one."""
        return self._jobs[self._next()][2]

    def pop(self) -> Job:
        """Take the next one out."""
        ids, seq, job = self._jobs.pop(self._next())
        self._last = (ids, seq)
        return job

    def remove(self, seq: int) -> Job | None:
        """Take one out that is wanted no more; None when it is not there."""
        for i, (_, each, job) in enumerate(self._jobs):
            if each == seq:
                del self._jobs[i]
                return job
        return None

    def _next(self) -> int:
        at = bisect.bisect_right(self._jobs, self._last, key=lambda each: each[:2])
        return at if at < len(self._jobs) else 0
