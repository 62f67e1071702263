"""What promptfoo checks and promptlab does not, with the reason or with what to use instead."""

from __future__ import annotations

_JUDGED = "llm-rubric, with the criterion in words, is the check by a model's judgement here"
_SERVICE = "it asks a service on the network"
_OVERLAP = "rouge-n and levenshtein are the checks of likeness here"
_MARKUP = "regex and contains can look for parts of it"
_TOOLS = "prompts here call no tools"
_TRACE = "there are no traces here"

_REASONS = {
    "javascript": "it runs JavaScript; python checks run with --allow-code",
    "ruby": "it runs Ruby; python checks run with --allow-code",
    "webhook": _SERVICE,
    "moderation": _SERVICE,
    "classifier": _SERVICE,
    "guardrails": _SERVICE,
    "pi": _SERVICE,
    "search-rubric": _SERVICE,
    "cost": "models on your own machine have no price",
    "is-sql": _MARKUP,
    "contains-sql": _MARKUP,
    "is-html": _MARKUP,
    "contains-html": _MARKUP,
    "is-xml": _MARKUP,
    "contains-xml": _MARKUP,
    "is-refusal": "icontains-any or regex can look for the words of a refusal",
    "word-count": "max-tokens and regex can bound a length",
    "bleu": _OVERLAP,
    "gleu": _OVERLAP,
    "meteor": _OVERLAP,
    "perplexity-score": "use perplexity",
    "is-valid-function-call": _TOOLS,
    "is-valid-openai-function-call": _TOOLS,
    "is-valid-openai-tools-call": _TOOLS,
    "tool-call-f1": _TOOLS,
    "skill-used": _TOOLS,
    "g-eval": _JUDGED,
    "agent-rubric": _JUDGED,
    "answer-relevance": _JUDGED,
    "context-faithfulness": _JUDGED,
    "context-recall": _JUDGED,
    "context-relevance": _JUDGED,
    "conversation-relevance": _JUDGED,
    "factuality": _JUDGED,
    "model-graded-closedqa": _JUDGED,
    "model-graded-factuality": _JUDGED,
    "max-score": "a case has one score already: the mean of its checks by weight",
    "assert-set": "write its assertions one by one, with weights, and the threshold at the case",
}
_FAMILIES = {
    "similar:": "use similar",
    "trace-": _TRACE,
    "trajectory:": _TRACE,
    "promptfoo:": "it is part of promptfoo's red teaming",
}


def why_not(kind: str) -> str | None:
    """Why a kind of promptfoo's is none here; None where promptfoo has none either."""
    family = next((reason for start, reason in _FAMILIES.items() if kind.startswith(start)), None)
    return _REASONS.get(kind, family)
