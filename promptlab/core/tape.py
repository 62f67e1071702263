"""What a program says and hears while it renders: messages, questions, and the answers that it has had so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptlab.core.constraint import Constraint, read_answer
from promptlab.core.options import check_option
from promptlab.core.schema import shorten
from promptlab.core.templates import MAX_TEXT, Complaint

MAX_GENERATIONS = 256
"""Steps of one program, those of the programs that it calls included: a loop that generates must end."""
MAX_MESSAGES = 4096
MAX_CALLS = 8
"""Programs that may be at work at once, each called by the one before."""
ROLES = ("system", "user", "assistant")
NOTHING_SAID = "nothing has been said before the first {% generate %}"
AFTER_ANSWER = "{% generate %} right after an answer: put a {% user %} block between them"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The program wants a model's answer, given these messages."""

    name: str
    """Of the generation; in a program that was called, `CALL.GENERATION`."""
    messages: tuple[Message, ...]
    """Where the last one is an assistant's, the answer goes on from its text."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Those of the prompt, and over them those of the tag."""
    constraint: Constraint | None = None
    """What the answer must be; None for any text."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The program has ended."""

    messages: tuple[Message, ...]
    answers: Mapping[str, Any]
    """The last value under each name: of a generation with a schema parsed JSON, of a call what it returned."""
    output: Any
    """The value of the last generation or call, or of the return tag."""


class Stop(BaseException):
    """Leaves a template at a question. Not an Exception, so that Jinja passes it through untouched."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask


class Return(BaseException):
    """Leaves a template at its return tag."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Reel:
    """What a program shares with the programs that it calls: answers, handed out in order, and what is counted."""

    def __init__(self, answers: tuple[str, ...]) -> None:
        self.answers = answers
        self.used = 0
        self.messages = 0
        self.size = 0
        """Characters rendered."""

    def count(self, piece: str) -> None:
        """Count rendered text. Raises Complaint."""
        self.size += len(piece)
        if self.size > MAX_TEXT:
            raise Complaint(f"renders to more than {MAX_TEXT:,} characters")


class Tape:
    """One conversation: what a single program has said so far, and the values that it has got."""

    def __init__(
        self,
        reel: Reel,
        *,
        options: Mapping[str, Any],
        output: Constraint | None,
        has_roles: bool,
        path: tuple[str, ...],
    ) -> None:
        self.reel = reel
        self.options = options
        self.output = output
        self.has_roles = has_roles
        self.path = path
        """Names of the calls that led here."""
        self.messages: list[Message] = []
        self.values: dict[str, list[Any]] = {}
        """All values under each name, in order."""
        self.last: list[Any] = []
        """The value of the last generation or call; empty before the first."""
        self.role: str | None = None
        self._closed = True
        """Whether the last message cannot be gone on with, because it is an answer."""
        self._loose: list[str] = []
        """Text outside any role tag."""

    def text(self, piece: str) -> None:
        """Take text that stands outside role tags."""
        self.reel.count(piece)
        self._loose.append(piece)

    def say(self, role: str, content: str) -> None:
        """Add a message."""
        self.reel.messages += 1
        if self.reel.messages > MAX_MESSAGES:
            raise Complaint(f"makes more than {MAX_MESSAGES:,} messages")
        self.messages.append(Message(role, content))
        self._closed = False

    def settle(self) -> None:
        """Deal with the text outside role tags: a user message where no role tag is used, otherwise an error."""
        text = "".join(self._loose).strip()
        self._loose.clear()
        if not text:
            return
        if self.has_roles:
            raise Complaint(
                f"text outside the role tags: {shorten(text)!r}; put it into {{% user %}} … {{% enduser %}}"
            )
        self.say("user", text)

    def generate(self, name: str, options: Mapping[str, Any], constraint: Constraint | None) -> None:
        """Take the next answer, or stop here and ask for it."""
        self.outside("generate")
        for key, value in options.items():
            if reason := check_option(key, value):
                raise Complaint(reason)
        self.settle()
        if not self.messages:
            raise Complaint(NOTHING_SAID)
        if self.messages[-1].role == "assistant" and self._closed:
            raise Complaint(AFTER_ANSWER)
        if self.reel.used >= MAX_GENERATIONS:
            raise Complaint(f"generates more than {MAX_GENERATIONS} times")
        if self.reel.used == len(self.reel.answers):
            path = ".".join((*self.path, name))
            raise Stop(Ask(path, tuple(self.messages), {**self.options, **options}, constraint))
        answer = self.reel.answers[self.reel.used]
        self.reel.used += 1
        self._answer(answer)
        try:
            self.bind(name, read_answer(answer, constraint))
        except ValueError as error:
            raise Complaint(f"the answer to {name} {error}. Was it cut off, by max_tokens or by a stop text?") from None

    def _answer(self, text: str) -> None:
        """Put an answer into the conversation; where an assistant's message has begun, it goes on there."""
        if self.messages[-1].role == "assistant":
            self.messages[-1] = Message("assistant", self.messages[-1].content + text)
        else:
            self.say("assistant", text)
        self._closed = True

    def bind(self, name: str, value: Any) -> None:
        """Give a generation or a call its value."""
        self.values.setdefault(name, []).append(value)
        self.last = [value]

    def outside(self, tag: str) -> None:
        """Complain of a tag that stands inside a role tag."""
        if self.role:
            raise Complaint(f"{{% {tag} %}} stands inside {{% {self.role} %}}; close that tag before it")
