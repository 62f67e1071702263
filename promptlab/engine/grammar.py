"""Which tokens may come next in an answer that must keep to a constraint: the only file that imports llguidance.

Only a worker imports it, when the first constrained question comes. A stranger's pattern or schema may be a bomb, and
not all of llguidance's work is within its limits (measured: 60 patterns under `allOf` take more than a minute; a chain
of 3,000 references overflows the stack and kills the process). So each is first tried in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import llguidance

from promptlab.core import pattern
from promptlab.core.constraint import Constraint
from promptlab.core.gbnf.lark import translate
from promptlab.core.schema import shorten
from promptlab.errors import EngineError

TRIAL_CPU_S = 5
TRIAL_S = 30.0
"""On a busy machine five seconds of work take longer."""
TRIAL_MEMORY = 2 << 30
MAX_SCHEMA = 200_000
"""Characters of a schema, as JSON."""
KEPT = 16
"""Grammars kept, each of up to a few MB. Trying one anew costs 0.2 s, compiling it a few milliseconds."""
MAX_ITEMS = 1_000_000
"""Steps of a GBNF grammar for one token: 20 times the usual, for those of short parts. Reached, they take 0.2 s."""
MAX_OPEN = 20_000
"""Its rules that are open at once, 10 times the usual: for long recursion."""
DRAFT = "https://json-schema.org/draft/2020-12/schema"
JSON_STYLE: llguidance._lib.JsonCompileOptions = {  # as json.dumps writes; small models loop on free white space
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
    "coerce_one_of": False,
}


class Words:
    """A model's vocabulary, in the shape that llguidance reads."""

    is_tokenizer_wrapper = True

    def __init__(self, pieces: Sequence[bytes], ends: Sequence[int], tokenize: Callable[[str], list[int]]) -> None:
        """`pieces` are the bytes that each token adds to an answer, none for control tokens; `ends` end an answer."""
        self.tokens = [piece or b"<%d>" % token for token, piece in enumerate(pieces)]
        # What adds no bytes must never count as text: a grammar sees these as no text at all.
        self.special_token_ids = sorted({*ends, *(token for token, piece in enumerate(pieces) if not piece)})
        self.eos_token_id = ends[0]
        self.bos_token_id = None
        self._pieces = pieces
        self._tokenize = tokenize
        self._greedy: Callable[[str], list[int]] | None = None

    def tokenizer(self, ends: Sequence[int]) -> llguidance.LLTokenizer:
        """Build the tree of all tokens: 0.2 s for 49,000 of them, 2 s for 262,000."""
        made = llguidance.LLTokenizer(self, eos_token=list(ends))  # type: ignore[arg-type]
        self._greedy = made.greedy_tokenize
        return made

    def __call__(self, text: str) -> list[int]:
        """How the model itself would cut a text that the constraint leaves no choice about."""
        ids = self._tokenize(text)
        if b"".join(self._pieces[i] for i in ids) == text.encode() or self._greedy is None:
            return ids
        return self._greedy(text)  # some vocabularies put a blank before every text


class Grammars:
    """The constraints of one model's answers."""

    def __init__(self, pieces: Sequence[bytes], ends: Sequence[int], tokenize: Callable[[str], list[int]]) -> None:
        if not ends:
            raise EngineError("this model has no token that ends an answer, so its answers cannot be constrained")
        self._tokenizer = Words(pieces, ends, tokenize).tokenizer(ends)
        self._ends = _bits(ends, len(pieces))
        self._kept: OrderedDict[str, llguidance.LLMatcher] = OrderedDict()

    def begin(self, constraint: Constraint) -> Grammar:
        """Follow a new answer. Raises EngineError when the constraint cannot be followed."""
        try:
            key = json.dumps([constraint.kind, constraint.value])
        except (RecursionError, TypeError, ValueError):
            raise EngineError("this constraint cannot be written as JSON") from None
        matcher = self._kept.get(key)
        if matcher is None:
            if constraint.kind != "choices":  # plain texts, limited by core: nothing in them can be a bomb
                _try(key)
            matcher = compiled(self._tokenizer, constraint)
            self._kept[key] = matcher
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return Grammar(matcher.deep_copy(), self._ends)


class Grammar:
    """How far one answer has come along its constraint."""

    def __init__(self, matcher: llguidance.LLMatcher, ends: bytes) -> None:
        self.allowed = b""
        """A bit for each token, the lowest first: which may come next."""
        self.complete = False
        """Nothing may come next but the end."""
        self._matcher = matcher
        self._ends = ends
        self._look()

    def take(self, token: int) -> None:
        """Go on by a token that was drawn, and is not an end. Raises EngineError when it was not allowed."""
        self._matcher.consume_token(token)
        self._look()

    def _look(self) -> None:
        if self._matcher.is_stopped() and not self._matcher.is_error():
            self.complete = True
            return
        # The mask may have a word more than there are tokens.
        self.allowed = self._matcher.compute_bitmask()[: len(self._ends)]
        check(self._matcher)  # after an error the mask looks as if the answer could end
        self.complete = self.allowed == self._ends


