"""What the engine is, asked in a process of its own: loading it must not be able to crash the asker."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from promptlab.errors import EngineError
from promptlab.sandbox import absolute_paths

TIMEOUT_S = 60.0


def build() -> dict[str, str]:
    """`version` and `features` of the llama.cpp that is installed. Raises EngineError when it cannot be loaded."""
    command = [sys.executable, "-P", "-m", "promptlab.engine.llama"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=TIMEOUT_S,
            cwd="/",
            env=absolute_paths(os.environ),
            stdin=subprocess.DEVNULL,
            check=False,
        )
        result: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"llama-cpp-python cannot be asked: {error}") from None
    except ValueError:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else f"it ended with code {done.returncode}"
        raise EngineError(f"llama-cpp-python cannot be loaded: {reason}") from None
    return result
