"""A lab: one library with its models, history, sandbox and engine, opened together and closed together."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from promptlab.core.job import Model
from promptlab.engine.backend import Backend
from promptlab.engine.shared import Switchboard
from promptlab.files.library import Library
from promptlab.files.paths import data_dir, find_library, is_packaged, working_folder
from promptlab.files.registry import Registry, read_registry
from promptlab.files.store import Store
from promptlab.sandbox import Sandbox

_SEQUENCES = itertools.count(1)
"""One row for all labs, because several may share an engine."""


class Lab:
    """Everything that a use case needs. The history opens and the engine starts when they are first asked for."""

    def __init__(self, root: Path, make_backend: Callable[[], Backend]) -> None:
        self.root = root
        self.sandbox = Sandbox()
        self.library = Library(root, self.sandbox, lambda: history_folder(root))
        self.sequences = _SEQUENCES
        """Names for sequences, never used twice."""
        self._make_backend = make_backend
        self._backend: Backend | None = None
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The history. Raises StoreError; what does not need it works all the same."""
        if self._store is None:
            self._store = Store.open(history_folder(self.root))
        return self._store

    @property
    def models(self) -> dict[str, Model]:
        """The entries of the library's models.yaml and of the user's own, read again each time. Raises SourceError."""
        return self.registry.models

    @property
    def registry(self) -> Registry:
        """The same, and where each entry is from. Raises SourceError."""
        return read_registry(self.root)

    @property
    def backend(self) -> Backend:
        """The engine."""
        if self._backend is None:
            self._backend = self._make_backend()
        return self._backend

    def close(self) -> None:
        """End the engine and the sandbox, close the history."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None
        self.sandbox.close()
        if self._store is not None:
            self._store.close()


@contextmanager
def open_lab(library: Path | None = None, make_backend: Callable[[], Backend] | None = None) -> Iterator[Lab]:
    """Open the library at `library`, or the nearest one above the working folder, or the one that ships.

    Raises NotFound when `library` is none.
    """
    lab = Lab(find_library(working_folder(), library), make_backend or _pool)
    try:
        yield lab
    finally:
        lab.close()


class Labs:
    """Several labs over one library, one for each thread that works there; they share the engine."""

    def __init__(self, library: Path | None = None, make_backend: Callable[[], Backend] | None = None) -> None:
        self._library = library
        self.shared = Switchboard(make_backend or _pool)
        """The engine."""

    @contextmanager
    def open(self) -> Iterator[Lab]:
        """Open one more. Raises NotFound when the library is none."""
        with open_lab(self._library, self.shared.seat) as lab:
            yield lab

    def close(self) -> None:
        """End the engine, after the labs."""
        self.shared.close()


def history_folder(root: Path) -> Path:
    """Where the history of a library is kept: beside it, or in the user's data folder when it cannot be written to."""
    read_only = not os.access(root, os.W_OK) or is_packaged(root)
    return data_dir() if read_only else root


def _pool() -> Backend:
    from promptlab.app.memory import need
    from promptlab.engine.mixed import Mixed
    from promptlab.engine.pool import Pool
    from promptlab.engine.servers import Servers
    from promptlab.files.calibration import Calibrations

    return Mixed(Pool(needs=need, known=Calibrations()), Servers())
