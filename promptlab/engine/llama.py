"""llama.cpp through its low-level API: the only file that imports llama_cpp, and only a worker imports it.

The high-level `Llama` class is not used: it holds one sequence, detokenizes the whole answer for every token, and
allocates all logits to report one. Names without comment are llama.cpp's own (`llama.h`).

The layout is the one in which an answer does not depend on what else runs: separate streams, no flash attention, and
prompt and answer never computed in one call.

An answer with a constraint is drawn as any other, but of the tokens that `engine/grammar.py` allows.
"""

from __future__ import annotations

import ctypes
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llama_cpp as c
import numpy as np
import numpy.typing as npt

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import (
    Alternative,
    Answered,
    Engine,
    EngineEvent,
    FinishReason,
    Started,
    Timings,
    Token,
    Usage,
    Vocabulary,
)
from promptlab.core.options import Options
from promptlab.engine.backend import Question
from promptlab.engine.stream import TextStream
from promptlab.errors import EngineError

if TYPE_CHECKING:
    from promptlab.engine.grammar import Grammar, Grammars

CHUNK = 128
"""Tokens of a prompt computed in one call; a cancelled sequence ends after at most one."""
LOWEST = np.finfo(np.float32).min
PENALTY_WINDOW = 64
"""Tokens that `repeat_penalty` looks back on: llama.cpp's own default."""
LAYOUT = {"kv_unified": False, "flash_attention": False}

_WARNING, _ERROR, _CONTINUED = 3, 4, 5


