"""A competitor in a process of its own: when it ends, its memory and threads are gone before the next one starts."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any


def serve(measure: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """In the child: read a task from standard input, and write what `measure` makes of it to standard output."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is not the result
    code = 0
    try:
        json.dump(measure(json.load(sys.stdin)), out)
        out.flush()
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # a server's threads do not end by themselves
