"""The standard matrix against peers: `uv run python benchmarks/matrix.py`. Models must be on disk.

8 cases × 4 samples, prompts of about 310 tokens whose first 290 are alike, 64 new tokens each: the same weights, token
ids, sampler and number of threads for all. In each round every competitor runs once, in a process that is started for
it, one at a time; the order turns from round to round. Loading and a short warm-up are not timed. What is compared is
generated tokens a second, medians over the rounds:

- promptlab's own engine, in both modes;
- a loop over `Llama.generate` of llama-cpp-python;
- llama.cpp's server as xllamacpp brings it, as people start it and in the setting that is best for the model;
- `llama_decode` alone, as often and with as many rows as ours: what no engine can exceed.

Answers are full for everybody: the server may not draw tokens that end a text, the loop goes on after them, and for
ours seeds are taken with which no answer in exact mode ends early. Should one in fast mode, the last column shows it.
Ours computes and sends a log-probability for each token besides, which the peers do not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from peers import report, rivals
from peers.ours import Ours
from peers.report import BEST, EXACT, FAST, LOOP, OURS, STARTED, Result
from peers.work import NEW_TOKENS, BenchError, Outcome
from promptlab.core.events import Ready
from promptlab.core.job import Mode, Model
from promptlab.engine.machine import default_threads
from promptlab.engine.pool import Pool
from promptlab.errors import PromptlabError
from promptlab.files.calibration import Calibrations
from promptlab.files.models import present, read_models, select_models
from promptlab.files.paths import shipped_library

BUSY = 0.3
"""A load average above which the machine is not free for measuring."""
Run = Callable[[], None]


def say(line: str) -> None:
    """Narrate: what comes to standard output is the result."""
    print(line, file=sys.stderr, flush=True)


class Contest:
    """The rounds with one model."""

    def __init__(self, model: Model, path: Path, new_tokens: int) -> None:
        """Find out what all get, and how ours is laid out. Raises BenchError."""
        self.model = replace(model, threads=model.threads or default_threads())
        self.path = path
        self.ready: dict[str, Ready] = {}
        self.peers: set[str] = set()
        """What the peers say of their builds."""
        self.result = self._prepare(new_tokens)

    def _prepare(self, new_tokens: int) -> Result:
        assert self.model.threads
        result: Result | None = None
        for mode in OURS:
            pool = Pool(known=Calibrations())
            try:
                ours = self._load(pool, mode)
                if result is None:
                    task = ours.task(self.path, self.model.threads, new_tokens)
                    result = Result(self.model.title, task)
                result.rows[mode] = ours.decoding(result.task).rows
                self.ready[mode] = ours.ready
            finally:
                pool.close()
        assert result is not None
        return result

    def _load(self, pool: Pool, mode: str) -> Ours:
        known: Mode = "exact" if mode == EXACT else "fast"
        # Where the processor makes a difference: in calls of many answers, as suits a batch.
        return Ours(pool, replace(self.model, mode=known, layout={"wide": True}), self.path)

    def rounds(self, competitors: Mapping[str, Run], count: int) -> None:
        """Let each run `count` times; the order turns. One that fails is told of, and the others go on."""
        order = list(competitors)
        for number in range(count):
            for name in order[number % len(order) :] + order[: number % len(order)]:
                try:
                    competitors[name]()
                except BenchError as error:
                    say(f"  {name}: {error}")

    def competitors(self, best: rivals.Setting | None, with_server: bool, short_spin: bool) -> dict[str, Run]:
        """Who runs, by name."""
        found: dict[str, Run] = {}
        # Beside the mode that it is the ceiling of, so that the machine is the same for both.
        alike = {modes[0]: modes for modes in self._alike()}
        for mode in OURS:
            found[mode] = partial(self.ours, mode)
            if mode in alike:
                found[f"bare-{mode}"] = partial(self.bare, alike[mode])
        found[LOOP] = partial(self.peer, LOOP, partial(rivals.loop, self.result.task, short_spin))
        servers = {STARTED: replace(rivals.STARTED, short_spin=short_spin), BEST: best} if with_server else {}
        for name, setting in servers.items():
            if setting is not None:
                self.result.settings[name] = str(setting)
                found[name] = partial(self.peer, name, partial(rivals.server, self.result.task, setting))
        return found

    def _alike(self) -> list[list[str]]:
        """Our modes; those that are laid out alike together."""
        found: dict[tuple[Any, ...], list[str]] = {}
        for mode, ready in self.ready.items():
            found.setdefault((self.result.rows[mode], *sorted(ready.engine.layout.items())), []).append(mode)
        return list(found.values())

    def ours(self, mode: str) -> None:
        """Our engine: the matrix, then decoding alone."""
        pool = Pool(known=Calibrations())
        try:
            ours = self._load(pool, mode)
            outcome = ours.matrix(self.result.task)
            decoding = ours.decoding(self.result.task)
        finally:
            pool.close()
        self._keep(mode, outcome)
        self.result.decoding.setdefault(mode, []).append(decoding.rate)

    def peer(self, name: str, run: Callable[[], Outcome]) -> None:
        """A peer: the matrix."""
        outcome = run()
        self._keep(name, outcome)
        self.peers.add(outcome.build)

    def bare(self, modes: list[str]) -> None:
        """`llama_decode` alone, laid out as these modes of ours."""
        rows = self.result.rows[modes[0]]
        rate = rivals.bare(self.result.task, rows, self.ready[modes[0]].engine.layout)
        for mode in modes:
            self.result.bare.setdefault(mode, []).append(rate)
        say(f"  {rate:7.1f} tokens/s  llama_decode as {' and '.join(modes)}, {rows} rows")

    def _keep(self, name: str, outcome: Outcome) -> None:
        self.result.outcomes.setdefault(name, []).append(outcome)
        say(f"  {outcome.rate:7.1f} tokens/s  {name}")


def best_setting(contest: Contest, search: bool, short_spin: bool) -> rivals.Setting | None:
    """The server's best setting: as searched for now, or as it was found before."""
    if search:
        found = rivals.search(contest.result.task, short_spin, say)
        contest.result.searched = {str(setting): outcome.rate for setting, outcome in found.items()}
        return rivals.fastest(found) if found else None
    setting = rivals.BEST.get(contest.model.name)
    if setting is None:
        say(f"  the server's best setting for {contest.model.name} is not known; --search looks for it")
        return None
    return replace(setting, short_spin=setting.short_spin or short_spin)