class Log:
    """What llama.cpp prints: warnings and errors go to stderr, the errors are remembered."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._level = 0
        # The callback must outlive every call into the library.
        self._callback = c.llama_log_callback(self._take)
        c.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _: Any) -> None:
        self._level = self._level if level == _CONTINUED else level
        if self._level < _WARNING:
            return
        line = text.decode("utf-8", "replace")
        sys.stderr.write(line)
        sys.stderr.flush()
        if self._level >= _ERROR and line.strip():
            self.errors.append(line.strip())


class Llama:
    """One model, loaded, with a context for its sequences."""

    def __init__(
        self, path: Path, *, context: int, threads: int, safe_mode: bool, log: Log, progress: Callable[[float], None]
    ) -> None:
        """Load the file. `context` is in tokens; `progress` hears fractions.

        Raises EngineError when the file cannot be loaded.
        """
        self.threads = threads
        self.safe_mode = safe_mode
        self._log = log
        self._model = self._load(path, progress)
        self._vocab = c.llama_model_get_vocab(self._model)
        self._n_vocab = c.llama_vocab_n_tokens(self._vocab)
        trained = c.llama_model_n_ctx_train(self._model)
        self.context = min(context, trained) if trained > 0 else context
        self._context = self._open()
        self._memory = c.llama_get_memory(self._context)
        self._batch = c.llama_batch_init(CHUNK, 0, 1)
        self._piece = ctypes.create_string_buffer(64)
        self._grammars: Grammars | None = None

    def _load(self, path: Path, progress: Callable[[float], None]) -> Any:
        def heard(fraction: float, _: Any) -> bool:
            progress(fraction)
            return True

        parameters = c.llama_model_default_params()
        parameters.n_gpu_layers = 0
        # The extra buffers bring the fastest kernels. Built by GCC 12 without care, those for AMX crash: safe mode.
        parameters.use_extra_bufts = not self.safe_mode
        callback = c.llama_progress_callback(heard)
        parameters.progress_callback = callback
        model = c.llama_model_load_from_file(str(path).encode(), parameters)
        if not model:
            hint = "`promptlab models verify` compares it with its hash"
            raise EngineError(f"{path.name}: llama.cpp cannot load it: {self._reason()}", hint=hint)
        return model

    def _open(self) -> Any:
        parameters = c.llama_context_default_params()
        parameters.n_ctx = self.context
        parameters.n_batch = CHUNK
        parameters.n_ubatch = CHUNK
        parameters.n_seq_max = 1
        parameters.n_outputs_max = 1
        parameters.n_threads = self.threads
        parameters.n_threads_batch = self.threads
        parameters.kv_unified = LAYOUT["kv_unified"]
        parameters.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.no_perf = True
        context = c.llama_init_from_model(self._model, parameters)
        if not context:
            raise EngineError(f"llama.cpp cannot make a context of {self.context} tokens: {self._reason()}")
        return context

    def _reason(self) -> str:
        return "; ".join(self._log.errors[:2]) or "it gives no reason"

    def warm_up(self) -> None:
        """Compute a few tokens of prompt and one of answer: what crashes at all crashes here."""
        token = max(c.llama_vocab_bos(self._vocab), 0)
        self.decode([token] * 8, 0)
        self.decode([token], 8)
        c.llama_memory_clear(self._memory, True)

    def engine(self) -> Engine:
        """What computes: everything about it that an answer can depend on."""
        build = features()
        layout = LAYOUT | {"extra_buffers": not self.safe_mode}
        return Engine(
            mode="exact",
            llama_cpp=build["version"],
            build=build["features"],
            cpu=_cpu(),
            threads=self.threads,
            layout=layout,
            safe_mode=self.safe_mode,
            context=self.context,
            llguidance=metadata.version("llguidance"),
        )

    def vocabulary(self) -> Vocabulary:
        """What must be known to write prompts for it."""
        template = c.llama_model_chat_template(self._model, None)
        description = ctypes.create_string_buffer(256)
        c.llama_model_desc(self._model, description, 256)
        special = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_UNKNOWN
        controls = [t for t in range(self._n_vocab) if c.llama_vocab_get_attr(self._vocab, t) & special]
        return Vocabulary(
            chat_template=template.decode("utf-8", "replace") if template else None,
            bos=self._text(c.llama_vocab_bos(self._vocab)),
            eos=self._text(c.llama_vocab_eos(self._vocab)),
            control_tokens=tuple(text for t in controls if (text := self._text(t))),
            description=description.value.decode("utf-8", "replace"),
        )

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return (c.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")

    def tokenize(self, segments: Sequence[Segment]) -> list[int]:
        """Token ids of a prompt. The beginning-of-text token is there exactly once if the model wants it."""
        ids = [i for s in segments for i in self._ids(s)]
        bos = c.llama_vocab_bos(self._vocab)
        if c.llama_vocab_get_add_bos(self._vocab) and ids[:1] != [bos]:
            ids.insert(0, bos)
        return ids

    def _ids(self, segment: Segment) -> Sequence[int]:
        data = segment.text.encode("utf-8", "replace")
        room = len(data) + 16
        buffer = (c.llama_token * room)()
        count = c.llama_tokenize(self._vocab, data, len(data), buffer, room, False, segment.control)
        if count < 0:  # never seen, as no token is shorter than a byte; the API allows it
            raise EngineError(f"a stretch of {len(data):,} bytes cannot be tokenized")
        return buffer[:count]  # type: ignore[no-any-return]

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for a control token."""
        while True:
            room = len(self._piece)
            count = c.llama_token_to_piece(self._vocab, token, self._piece, room, 0, False)
            if count >= 0:
                return ctypes.string_at(self._piece, count)
            self._piece = ctypes.create_string_buffer(-count)

    def begin(self, question: Question) -> Generation:
        """Take a question. Raises EngineError when its prompt does not fit or its constraint cannot be followed."""
        ids = self.tokenize(question.segments)
        if not ids:
            raise EngineError("the prompt is empty: this model gets no token at all")
        if len(ids) >= self.context:
            raise EngineError(
                f"the prompt has {len(ids):,} tokens and leaves no room to answer in a context of {self.context:,}",
                hint="Shorten it, or raise `context` in models.yaml",
            )
        grammar = self.grammar(question.constraint) if question.constraint else None
        return Generation(self, question, ids, grammar)

    def grammar(self, constraint: Constraint) -> Grammar:
        """Follow a new answer along a constraint. Raises EngineError."""
        if self._grammars is None:
            from promptlab.engine.grammar import Grammars  # here because most workers never need it

            tokens = range(self._n_vocab)
            ends = [t for t in tokens if self.ends(t)]
            self._grammars = Grammars([self.piece(t) for t in tokens], ends, self._cut)
        return self._grammars.begin(constraint)

    def _cut(self, text: str) -> list[int]:
        return list(self._ids(Segment(text, control=False)))

    def forget(self) -> None:
        """Empty the cache."""
        c.llama_memory_clear(self._memory, False)

    def decode(self, ids: Sequence[int], position: int, *, logits: bool = True) -> None:
        """Compute tokens at `position` and on; `logits` asks for those after the last. Raises EngineError."""
        batch = self._batch
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i] = token
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = logits and i == len(ids) - 1
        code = c.llama_decode(self._context, batch)
        if code:
            raise EngineError(f"llama_decode failed with code {code} at position {position}: {self._reason()}")

    def _logits(self) -> npt.NDArray[np.float32]:
        """llama.cpp's own memory, until the next call of `decode`."""
        pointer = c.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, shape=(self._n_vocab,))

    def allow(self, allowed: bytes) -> None:
        """Make all tokens impossible whose bit is not set: the sampler draws from what is left."""
        bits = np.unpackbits(np.frombuffer(allowed, np.uint8), count=self._n_vocab, bitorder="little")
        self._logits()[bits == 0] = -np.inf

    def logprobs(self) -> npt.NDArray[np.float32]:
        """Log-probabilities of the next token, of length n_vocab, under the model itself: log-softmax of the logits."""
        logits = self._logits()
        highest = logits.max()
        if not np.isfinite(highest):
            raise EngineError("the model computes no probabilities: its logits are not finite numbers")
        shifted = logits - highest
        total = np.log(np.exp(shifted).sum(dtype=np.float64))
        result: npt.NDArray[np.float32] = shifted - np.float32(total)
        return result

    def ends(self, token: int) -> bool:
        """Whether a token ends the answer."""
        return bool(c.llama_vocab_is_eog(self._vocab, token))

    def sampler(self, options: Options, seed: int, ids: Sequence[int]) -> Sampler:
        """A sampler that has seen the end of the prompt."""
        return Sampler(self._context, self._n_vocab, options, seed, ids[-PENALTY_WINDOW:])


