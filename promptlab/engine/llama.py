"""llama.cpp through its low-level API: the only file that imports llama_cpp, and only a worker imports it.

The high-level `Llama` class is not used: it holds one sequence, detokenizes the whole answer for every token, and
allocates all logits to report one. Names without comment are llama.cpp's own (`llama.h`).

What is to be computed when, and what is reused, is decided in `engine/batch.py`; here it is done. Each slot is a stream
of its own in the KV cache, so attention never looks over the tokens of others; unless the cache is unified, in the mode
`fast`: then slots share the cells of what they have in common.

An answer with a constraint is drawn as any other, but of the tokens that `engine/grammar.py` allows; of some choices,
each is read, and one is drawn by its probability.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llama_cpp as c
import numpy as np
import numpy.typing as npt

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import Engine, Vocabulary
from promptlab.core.kv import BLOCK_BYTES, USUAL, KvTypes, kv_types
from promptlab.core.options import Options
from promptlab.core.plan import KV_BUDGET
from promptlab.core.schema import shorten
from promptlab.engine.answer import Answer
from promptlab.engine.backend import Measurement, Question
from promptlab.engine.batch import MIN_LENGTH, MIN_SLOTS
from promptlab.engine.machine import REVISION, cpu_name, default_threads
from promptlab.engine.reading import OUTPUTS, Reading
from promptlab.engine.rules import FREE, LENGTH, SLOTS, Found, Rules, find
from promptlab.engine.sampling import Peaks, Row
from promptlab.engine.state import with_streams
from promptlab.engine.tuning import CHUNKS, Tuning
from promptlab.engine.work import Choosing, Drawing, Job, Scoring
from promptlab.errors import EngineError

if TYPE_CHECKING:
    from promptlab.engine.grammar import Grammar, Grammars

LEAST_CALL = 192
"""Tokens that a call can have in any case: a piece of a text, and what the rules add to it."""
MAX_READ = 4096
"""Tokens of all choices together that are read for an answer. Of more, one is drawn token by token instead."""

QUANTIZE_BUFFER = 256 << 20
"""Bytes of rows that are in memory at once while a file is quantised."""
_BF16 = 30  # the bindings do not name it
_KV_TYPES = {name: int(getattr(c, f"GGML_TYPE_{name.upper()}", _BF16)) for name in BLOCK_BYTES}
_WARNING, _ERROR, _CONTINUED = 3, 4, 5


class Log:
    """What llama.cpp prints: warnings and errors go to stderr, the errors are remembered."""

    def __init__(self, heard: Callable[[str], object] = len) -> None:
        """`heard` is told what else it prints."""
        self.errors: list[str] = []
        self._heard = heard
        self._level = 0
        # The callback must outlive every call into the library.
        self._callback = c.llama_log_callback(self._take)
        c.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _: Any) -> None:
        self._level = self._level if level == _CONTINUED else level
        line = text.decode("utf-8", "replace")
        if self._level < _WARNING:
            self._heard(line)
            return
        sys.stderr.write(line)
        sys.stderr.flush()
        if self._level >= _ERROR and line.strip():
            self.errors.append(line.strip())


class Weights:
    """A model's file, loaded, and its vocabulary."""

    def __init__(
        self, path: Path, *, safe_mode: bool, gpu_layers: int, log: Log, progress: Callable[[float], None]
    ) -> None:
        """Load the file; `progress` hears fractions. Raises EngineError when it cannot be loaded."""
        self.safe_mode = safe_mode
        self.gpu_layers = gpu_layers
        self._log = log
        self._model = self._load(path, progress)
        self._vocab = c.llama_model_get_vocab(self._model)
        self.n_vocab = c.llama_vocab_n_tokens(self._vocab)
        self._piece = ctypes.create_string_buffer(64)

    def _load(self, path: Path, progress: Callable[[float], None]) -> Any:
        def heard(fraction: float, _: Any) -> bool:
            progress(fraction)
            return True

        parameters = c.llama_model_default_params()
        parameters.n_gpu_layers = self.gpu_layers
        # The extra buffers bring the fastest kernels. Built by GCC 12 without care, those for AMX crash: safe mode.
        parameters.use_extra_bufts = not self.safe_mode
        callback = c.llama_progress_callback(heard)
        parameters.progress_callback = callback
        model = c.llama_model_load_from_file(str(path).encode(), parameters)
        if not model:
            hint = "`promptlab models verify` compares it with its hash"
            raise EngineError(f"{path.name}: llama.cpp cannot load it: {self._reason()}", hint=hint)
        return model

    def _meta(self, key: str) -> str:
        value = ctypes.create_string_buffer(256)
        length = c.llama_model_meta_val_str(self._model, key.encode(), value, len(value))
        return value.value.decode("utf-8", "replace") if length >= 0 else ""

    def _reason(self) -> str:
        return "; ".join(self._log.errors[:2]) or "it gives no reason"

    def _by_hand(self) -> dict[str, int | str]:
        """What of its layout was set by hand, and is not the usual."""
        return {"gpu_layers": self.gpu_layers} if self.gpu_layers else {}

    def vocabulary(self) -> Vocabulary:
        """What must be known to write prompts for it."""
        template = c.llama_model_chat_template(self._model, None)
        description = ctypes.create_string_buffer(256)
        c.llama_model_desc(self._model, description, 256)
        special = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_UNKNOWN
        controls = [t for t in range(self.n_vocab) if c.llama_vocab_get_attr(self._vocab, t) & special]
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
        return self._spell(token, control=False)

    def spelling(self, token: int) -> bytes | None:
        """The bytes that a token is written as in a prompt, a control token too; None for what is no token."""
        return self._spell(token, control=True) if 0 <= token < self.n_vocab else None

    def _spell(self, token: int, *, control: bool) -> bytes:
        while True:
            room = len(self._piece)
            count = c.llama_token_to_piece(self._vocab, token, self._piece, room, 0, control)
            if count >= 0:
                return ctypes.string_at(self._piece, count)
            self._piece = ctypes.create_string_buffer(-count)


