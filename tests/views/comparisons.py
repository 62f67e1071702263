"""Made-up comparisons: like those of real runs, the same each time, without a model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptlab.core.case import Assertion, Case
from promptlab.core.compare import Column, Comparison, Likeness, Result, compare
from promptlab.core.constraint import Constraint
from promptlab.core.events import Alternative, Engine, Failure, FinishReason, Timings, Usage
from promptlab.core.judging import Bias
from promptlab.core.record import Drawn, ModelRef, PromptRef, Record, Step
from promptlab.core.tape import Message
from promptlab.core.verdict import Check, Verdict

ENGINE = Engine("exact", "0.3.36", "AVX2 = 1 | FMA = 1", "Ryzen 7 5800X", 8, {"rows": 3}, context=4096)
MADE_AT = "2026-03-01 12:00 UTC"

FACTS = (
    ("france", "What is the capital of France?", "Paris", "Lyon"),
    ("japan", "What is the capital of Japan?", "Tokyo", "Kyoto"),
    ("pyramids", "In which country are the pyramids of Giza?", "Egypt", "Sudan"),
    ("rome-river", "Which river flows through Rome?", "the Tiber", "the Arno"),
    ("largest-ocean", "What is the largest ocean on Earth?", "the Pacific", "the Atlantic"),
    ("highest-mountain", "What is the highest mountain on Earth?", "Mount Everest", "K2"),
    ("red-planet", "Which planet is called the Red Planet?", "Mars", "Venus"),
    ("moon-landing", "In what year did people first walk on the Moon?", "1969", "1972"),
    ("gold", "What is the chemical symbol for gold?", "Au", "Ag"),
    ("hamlet", "Who wrote Hamlet?", "William Shakespeare", "Christopher Marlowe"),
    ("light-speed", "How fast does light travel, in km/s?", "299,792 km/s", "186,000 km/s"),
    ("smallest-prime", "What is the smallest prime number?", "2", "1"),
)
WAYS = (
    "{}",
    "{}.",
    "It is {}.",
    "The answer is {}.",
    "{}. This is taught in school, and every atlas or encyclopedia has it on one of its first pages.",
    "That would be {}, as far as I know. There are people who say otherwise, but none of them has a good source,\n"
    "and the question has been settled for a long time:\n\n- the answer is {}\n- nothing else is known",
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=x onerror="alert(3)"><svg onload=alert(4)>',
    "<!--<script>",
    "]]>--><![CDATA[",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[31mred\x9b1m",
    "a\u202egnp.exe\u2066 b\u200f",
    "a lone \ud800 surrogate and \udfff",
    "NUL \x00 and \x7f, line\u2028separator\u2029, \ufeffmark",
    "👩‍👩‍👧‍👦 🇨🇭 😀🏽 emoji",
    "Z̸̡̢̛̗̘̙̜̝̞̟̠̀́̂̃̄̅a" + "\u0301\u0323\u20dd" * 200 + " combining",
    "x" * 100_000,
    "word " * 20_000,
    "مرحبا بالعالم, שלום עולם, 你好，世界",
    "javascript:alert(5)",
    "'; alert(6); //\\u003c/script\\u003e",
    "\r\n\t  \r\n",
    "",
)


@dataclass(frozen=True, slots=True)
class Skill:
    """How a column does."""

    right: float
    """How often it is right."""
    chatty: int = 3
    """How many of the `WAYS` it has."""


def fact_cases(count: int) -> tuple[Case, ...]:
    """Questions of fact; more than there are come again, numbered."""
    cases = []
    for i in range(count):
        id, question, answer, _ = FACTS[i % len(FACTS)]
        cases.append(
            Case(
                id if i < len(FACTS) else f"{id}-{i // len(FACTS) + 1}",
                {"question": question},
                (
                    Assertion("icontains", answer.removeprefix("the "), metric="right"),
                    Assertion("max-tokens", 40, weight=0.5, metric="short"),
                ),
                description="" if i % 3 else "A question of fact",
            )
        )
    return tuple(cases)


def record(
    column: Column,
    case: Case,
    sample: int,
    text: str,
    *,
    steps: tuple[Step, ...] | None = None,
    output: Any = None,
    error: Failure | None = None,
    engine: Engine | None = ENGINE,
) -> Record:
    """One execution that said `text`."""
    step = make_step(text, (Message("user", str(case.vars.get("question", "?"))),), seed=1000 * sample + 7)
    return Record(
        1,
        f"01JMADEUP{sample:04}",
        "0" * 64,
        "2026-03-01T11:58:00Z",
        prompt_ref(column.prompt),
        case.id,
        case.vars,
        sample,
        0,
        {"temperature": 0.7, "max_tokens": 64},
        ModelRef(column.model, _hash(column.model), _hash("template")),
        engine,
        (step,) if steps is None else steps,
        None if error else text if output is None else output,
        error=error,
    )


def prompt_ref(label: str) -> PromptRef:
    """A prompt of this label."""
    source = f"---\ninputs: {{question: string}}\n---\n{{# {label} #}}\nQuestion: {{{{ question }}}}\n"
    return PromptRef(label.partition("@")[0], label, _hash(label), source, {}, "1f3a9c2", False)


def _hash(text: str) -> str:
    return random.Random(f"hash of {text!a}").randbytes(32).hex()


def make_step(
    text: str,
    messages: tuple[Message, ...],
    name: str = "output",
    *,
    seed: int = 7,
    finish: FinishReason = "stop",
    tokens: int | None = None,
    **more: Any,
) -> Step:
    """A step that said `text`, with a token for about each word."""
    chance = random.Random(f"{text[:200]!a}{seed}")
    count = min(len(text.split()) + 1, 400) if tokens is None else tokens
    drawn = tuple(_token(chance) for _ in range(count))
    seconds = 0.01 * count
    values = {
        "finish_reason": finish,
        "usage": Usage(24, 16, count),
        "timings": Timings(0.8, 0.03, 0.02, seconds, count / max(seconds, 0.01)),
        **more,
    }
    return Step(name, messages, (1, 2, 3), seed, {"temperature": 0.7, "max_tokens": 64}, drawn, text, **values)


def _token(chance: random.Random) -> Drawn:
    logprob = -round(chance.expovariate(1.4), 4)
    id = chance.randrange(49_000)
    others = (
        Alternative(chance.randrange(49_000), round(logprob - 0.4, 4)),
        Alternative(chance.randrange(49_000), -6.0),
    )
    own = Alternative(id, logprob)
    return Drawn(id, logprob, (own, *others) if logprob > -1 else (others[0], own, others[1]))


def checked(case: Case, said: str, tokens: int) -> Verdict:
    """What the two assertions of `fact_cases` come to."""
    wanted = str(case.asserts[0].value)
    found = wanted.casefold() in said.casefold()
    short = tokens <= 40
    reason = f"contains {wanted!r}" if found else f"does not contain {wanted!r}"
    checks = (
        Check("icontains", "pass" if found else "fail", float(found), reason, 1.0, "right"),
        Check("max-tokens", "pass" if short else "fail", float(short), f"{tokens} tokens", 0.5, "short"),
    )
    score = (found + 0.5 * short) / 1.5
    return Verdict("pass" if found and short else "fail", score, checks)


def made_up(
    prompts: Sequence[str] = ("answer@1", "answer@2"),
    models: Sequence[str] = ("smollm2-135m", "gemma3-270m"),
    cases: int = 12,
    samples: int = 4,
    *,
    skills: Sequence[Skill] = (Skill(0.45, 5), Skill(0.6, 2), Skill(0.8, 6), Skill(0.95, 2)),
    blemishes: bool = True,
    tokens: int | None = None,
    bias: Bias | None = None,
    likeness: bool = False,
    apart: bool = False,
) -> Comparison:
    """Questions of fact, answered by columns of different skill. With blemishes: a few errors, unscored checks, answers
    that were cut off and answers that are from the history. Apart: each prompt has a model of its own, so that there
    are no pairs, which take long to compute for many cases."""
    columns = [Column(prompt, model) for model in models for prompt in prompts]
    if apart:
        columns = [Column(prompt, model) for prompt, model in zip(prompts, models, strict=True)]
    all_cases = fact_cases(cases)
    results = []
    for c, column in enumerate(columns):
        skill = skills[c % len(skills)]
        for k, case in enumerate(all_cases):
            for s in range(samples):
                each = _answered(column, c, case, k, s, skill, tokens)
                results.append(_blemish(each) if blemishes else each)
    found = None
    if likeness:
        bits = tuple(tuple(0.7 + 0.35 * abs(m - c / 2) for c in range(len(columns))) for m in range(len(models)))
        found = Likeness(tuple(models), bits)
    return compare(columns, all_cases, results, bias=bias, likeness=found)


def _answered(column: Column, c: int, case: Case, k: int, sample: int, skill: Skill, tokens: int | None) -> Result:
    chance = random.Random(f"{column.name}/{case.id}/{sample}")
    hard = 0.25 * ((k * 7) % 5 - 2) / 2
    _, question, right, wrong = FACTS[k % len(FACTS)]
    said = right if chance.random() < skill.right - hard else wrong
    text = WAYS[chance.randrange(skill.chatty)].replace("{}", said)
    messages = (Message("system", "Answer in a word or a few."), Message("user", f"Question: {question}"))
    step = make_step(text, messages, seed=chance.randrange(2**32), tokens=tokens)
    verdict = checked(case, text, len(step.tokens))
    return Result(c, k, sample, record(column, case, sample, text, steps=(step,)), verdict)


def _blemish(result: Result) -> Result:
    place = (result.column * 31 + result.case * 7 + result.sample * 3) % 53
    if place == 1:
        failure = Failure("WorkerDied", "the worker died while it computed", "SIGKILL", ("ggml: out of memory",))
        return replace(
            result, record=replace(result.record, output=None, error=failure), verdict=Verdict("unscored", None)
        )
    if place == 2:
        check = Check("similar", "unscored", None, "no entry of models.yaml is tagged `embedding`")
        return replace(result, verdict=Verdict("unscored", None, (check,)))
    if place == 3:
        cut = replace(result.record.steps[0], finish_reason="length")
        return replace(result, record=replace(result.record, steps=(cut,)))
    return replace(result, cached=True) if place % 5 == 0 else result


def judged(samples: int = 2) -> Comparison:
    """A program of two steps, the first one of a choice with probabilities, which returns JSON."""
    columns = [Column("verdict", "smollm2-135m"), Column("verdict", "gemma3-270m")]
    cases = tuple(
        Case(f"claim-{i}", {"claim": claim, "audience": "a child"}, (Assertion("is-json", {"type": "object"}),), 0.5)
        for i, claim in enumerate(("the Earth is flat", "water is wet", "7 is a prime"))
    )
    results = [
        _judgement(columns[c], c, case, k, s) for c in range(2) for k, case in enumerate(cases) for s in range(samples)
    ]
    return compare(columns, cases, results, bias=Bias(6, 0.12, 2))


def _judgement(column: Column, c: int, case: Case, k: int, sample: int) -> Result:
    share = (0.62, 0.9, 0.41)[k] if c == 0 else 0.97
    verdict = "yes" if (share > 0.5) != (k == 0 and c == 1) else "no"
    ask = (Message("user", f"Is it true that {case.vars['claim']}? Answer yes or no."),)
    first = make_step(
        verdict,
        ask,
        "verdict",
        tokens=1,
        distribution={"yes": share, "no": 1 - share - 0.001, "perhaps\n": 0.001},
        constraint=Constraint("choices", ["yes", "no", "perhaps\n"]),
    )
    reason = f"Because {case.vars['claim']}, as everyone can see who looks at it for a while." * (1 + sample)
    why = (*ask, Message("assistant", verdict), Message("user", f"Why {verdict}?"))
    second = make_step(reason, why, "reason", seed=99, finish="length")
    output = {"verdict": verdict, "reason": reason}
    made = record(column, case, sample, reason, steps=(first, second), output=output)
    check = Check("is-json", "pass", 1.0, "is JSON that fits the schema")
    return Result(c, k, sample, made, Verdict("pass", 1.0, (check,)))


def hostile() -> Comparison:
    """Text that wants to break out, in every place where a stranger's text can stand."""
    columns = [Column(HOSTILE[0] + "@1", HOSTILE[2]), Column(HOSTILE[3], HOSTILE[1])]
    cases, results = [], []
    for k, text in enumerate(HOSTILE):
        case = Case(
            f"{k} {text[:150]}",
            {text[:60]: text, "question": HOSTILE[1]},
            (Assertion(text[:60] or "equals", text, metric=text[:60]),),
            description=text,
            metadata={text[:60]: [text]},
        )
        cases.append(case)
        for c, column in enumerate(columns):
            results.append(_attack(column, c, case, k, text))
    return compare(columns, cases, results, likeness=Likeness((HOSTILE[0], HOSTILE[1]), ((1.0, None), (0.5, 2.5))))


