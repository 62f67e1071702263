"""A worker without a model: it speaks the protocol of `engine/worker.py` and does what its first argument says.

`answer` for all models alike, or `a=answer,b=crash-in-answer` for each its own; one that is not named answers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def ready(load: dict[str, Any]) -> None:
    engine = {
        "mode": "exact",
        "llama_cpp": "0",
        "build": "",
        "cpu": "",
        "threads": 1,
        "layout": {},
        "safe_mode": load["safe_mode"],
    }
    words: dict[str, Any] = {"chat_template": None, "bos": "", "eos": "", "control_tokens": []}
    words["description"] = f"{load['kv_bytes']} {load['shelf_bytes']}"
    say({"event": "ready", "model": load["model"], "engine": engine, "vocabulary": words, "load_s": 0.0})


def answer(seq: int, text: str, reason: str = "stop") -> None:
    say({"event": "started", "seq": seq, "prompt_ids": [1, 2]})
    say({"event": "token", "seq": seq, "id": 7, "text": text, "logprob": -0.5, "top": [{"id": 7, "logprob": -0.5}]})
    times = {"load_s": 0.0, "ttft_s": 0.0, "prefill_s": 0.0, "decode_s": 0.0, "tokens_per_s": 0.0}
    usage = {"prompt_tokens": 2, "cached_tokens": 0, "completion_tokens": 1}
    say({"event": "answered", "seq": seq, "text": text, "finish_reason": reason, "usage": usage, "timings": times})


def main(what: str) -> None:
    load = json.loads(sys.stdin.readline())
    if "=" in what:
        what = dict(part.split("=") for part in what.split(",")).get(load["model"], "answer")
    print("last words", file=sys.stderr, flush=True)
    if what == "crash-unless-safe" and not load["safe_mode"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "crash-always":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "killed-while-loading":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "exit-3":
        sys.exit(3)
    if what == "load-for-ever":
        sys.stdin.read()
    if what == "garbage":
        print("this is not JSON", flush=True)
        time.sleep(60)
    if what == "unknown-event":
        say({"event": "surprise"})
        time.sleep(60)
    if what == "refuse":
        failure = {"type": "EngineError", "message": "no such architecture"}
        say({"event": "failed", "model": load["model"], "seq": None, "failure": failure})
        sys.stdin.read()
    if what == "measure" and load["measure"] and not load["known"]:
        say({"event": "waiting"})
        assert json.loads(sys.stdin.readline()) == {"op": "turn"}
        with Path(load["path"]).open() as gate:  # a named pipe: until somebody writes to it
            gate.read()
        say({"event": "turn"})
        say({"event": "found", "found": {"tuning": {"threads": 2}}})
    ready(load)
    waiting: list[int] = []
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "ask":
            waiting.append(request["seq"])
        elif request["op"] == "tokenize" and what != "mute":
            say({"event": "tokenized", "id": request["id"], "ids": [len(text) for text, _ in request["segments"]]})
        elif request["op"] == "pieces" and what != "mute":
            pieces = [f"{id:02x}" if id < 256 else None for id in request["ids"]]
            say({"event": "pieces", "id": request["id"], "pieces": pieces})
        elif request["op"] == "turn":
            for seq in waiting:
                if what == "die-in-answer":
                    os.kill(os.getpid(), signal.SIGKILL)
                if what == "crash-in-answer":
                    os.kill(os.getpid(), signal.SIGSEGV)
                if what == "answer-when-cancelled":
                    while json.loads(sys.stdin.readline()) != {"op": "cancel", "seq": seq}:
                        pass
                    answer(seq, "", "cancelled")
                    continue
                answer(seq, f"{load['model']} {seq}")
            waiting.clear()
            say({"event": "turn"})


main(sys.argv[1])