class Sampler:
    """llama.cpp's own samplers in llama.cpp's own order: penalties, top-k, top-p, min-p, temperature, draw."""

    def __init__(self, context: Any, n_vocab: int, options: Options, seed: int, recent: Sequence[int]) -> None:
        self._context = context
        self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if options.repeat_penalty != 1.0:
            self._add(c.llama_sampler_init_penalties(n_vocab, PENALTY_WINDOW, options.repeat_penalty, 0.0, 0.0))
        if options.temperature == 0:
            self._add(c.llama_sampler_init_greedy())
        else:
            if options.top_k > 0:
                self._add(c.llama_sampler_init_top_k(options.top_k))
            self._add(c.llama_sampler_init_top_p(options.top_p, 1))
            self._add(c.llama_sampler_init_min_p(options.min_p, 1))
            self._add(c.llama_sampler_init_temp(options.temperature))
            self._add(c.llama_sampler_init_dist(seed))
        for token in recent:
            c.llama_sampler_accept(self._chain, token)

    def _add(self, sampler: Any) -> None:
        c.llama_sampler_chain_add(self._chain, sampler)

    def draw(self) -> int:
        """Draw the next token."""
        return int(c.llama_sampler_sample(self._chain, self._context, -1))

    def close(self) -> None:
        """Free it."""
        c.llama_sampler_free(self._chain)