def _attack(column: Column, c: int, case: Case, k: int, text: str) -> Result:
    messages = (Message("user", text), Message(HOSTILE[0], HOSTILE[1]))
    step = make_step(text, messages, text[:40], distribution={text: 0.7, "other": 0.3} if k % 2 else None)
    failure = Failure(HOSTILE[0], text, HOSTILE[1], (text, HOSTILE[2])) if c and k % 4 == 0 else None
    prompt = replace(prompt_ref(column.prompt), source=text, partials={HOSTILE[2]: text}, dirty=True)
    made = replace(record(column, case, 0, text, steps=(step,), error=failure), prompt=prompt)
    check = Check(text[:60] or "equals", "fail", 0.0, text, 1.0, text[:60])
    return Result(c, k, 0, made, Verdict("fail", 0.0, (check,)))


def spoken(answers: Sequence[Sequence[str]], passes: Callable[[str], bool] = bool) -> Comparison:
    """A comparison of exactly these answers: a row for each case, one answer for each column."""
    columns = [Column("ask", f"model-{c + 1}") for c in range(len(answers[0]))]
    cases = tuple(Case(f"case-{k + 1}", {"question": f"Number {k + 1}?"}) for k in range(len(answers)))
    results = []
    for k, row in enumerate(answers):
        for c, text in enumerate(row):
            ok = passes(text)
            verdict = Verdict(
                "pass" if ok else "fail", float(ok), (Check("equals", "pass" if ok else "fail", float(ok), "as said"),)
            )
            results.append(Result(c, k, 0, record(columns[c], cases[k], 0, text), verdict))
    return compare(columns, cases, results)