class Llama(Weights):
    """One model, loaded, with a context of slots (`engine.batch.Device`)."""

    def __init__(
        self,
        path: Path,
        *,
        context: int,
        tuning: Tuning,
        safe_mode: bool,
        log: Log,
        progress: Callable[[float], None],
        mode: str = "exact",
        gpu_layers: int = 0,
        kv_type: str | None = None,
        kv_bytes: int | None = None,
    ) -> None:
        """Load the file. `context` is in tokens of one conversation; `progress` hears fractions.

        Raises EngineError when the file cannot be loaded.
        """
        super().__init__(path, safe_mode=safe_mode, gpu_layers=gpu_layers, log=log, progress=progress)
        self.tuning = tuning
        self.mode = mode
        self._kv_type = kv_type or USUAL
        self._kv_bytes = KV_BUDGET if kv_bytes is None else kv_bytes
        self._row_type = ctypes.c_float * self.n_vocab
        trained = c.llama_model_n_ctx_train(self._model)
        self.context = min(context, trained) if trained > 0 else context
        self._fixed = self._length_matters()
        self._context: Any = None
        self._grammars: Grammars | None = None
        self._batch = c.llama_batch_init(max(*CHUNKS, LEAST_CALL), 0, 1)
        self.rules = Rules() if mode == "exact" else FREE
        self.slots = self.length = 0
        self.movable = True
        window = int(c.llama_model_n_swa(self._model))
        # Of layers with a sliding window, a state lacks what is behind it, and the rest stands in other cells then. The
        # sums over them are rounded otherwise.
        self.longest_kept = window if window > 0 and mode == "exact" else self.context
        self.resize(self._fewest(MIN_SLOTS), min(MIN_LENGTH, self.context))

    def _length_matters(self) -> bool:
        """Whether what is computed depends on the length of a slot: some models scale positions by it (longrope)."""
        arch = self._meta("general.architecture")
        return bool(self._meta(f"{arch}.rope.scaling.original_context_length"))

    def resize(self, slots: int, length: int) -> None:
        """Make a context of so many slots of so many tokens; what was in the one before is lost. Raises EngineError."""
        if self._context:
            c.llama_free(self._context)
            self._context = None
        self.slots, self.length = self._fewest(slots), self.context if self._fixed else length
        self._context = self._open()
        self._memory = c.llama_get_memory(self._context)

    @property
    def kv_unified(self) -> bool:
        """Whether sequences share the cells of what they have in common."""
        return self.tuning.kv_unified and not self._recurrent

    @property
    def _recurrent(self) -> bool:
        """Whether it knows only where it is, and cannot go back."""
        return bool(c.llama_model_is_recurrent(self._model) or c.llama_model_is_hybrid(self._model))

    def arrange(self, tuning: Tuning) -> None:
        """Compute like this from the next `resize` on."""
        self.tuning = tuning

    @property
    def _streams(self) -> int:
        return 1 if self.kv_unified else self.slots

    def _fewest(self, slots: int) -> int:
        """So many slots, and those that the rules want besides."""
        return -(-slots // self.rules.multiple) * self.rules.multiple

    def try_rules(self) -> Found:
        """Find out what an answer depends on, by computing the same in different ways. Raises EngineError."""
        slots, length = self.slots, self.length
        self.resize(SLOTS, min(LENGTH, self.context))
        found = find(self)
        self.resize(slots, length)
        return found

    def keep_to(self, rules: Rules) -> None:
        """Go by what was found out."""
        self.rules = rules
        self.resize(self.slots, self.length)

    def _open(self) -> Any:
        parameters = c.llama_context_default_params()
        parameters.n_ctx = self.slots * self.length
        parameters.n_batch = parameters.n_ubatch = max(self.tuning.chunk, LEAST_CALL, self.slots)
        parameters.n_seq_max = self.slots
        parameters.n_outputs_max = max(OUTPUTS, self.slots)
        parameters.n_threads = parameters.n_threads_batch = self.tuning.threads
        parameters.kv_unified = self.kv_unified
        parameters.swa_full = True  # a prompt can be gone on from anywhere, not only from its end
        flash = self.tuning.flash_attention
        kind = c.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.flash_attn_type = kind
        types = self._kv_types
        parameters.type_k, parameters.type_v = _KV_TYPES[types.keys], _KV_TYPES[types.values]
        parameters.no_perf = True
        context = c.llama_init_from_model(self._model, parameters)
        if not context:
            raise EngineError(
                f"llama.cpp cannot make a context of {self.slots} × {self.length:,} tokens: {self._reason()}"
            )
        return context

    def most_slots(self, length: int) -> int:
        """How many slots of a length fit into the memory that the cache may take, but one at least."""
        return max(self._kv_bytes // (self.token_bytes() * (self.context if self._fixed else length)), 1)

    def token_bytes(self) -> int:
        """Bytes of the cache for one token: keys and values as large as the embedding's part for a head.

        A few models have larger heads than that; they say so.
        """
        arch = self._meta("general.architecture")
        heads, kv_heads = c.llama_model_n_head(self._model), c.llama_model_n_head_kv(self._model)
        usual = c.llama_model_n_embd(self._model) // max(heads, 1)
        key, value = (int(self._meta(f"{arch}.attention.{each}_length") or usual) for each in ("key", "value"))
        rows = int(c.llama_model_n_layer(self._model)) * max(int(kv_heads), 1)
        return max(self._kv_types.bytes(rows * key, rows * value), 1)

    @property
    def _kv_types(self) -> KvTypes:
        return kv_types(self._kv_type, flash_attention=self.tuning.flash_attention)

    def warm_up(self) -> None:
        """Compute a few tokens of prompt and one of answer: what crashes at all crashes here."""
        token = max(c.llama_vocab_bos(self._vocab), 0)
        self.prefill(0, [token] * 8, 0, 1)
        self.step([token], [8], 0)
        self.movable = with_streams(self.save(0), self._streams) is not None
        self.cut(0, 0)

    def engine(self) -> Engine:
        """What computes: everything about it that an answer can depend on."""
        build = features()
        return Engine(
            mode=self.mode,
            llama_cpp=build["version"],
            build=build["features"],
            cpu=cpu_name(),
            threads=self.tuning.threads,
            layout={
                "kv_unified": self.kv_unified,
                "flash_attention": self.tuning.flash_attention,
                "extra_buffers": not self.safe_mode,
            }
            | (self.rules.plain() if self.mode == "exact" else {})
            | self._by_hand(),
            safe_mode=self.safe_mode,
            context=self.context,
            llguidance=metadata.version("llguidance"),
            revision=REVISION,
        )

    def _by_hand(self) -> dict[str, int | str]:
        types = self._kv_types
        named = {} if types.keys == USUAL else {"kv_type": types.keys}
        apart = {} if types.values == types.keys else {"kv_values": types.values}
        return {**super()._by_hand(), **named, **apart}

    def begin(self, question: Question) -> Job:
        """Take a question. Raises EngineError when its prompt does not fit or its constraint cannot be followed."""
        ids = self.tokenize(question.segments)
        if not ids:
            raise EngineError("the prompt is empty: this model gets no token at all")
        if len(ids) >= self.context:
            raise EngineError(
                f"the prompt has {len(ids):,} tokens and leaves no room to answer in a context of {self.context:,}",
                hint="Shorten it, or raise `context` in models.yaml",
            )
        constraint = question.constraint
        if constraint is not None and constraint.kind == "choices":
            texts = [self._words_of(text) for text in constraint.value]
            if sum(map(len, texts)) <= MAX_READ:
                return Choosing(question, self._reading(ids, texts, question.top), constraint.value, self.piece)
        grammar = self.grammar(constraint) if constraint else None
        sampler = Sampler(question.options, question.seed)
        return Drawing(Answer(question, ids, self, sampler, grammar))

    def measure(self, asked: Measurement) -> Job:
        """Take a measurement. Raises EngineError when a text does not fit, or is empty."""
        ids = self.tokenize(asked.segments)
        texts = [self._words_of(text) for text in asked.texts]
        if not texts or not all(texts):
            raise EngineError("there is a text without any token to score")
        if not ids:
            raise EngineError("there is nothing before the text: this model needs a prompt to begin from")
        reading = self._reading(ids, texts, 0)
        return Scoring(
            asked.model, asked.seq, reading, self.piece, interactive=asked.interactive, prompt_tokens=len(ids)
        )

    def _reading(self, ids: Sequence[int], texts: Sequence[Sequence[int]], top: int) -> Reading:
        reading = Reading(ids, texts, top)
        if reading.longest > self.context:
            raise EngineError(
                f"prompt and text have {reading.longest:,} tokens, more than the context of {self.context:,}",
                hint="Shorten them, or raise `context` in models.yaml",
            )
        return reading

    def _words_of(self, text: str) -> list[int]:
        """The tokens of a text within an answer, without the blank that some vocabularies put before every text."""
        try:
            wanted = text.encode()
        except UnicodeEncodeError:
            raise EngineError(f"a text holds half a character: {shorten(repr(text))}") from None
        # In the second try, it is cut behind something that stays a token of its own.
        for before in ("", "\n"):
            ids, start = self._cut(before + text), len(self._cut(before))
            if b"".join(map(self.piece, ids[start:])) == wanted:
                return ids[start:]
        raise EngineError("this model's tokens cannot spell one of the texts exactly")

    def grammar(self, constraint: Constraint) -> Grammar:
        """Follow a new answer along a constraint. Raises EngineError."""
        if self._grammars is None:
            from promptlab.engine.grammar import Grammars  # here because most workers never need it

            tokens = range(self.n_vocab)
            ends = [t for t in tokens if self.ends(t)]
            self._grammars = Grammars([self.piece(t) for t in tokens], ends, self._cut)
        return self._grammars.begin(constraint)

    def _cut(self, text: str) -> list[int]:
        return list(self._ids(Segment(text, control=False)))

    def ends(self, token: int) -> bool:
        """Whether a token ends the answer."""
        return bool(c.llama_vocab_is_eog(self._vocab, token))

    # --- the device ---------------------------------------------------------------------------------------------------

    def prefill(self, slot: int, tokens: Sequence[int], start: int, outputs: int) -> None:
        """Compute tokens of one sequence from a position on; logits for the last `outputs` of them."""
        first = len(tokens) - outputs
        self._decode([(token, start + i, slot, i >= first) for i, token in enumerate(tokens)])

    def step(self, tokens: Sequence[int], positions: Sequence[int], first: int) -> None:
        """Compute one token of each of the sequences in the slots from `first` on, with logits."""
        if self.rules.multiple > 1:
            self._step_filled(tokens, positions)
        else:
            self.decode(tokens, positions, first)

    def _step_filled(self, tokens: Sequence[int], positions: Sequence[int]) -> None:
        """Compute a token for sequences that nobody asked for too, up to the number that a call must have."""
        count = len(tokens)
        spare = range(count, -(-count // self.rules.multiple) * self.rules.multiple)
        # They are empty, or hold part of a prompt, which is longer than that when it is whole.
        lengths = [c.llama_memory_seq_pos_max(self._memory, slot) + 1 for slot in spare]
        self.decode([*tokens, *[0] * len(spare)], [*positions, *lengths])
        for slot, length in zip(spare, lengths, strict=True):
            if not self.cut(slot, length) and length:
                raise EngineError("this model cannot forget a single token")

    def decode(self, tokens: Sequence[int], positions: Sequence[int], first: int = 0) -> None:
        """Compute one token of each of some neighbouring sequences in one call, with logits."""
        rows = enumerate(zip(tokens, positions, strict=True), first)
        self._decode([(token, at, slot, True) for slot, (token, at) in rows])

    def _decode(self, rows: Sequence[tuple[int, int, int, bool]]) -> None:
        batch = self._batch
        batch.n_tokens = len(rows)
        token, pos, n_seq_id, seq_id, logits = batch.token, batch.pos, batch.n_seq_id, batch.seq_id, batch.logits
        for i, row in enumerate(rows):
            token[i], pos[i], n_seq_id[i] = row[0], row[1], 1
            seq_id[i][0] = row[2]
            logits[i] = row[3]
        code = c.llama_decode(self._context, batch)
        if code:
            raise EngineError(f"llama_decode failed with code {code} at position {rows[0][1]}: {self._reason()}")

    def row(self, index: int) -> Row:
        """Logits by the token's place in the last step or part of a prompt, until the next one."""
        pointer = c.llama_get_logits_ith(self._context, index)
        # Not by np.ctypeslib.as_array, which makes two types each time: that takes as long as to find the highest.
        return np.frombuffer(self._row_type.from_address(ctypes.addressof(pointer.contents)), np.float32)

    def cut(self, slot: int, length: int) -> bool:
        """Forget all of a sequence from a position on; False when the model cannot, and all is forgotten."""
        if c.llama_memory_seq_rm(self._memory, slot, length, -1):
            return True
        c.llama_memory_seq_rm(self._memory, slot, -1, -1)
        return False

    def move(self, source: int, target: int) -> None:
        """Bring a sequence to another place; what it leaves is empty."""
        if not self.kv_unified and c.llama_memory_seq_pos_max(self._memory, source) < self.longest_kept:
            self.restore(target, self.save(source))
            self.cut(source, 0)
            return
        self.copy(source, target)
        self.cut(source, 0)

    def copy(self, source: int, target: int) -> None:
        """Have a sequence in another place too, as if it had been computed there."""
        length = c.llama_memory_seq_pos_max(self._memory, source) + 1
        c.llama_memory_seq_rm(self._memory, target, -1, -1)
        c.llama_memory_seq_cp(self._memory, source, target, -1, -1)
        if self.kv_unified:
            return
        # Between streams it has only been noted what to copy: that is done at the next decode, so there is one now.
        self._decode([(0, length, target, True)])
        self.cut(target, length)

    def can_cut(self, length: int, at: int) -> bool:
        """Whether a state of so many tokens can be gone on from after `at` of them.

        Of a layer with a sliding window, a state holds only what the next token will look at; and a recurrent model
        knows only where it is.
        """
        if at == length:
            return True
        if self._recurrent:
            return False
        window = int(c.llama_model_n_swa(self._model))
        return window <= 0 or length <= window

    def save(self, slot: int) -> npt.NDArray[np.uint8]:
        """Write down what was computed of a sequence."""
        data = np.empty(c.llama_state_seq_get_size(self._context, slot), np.uint8)
        written = c.llama_state_seq_get_data(self._context, _bytes(data), len(data), slot)
        if written != len(data):
            raise EngineError(f"llama.cpp cannot write down the state of a sequence: {self._reason()}")
        return data

    def restore(self, slot: int, data: npt.NDArray[np.uint8]) -> None:
        """Put what was written down in a slot. Raises EngineError."""
        c.llama_memory_seq_rm(self._memory, slot, -1, -1)
        here = with_streams(data, self._streams) if self.movable else data
        if here is None or not c.llama_state_seq_set_data(self._context, _bytes(here), len(here), slot):
            raise EngineError(f"llama.cpp cannot go on from a state that it wrote down: {self._reason()}")


class Embedder(Weights):
    """One model, loaded to turn texts into vectors: no cache of prompts, one text in a call."""

    def __init__(
        self,
        path: Path,
        *,
        context: int,
        threads: int,
        safe_mode: bool,
        log: Log,
        progress: Callable[[float], None],
        gpu_layers: int = 0,
    ) -> None:
        """Load the file. `context` is the most tokens that a text may have. Raises EngineError."""
        super().__init__(path, safe_mode=safe_mode, gpu_layers=gpu_layers, log=log, progress=progress)
        trained = c.llama_model_n_ctx_train(self._model)
        self.context = min(context, trained) if trained > 0 else context
        self.threads = threads
        self._context = self._open(c.LLAMA_POOLING_TYPE_UNSPECIFIED)  # what the file says
        if (
            c.llama_pooling_type(self._context) == c.LLAMA_POOLING_TYPE_NONE
        ):  # it says nothing: it was not made for this
            c.llama_free(self._context)
            self._context = self._open(c.LLAMA_POOLING_TYPE_MEAN)
        self.pooling = int(c.llama_pooling_type(self._context))
        if self.pooling == c.LLAMA_POOLING_TYPE_RANK:
            raise EngineError(f"{path.name}: it ranks texts, and has no vectors for them")

    def _open(self, pooling: int) -> Any:
        parameters = c.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = self.context  # attention may look both ways
        parameters.n_seq_max = 1
        parameters.n_threads = parameters.n_threads_batch = self.threads
        parameters.embeddings = True
        parameters.pooling_type = pooling
        parameters.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.no_perf = True
        context = c.llama_init_from_model(self._model, parameters)
        if not context:
            raise EngineError(f"llama.cpp cannot make a context for vectors: {self._reason()}")
        return context

    def engine(self) -> Engine:
        """What computes: everything about it that a vector can depend on."""
        build = features()
        layout: dict[str, bool | int | str] = {
            "embedding": True,
            "pooling": self.pooling,
            "extra_buffers": not self.safe_mode,
        }
        layout |= self._by_hand()
        return Engine(
            mode="exact",
            llama_cpp=build["version"],
            build=build["features"],
            cpu=cpu_name(),
            threads=self.threads,
            layout=layout,
            safe_mode=self.safe_mode,
            context=self.context,
            revision=REVISION,
        )

    def embed(self, text: str) -> tuple[tuple[float, ...], int]:
        """The vector of a text, of length 1, and how many tokens the text has. Raises EngineError."""
        ids = self._whole(text)
        if not 0 < len(ids) <= self.context:
            raise EngineError(f"a text has {len(ids):,} tokens, and {self.context:,} fit", hint="Raise `context`")
        memory = c.llama_get_memory(self._context)
        if memory:
            c.llama_memory_clear(memory, True)
        batch = c.llama_batch_init(len(ids), 0, 1)
        try:
            batch.n_tokens = len(ids)
            for i, token in enumerate(ids):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
                batch.seq_id[i][0] = 0
            code = c.llama_decode(self._context, batch)
        finally:
            c.llama_batch_free(batch)
        found = c.llama_get_embeddings_seq(self._context, 0) if code == 0 else None
        if not found:
            raise EngineError(f"llama.cpp has no vector for a text: {self._reason()}")
        vector = np.array(found[: c.llama_model_n_embd_out(self._model)], np.float64)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0:
            raise EngineError("the model has no vector for a text: it is not finite, or zero")
        return tuple((vector / length).tolist()), len(ids)

    def _whole(self, text: str) -> Sequence[int]:
        """The tokens of a text with those that its model wants at its beginning and end; none of it is control text."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        buffer = (c.llama_token * room)()
        count = c.llama_tokenize(self._vocab, data, len(data), buffer, room, True, False)
        return buffer[: max(count, 0)]  # type: ignore[no-any-return]


def _bytes(data: npt.NDArray[np.uint8]) -> Any:
    return data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data`."""


class Sampler:
    """llama.cpp's own samplers in llama.cpp's own order: top-k, top-p, min-p, temperature, draw.

    They get only the candidates that top-k would leave: what is drawn is the same, and it takes a tenth of the time
    with a large vocabulary. Penalties come before (`engine/sampling.py`).
    """

    def __init__(self, options: Options, seed: int) -> None:
        self._greedy = options.temperature == 0
        self._top_k = options.top_k
        self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if options.top_k > 0:
            self._add(c.llama_sampler_init_top_k(options.top_k))
        self._add(c.llama_sampler_init_top_p(options.top_p, 1))
        self._add(c.llama_sampler_init_min_p(options.min_p, 1))
        self._add(c.llama_sampler_init_temp(options.temperature))
        self._add(c.llama_sampler_init_dist(seed))

    def _add(self, sampler: Any) -> None:
        c.llama_sampler_chain_add(self._chain, sampler)

    def draw(self, peaks: Peaks) -> int:
        """Draw a token."""
        logits = peaks.logits
        if self._greedy:
            return int(peaks.most_likely(1)[0])
        few = peaks.most_likely(self._top_k) if self._top_k > 0 else np.flatnonzero(logits > -np.inf)
        candidates = np.zeros(len(few), _CANDIDATE)
        candidates["id"] = few
        candidates["logit"] = logits[few]
        array = c.llama_token_data_array(
            candidates.ctypes.data_as(ctypes.POINTER(c.llama_token_data)), len(few), -1, self._top_k > 0
        )
        c.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def close(self) -> None:
        """Free it."""
        c.llama_sampler_free(self._chain)


def quantize(source: Path, target: Path, ftype: int, log: Log) -> None:
    """Write a model's file anew with its tensors stored in another way. Raises EngineError."""
    parameters = c.llama_model_quantize_default_params()
    parameters.nthread = default_threads()
    parameters.ftype = ftype
    parameters.allow_requantize = True
    parameters.max_buf_size = QUANTIZE_BUFFER
    if c.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters)):
        raise EngineError("; ".join(log.errors[:2]) or "llama.cpp gives no reason")


def features() -> dict[str, str]:
    """Which build of llama.cpp this is: the package's version, and what it was compiled with and found."""
    return {"version": c.__version__, "features": " ".join(c.llama_print_system_info().decode().split())}


if __name__ == "__main__":  # asked by engine/probe.py, in a process of its own
    print(json.dumps(features()))