class Generation:
    """The work on one sequence: first its prompt, a chunk at a time, then its answer, a token at a time."""

    def __init__(self, llama: Llama, question: Question, ids: list[int], grammar: Grammar | None) -> None:
        self.question = question
        self.done = False
        self._grammar = grammar
        self._llama = llama
        self._ids = ids
        self._chunks = list(chunks(len(ids), CHUNK))
        self._sampler = llama.sampler(question.options, question.seed, ids)
        self._stream = TextStream(question.options.stop)
        self._text: list[str] = []
        self._tokens: list[int] = []
        self._began = time.perf_counter()
        self._ttft = self._prefill_s = self._decode_s = 0.0
        llama.forget()

    def started(self) -> Started:
        """The event that comes first."""
        return Started(self.question.seq, tuple(self._ids))

    def advance(self) -> list[EngineEvent]:
        """Do the next piece of work, and say what came of it. Raises EngineError."""
        begun = time.perf_counter()
        if self._complete():
            return [self.end("stop")]  # from the start: only the empty text fits
        if self._chunks:
            start, end = self._chunks.pop(0)
            self._llama.decode(self._ids[start:end], start, logits=not self._chunks)
            self._prefill_s += time.perf_counter() - begun
            return []
        if self._tokens:
            self._llama.decode(self._tokens[-1:], len(self._ids) + len(self._tokens) - 1)
        event = self._draw()
        now = time.perf_counter()
        if len(self._tokens) == 1:
            self._ttft = now - self._began
        else:
            self._decode_s += now - begun
        reason = self._ended(event.id)
        return [event, self.end(reason)] if reason else [event]

    def _draw(self) -> Token:
        if self._grammar is None:
            token = self._sampler.draw()
            return self._token(token, self._llama.logprobs())
        logprobs = self._llama.logprobs()  # before the mask: they are the model's own
        self._llama.allow(self._grammar.allowed)
        token = self._sampler.draw()
        if not self._llama.ends(token):
            self._grammar.take(token)
        return self._token(token, logprobs)

    def _complete(self) -> bool:
        return self._grammar is not None and self._grammar.complete

    def _token(self, token: int, logprobs: npt.NDArray[np.float32]) -> Token:
        self._tokens.append(token)
        top = tuple(Alternative(i, exact(logprobs[i])) for i in most_likely(logprobs, self.question.top))
        text = "" if self._llama.ends(token) else self._stream.feed(self._llama.piece(token))
        self._text.append(text)
        return Token(self.question.seq, token, text, exact(logprobs[token]), top)

    def _ended(self, token: int) -> FinishReason | None:
        if self._llama.ends(token) or self._stream.stopped or self._complete():
            return "stop"
        full = len(self._ids) + len(self._tokens) >= self._llama.context
        return "length" if full or len(self._tokens) >= self.question.options.max_tokens else None

    def end(self, reason: FinishReason) -> Answered:
        """End the sequence, now or early."""
        self.close()
        self._text.append(self._stream.close())
        after_first = max(len(self._tokens) - 1, 0)
        rate = after_first / self._decode_s if after_first else 0.0
        times = (round(t, 6) for t in (0.0, self._ttft, self._prefill_s, self._decode_s, rate))
        usage = Usage(len(self._ids), 0, len(self._tokens))
        return Answered(self.question.seq, "".join(self._text), reason, usage, Timings(*times))

    def close(self) -> None:
        """Free what it holds."""
        if not self.done:
            self.done = True
            self._sampler.close()


def chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut `count` tokens into ranges of at most `size`; no range is a single token unless there is only one.

    A single token takes another path through the kernels than several, so a lone last one would change the answer.
    """
    start = 0
    while start < count:
        end = min(start + size, count)
        if count - end == 1:
            end -= 1
        yield start, end
        start = end


def most_likely(logprobs: npt.NDArray[np.float32], count: int) -> list[int]:
    """The `count` most likely tokens, the first one first."""
    if count <= 0:
        return []
    if count == 1:
        return [int(logprobs.argmax())]
    few = np.argpartition(logprobs, -count)[-count:]
    return [int(i) for i in few[np.argsort(-logprobs[few], kind="stable")]]


def exact(value: np.float32) -> float:
    """A float whose text is the shortest that is still this float32."""
    return float(str(max(value, LOWEST)))  # of a token that is impossible it is minus infinity, which JSON cannot say


def _cpu() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def features() -> dict[str, str]:
    """Which build of llama.cpp this is: the package's version, and what it was compiled with and found."""
    return {"version": c.__version__, "features": " ".join(c.llama_print_system_info().decode().split())}


if __name__ == "__main__":  # asked by engine/probe.py, in a process of its own
    print(json.dumps(features()))