def compiled(tokenizer: llguidance.LLTokenizer, constraint: Constraint) -> llguidance.LLMatcher:
    """Compile a constraint. Raises EngineError."""
    wide = constraint.kind == "grammar"
    limits = llguidance.LLParserLimits(
        verbose_errors=False,
        step_max_items=MAX_ITEMS if wide else None,
        max_items_in_row=MAX_OPEN if wide else None,
    )
    try:
        matcher = llguidance.LLMatcher(tokenizer, source(constraint), log_level=0, limits=limits)
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(_cannot(str(error))) from None
    except BaseException as error:  # a panic of its Rust code is one, and no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise EngineError(_cannot(str(error))) from None
    check(matcher)
    if warnings := matcher.get_grammar_warnings():  # every one of them means: looser than was asked
        raise EngineError(_cannot(warnings[0]))
    return matcher


def source(constraint: Constraint) -> str:
    """A constraint in llguidance's own notation. Raises EngineError."""
    if constraint.kind == "schema":
        return _json(constraint.value)
    try:
        if constraint.kind == "choices":
            return _regex("|".join(pattern.literal(text) for text in constraint.value))
        if constraint.kind == "grammar":
            return translate(constraint.value)
        return _regex(pattern.translate(constraint.value))
    except ValueError as error:
        raise EngineError(str(error)) from None


def _regex(text: str) -> str:
    return llguidance.LLMatcher.grammar_from_regex(f"(?:{text})")


def _json(schema: Mapping[str, Any]) -> str:
    # Core checks answers as draft 2020-12 whatever a schema says of itself. In older drafts, keywords that came later
    # would be ignored without a word; and `x-guidance` would be taken as orders.
    plain = {k: v for k, v in schema.items() if k not in ("$schema", "x-guidance")}
    text = json.dumps({"$schema": DRAFT, **plain})
    if len(text) > MAX_SCHEMA:
        raise EngineError(f"the schema is too large: {len(text):,} characters of JSON; {MAX_SCHEMA:,} are possible")
    if '"$schema": "' in json.dumps(plain):
        raise EngineError("a schema can have $schema only at its top")
    try:
        return llguidance.LLMatcher.grammar_from_json_schema(text, overrides=JSON_STYLE)
    except ValueError as error:
        raise EngineError(_cannot(str(error))) from None


def check(matcher: llguidance.LLMatcher) -> None:
    """Raise EngineError if the matcher has failed, now or before."""
    if matcher.is_error():
        raise EngineError(_cannot(matcher.get_error()))


def _cannot(error: str) -> str:
    lines = [line.strip() for line in error.split("<state>")[0].splitlines() if line.strip()] or ["no reason is given"]
    reason = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])
    reason = reason.partition(". Enable ")[0]  # what follows is advice to programmers
    if "NoExtension" in reason:
        return "the answer cannot be held to this constraint: nothing fits it from here on"
    return f"the answer cannot be held to this constraint: {shorten(reason, 200)}"


def _bits(tokens: Sequence[int], count: int) -> bytes:
    bits = bytearray((count + 31) // 32 * 4)
    for token in tokens:
        bits[token // 8] |= 1 << token % 8
    return bytes(bits)


def _try(request: str) -> None:
    """Compile a constraint where it can do no harm. Raises EngineError with what it says, or how it dies."""
    command = [sys.executable, "-P", "-m", "promptlab.engine.grammar"]
    try:
        done = subprocess.run(
            command, input=request, capture_output=True, encoding="utf-8", timeout=TRIAL_S, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired:
        raise EngineError(_cannot("it takes too long to compile")) from None
    except OSError as error:
        raise EngineError(f"the process that tries a constraint cannot be started: {error}") from None
    if done.returncode == 0 and done.stdout:
        raise EngineError(done.stdout)
    if done.returncode:
        raise EngineError(_cannot("it is too complex or too deeply nested: it takes too much time or memory"))


def main() -> None:
    """Compile the constraint on standard input, within limits, and write what is wrong with it."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (TRIAL_CPU_S, TRIAL_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (TRIAL_MEMORY, TRIAL_MEMORY))
    kind, value = json.load(sys.stdin)
    tokenizer = llguidance.LLTokenizer("byte")
    try:
        Grammar(compiled(tokenizer, Constraint(kind, value)), b"")
    except EngineError as error:
        sys.stdout.write(str(error))


if __name__ == "__main__":
    main()
