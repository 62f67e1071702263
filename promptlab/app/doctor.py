"""Is everything here that promptlab needs, does it work, and what is to be done where it does not."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import psutil

from promptlab import __version__
from promptlab.app.lab import Lab, history_folder
from promptlab.app.loading import absent
from promptlab.core.chat import Segment
from promptlab.core.events import Answered, Failed, Ready
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.core.prompt import parse
from promptlab.engine import probe
from promptlab.engine.backend import Backend, Question
from promptlab.engine.machine import default_threads
from promptlab.engine.memory import SystemMemory
from promptlab.errors import PromptlabError, RenderError
from promptlab.files.models import present
from promptlab.files.paths import cache_dir

GIB = 1024**3
WAIT_S = 120.0
"""How long the trial model may take to load and answer."""

REBUILD = (
    "CMAKE_ARGS=\"-DCMAKE_CXX_FLAGS='-fno-tree-dse -fno-dse'\" "
    "python -m pip install --force-reinstall --no-cache-dir --no-deps llama-cpp-python==0.3.36"
)
"""The command that builds the engine so that its AMX kernels work (README, "The engine")."""

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str
    cure: str = ""
    """What to do; empty where nothing is wrong."""


def examine(lab: Lab) -> Iterator[Finding]:
    """Look at everything, one after another; the trial of the engine may take some seconds."""
    yield Finding("promptlab", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    for look in (_build, _processor, _memory, _store, _decodes, _sandbox, _library, _history, _git):
        yield from _guarded(look, lab)


def _guarded(look: Callable[[Lab], Iterator[Finding]], lab: Lab) -> Iterator[Finding]:
    try:
        yield from look(lab)
    except (PromptlabError, OSError) as error:
        yield Finding(look.__name__.strip("_"), "problem", str(error), "see the message")


def _build(lab: Lab) -> Iterator[Finding]:
    try:
        build = probe.build()
    except PromptlabError as error:
        cure = "install it again: python -m pip install --force-reinstall --no-deps llama-cpp-python==0.3.36"
        yield Finding("build", "problem", str(error), cure)
        return
    yield Finding("build", "ok", f"llama-cpp-python {build['version']} ({build['features']})")


def _processor(lab: Lab) -> Iterator[Finding]:
    flags = _cpu_flags()
    known = [f for f in ("avx2", "avx512f", "avx512_vnni", "amx_int8", "amx_bf16", "asimd") if f in flags]
    threads = default_threads()
    detail = (
        f"{threads} of {os.cpu_count()} may be used, so {threads} threads; features: {' '.join(known) or 'unknown'}"
    )
    yield Finding("processor", "ok", detail)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.partition(":")[2].split()}


def _memory(lab: Lab) -> Iterator[Finding]:
    free = SystemMemory().available()
    largest = max((m.bytes or 0 for m in lab.models.values() if present(m)), default=0)
    detail = f"{free / GIB:.1f} GiB free of {psutil.virtual_memory().total / GIB:.1f} GiB"
    if free < max(2 * largest, GIB // 2):
        yield Finding("memory", "warning", detail, "close other programs, or run one model at a time with -m")
    else:
        yield Finding("memory", "ok", detail)


def _store(lab: Lab) -> Iterator[Finding]:
    folder = cache_dir() / "models"
    near = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(near).free
    missing = absent(m for m in lab.models.values() if m.default)
    detail = f"{folder}, {free / GIB:.1f} GiB free on its disk"
    if not os.access(near, os.W_OK):
        yield Finding(
            "model store",
            "problem",
            f"{detail}; it cannot be written to",
            f"make {near} writable, or set XDG_CACHE_HOME",
        )
    elif missing:
        size = sum(m.bytes or 0 for m in missing)
        names = ", ".join(m.name for m in missing)
        cure = f"promptlab models pull ({size / 1e6:,.0f} MB)"
        yield Finding("model store", "warning", f"{detail}; not on disk: {names}", cure)
    else:
        yield Finding("model store", "ok", f"{detail}; all default models are there")


def _decodes(lab: Lab) -> Iterator[Finding]:
    """Let the smallest model that is there say a few words."""
    here = sorted((m for m in lab.models.values() if present(m)), key=lambda m: m.bytes or 0)
    if not here:
        yield Finding("engine", "warning", "not tried: no model is on disk", "promptlab models pull")
        return
    yield _trial(lab.backend, here[0], next(lab.sequences))


def _trial(backend: Backend, model: Model, seq: int) -> Finding:
    path = present(model)
    assert path is not None
    backend.load(model, path)
    safe_mode = False
    for _ in count():
        event = backend.next_event(WAIT_S)
        match event:
            case Ready(model=name, engine=engine) if name == model.name:
                safe_mode = engine.safe_mode
                question = Question(model.name, seq, (Segment("One, two, three,", False),), Options(max_tokens=16), 0)
                backend.ask(question)
            case Answered(seq=number, timings=timings) if number == seq:
                return _trial_finding(model, timings.tokens_per_s, safe_mode)
            case Failed(model=name, failure=failure) if name == model.name:
                cure = f"rebuild the engine: {REBUILD}" if failure.signal else "promptlab models verify"
                stderr = f" ({failure.stderr[-1]})" if failure.stderr else ""
                return Finding("engine", "problem", failure.message + stderr, cure)
            case None:
                return Finding(
                    "engine", "problem", f"{model.name} gave no answer within {WAIT_S:g} s", "promptlab doctor --debug"
                )
    raise AssertionError


def _trial_finding(model: Model, rate: float, safe_mode: bool) -> Finding:
    if safe_mode:
        detail = f"{model.name} decodes, but only in safe mode ({rate:.0f} tokens/s): the default kernels crash here"
        return Finding("engine", "warning", detail, f"rebuild the engine, it will be about twice as fast: {REBUILD}")
    return Finding("engine", "ok", f"{model.name} decodes, {rate:.0f} tokens/s")


def _sandbox(lab: Lab) -> Iterator[Finding]:
    lab.sandbox.step(parse("{{ 1 + 1 }}", "doctor"), {}, [])
    try:
        lab.sandbox.step(parse("{{ 'x'.ljust(2000000000) | length }}", "doctor"), {}, [])
    except RenderError:
        yield Finding("sandbox", "ok", "templates render, and their memory is limited")
    else:
        cure = "this system does not enforce RLIMIT_AS: look at prompts of strangers before you run them"
        yield Finding("sandbox", "warning", "templates render, but their memory is not limited", cure)


def _library(lab: Lab) -> Iterator[Finding]:
    entries = lab.library.entries()
    broken = [e for e in entries if e.problem]
    detail = f"{lab.root}, {len(entries)} prompts, {len(lab.models)} models"
    if broken:
        yield Finding("library", "warning", f"{detail}; cannot be read: {broken[0].problem}", "mend the file")
    else:
        yield Finding("library", "ok", detail)


def _history(lab: Lab) -> Iterator[Finding]:
    lab.store.recent(1)
    yield Finding("history", "ok", str(history_folder(lab.root) / ".promptlab" / "lab.db"))


def _git(lab: Lab) -> Iterator[Finding]:
    if shutil.which("git") is None:
        yield Finding("git", "warning", "there is no git", "install git: records then name the commit of each prompt")
    else:
        yield Finding("git", "ok", "found")