def compete(model: Model, path: Path, arguments: argparse.Namespace) -> Contest:
    """All of it with one model. Raises BenchError."""
    say(f"{model.name}: preparing")
    contest = Contest(model, path, arguments.tokens)
    with_server = find_spec("xllamacpp") is not None
    best = best_setting(contest, arguments.search, arguments.short_spin) if with_server else None
    competitors = contest.competitors(best, with_server, arguments.short_spin)
    unknown = set(arguments.only or ()) - set(competitors)
    if unknown:
        raise BenchError(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(competitors)}")
    chosen = {name: run for name, run in competitors.items() if not arguments.only or name in arguments.only}
    contest.rounds(chosen, arguments.rounds)
    # In the table, peers stand below ours, whoever came first in time.
    outcomes = contest.result.outcomes
    contest.result.outcomes = {name: outcomes[name] for name in competitors if name in outcomes}
    return contest


def machine(contest: Contest) -> dict[str, Any]:
    """What all of it ran on."""
    engine = contest.ready[EXACT].engine
    builds = {f"llama-cpp-python {engine.llama_cpp} ({engine.build})", *contest.peers}
    return {
        "cpu": engine.cpu,
        "cores": os.cpu_count(),
        "usable_cores": default_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.platform()}, Python {platform.python_version()}",
        "promptlab": metadata.version("promptlab-local"),
        "builds": sorted(builds),
        "safe_mode": engine.safe_mode,
        "layout": {mode: dict(ready.engine.layout) for mode, ready in contest.ready.items()},
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The standard matrix against peers.")
    parser.add_argument("-m", "--model", action="append", default=[], help="instead of the default models; repeat it")
    parser.add_argument("--rounds", type=int, default=3, help="how often each competitor runs (3)")
    parser.add_argument("--search", action="store_true", help="try all settings of the server, and take the best")
    parser.add_argument("--only", action="append", help=f"run only this competitor, such as {FAST}; repeat it")
    parser.add_argument("--tokens", type=int, default=NEW_TOKENS, help="new tokens for each answer (64)")
    spin = "let the peers' threads spin as briefly as ours: fairer where anything else runs on the machine"
    parser.add_argument("--short-spin", action="store_true", help=spin)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return parser.parse_args()


def main() -> int:
    """Run, print."""
    asked = arguments()
    # As an exception, it ends the competitor that is running too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    if load > BUSY:
        say(f"something else runs on this machine (load {load:.1f}): take no number of this for true")
    contests: dict[str, Contest] = {}
    try:
        for model in select_models(read_models(shipped_library() / "models.yaml"), asked.model):
            path = present(model)
            if path is None:
                raise BenchError(f"{model.name} is not on disk; `promptlab models pull` fetches it")
            contests[model.name] = compete(model, path, asked)
    except (BenchError, PromptlabError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    if find_spec("xllamacpp") is None:
        say("xllamacpp is not installed, so the server is left out; `uv sync --group bench` installs it")
    show(contests, load, asked.json)
    return 0


def show(contests: Mapping[str, Contest], load: float, file: Path | None) -> None:
    """Print the tables, and write the JSON."""
    where = machine(next(iter(contests.values()))) | {"load_before": round(load, 2)}
    where["builds"] = sorted({build for c in contests.values() for build in (*where["builds"], *c.peers)})
    results = {name: contest.result for name, contest in contests.items()}
    for key in ("cpu", "usable_cores", "memory_gib", "load_before", "system", "builds"):
        print(f"{key.replace('_', ' ')}: {'; '.join(where[key]) if key == 'builds' else where[key]}")
    print("llama-cpp-python is built for this machine; xllamacpp is prebuilt for any, perhaps slower")
    for name, result in results.items():
        print("\n" + "\n".join(report.table(name, result)))
    print("\n" + "\n".join(report.summary(results)))
    if file:
        file.write_text(json.dumps(report.plain(where, results), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
