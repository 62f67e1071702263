"""What can be asked of a model: answers to be drawn, texts to be scored, choices to be made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promptlab.core.events import Answered, EngineEvent, Failed, Failure, Measured, Score, Started, Token, Usage
from promptlab.engine.answer import Answer, Clock
from promptlab.engine.backend import Question
from promptlab.engine.reading import Reading, choose, distribution
from promptlab.engine.sampling import Row
from promptlab.engine.stream import TextStream


class Job:
    """Something that was asked: a prompt, and what is to come of it."""

    def __init__(self, seq: int, ids: Sequence[int], *, interactive: bool) -> None:
        self.seq = seq
        self.ids = tuple(ids)
        self.interactive = interactive
        self.clock = Clock()
        self.at = 0
        """Tokens of the prompt that are in its slot."""
        self.marks: list[int] = []
        """Tokens after which its state is to be kept, for other prompts; the most first."""
        self.logits: Row | None = None
        """After the prompt, once it is computed."""

    @property
    def longest(self) -> int:
        """Tokens of its slot that it can need."""
        raise NotImplementedError

    def started(self) -> list[EngineEvent]:
        """What to say when its prompt begins to be computed."""
        return [Started(self.seq, self.ids)]

    def cancelled(self) -> EngineEvent:
        """What to say when it ends early."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what it holds."""


class Drawing(Job):
    """An answer to be drawn."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.question.seq, answer.ids, interactive=answer.question.interactive)
        self.answer = answer
        self.clock = answer.clock

    @property
    def longest(self) -> int:
        """Tokens of its slot that it can need."""
        return self.answer.longest

    def cancelled(self) -> EngineEvent:
        """What has been said so far is the answer."""
        return self.answer.end("cancelled")

    def close(self) -> None:
        """Free what it holds."""
        self.answer.close()


class Scoring(Job):
    """Texts to be scored."""

    def __init__(
        self,
        model: str,
        seq: int,
        reading: Reading,
        piece: Callable[[int], bytes],
        *,
        interactive: bool,
        prompt_tokens: int,
    ) -> None:
        super().__init__(seq, reading.prompt, interactive=interactive)
        self.reading = reading
        self.begun = False
        self._model = model
        self._piece = piece
        self._prompt_tokens = prompt_tokens

    @property
    def longest(self) -> int:
        """Tokens of its slot that it can need."""
        return self.reading.longest

    def started(self) -> list[EngineEvent]:
        """Nothing: a measurement only ends."""
        return []

    def cancelled(self) -> EngineEvent:
        """Half a measurement is none."""
        return Failed(self._model, self.seq, Failure("Cancelled", "cancelled before it was finished"))

    def finish(self) -> list[EngineEvent]:
        """What to say when all is read."""
        scores = tuple(map(self._score, self.reading.texts))
        usage = Usage(self._prompt_tokens, self.clock.reused, sum(len(score.ids) for score in scores))
        return [Measured(self.seq, scores, usage)]

    def _score(self, text: Sequence[int]) -> Score:
        picks = self.reading.picks(text)
        pieces = (self._piece(pick.id).decode("utf-8", "replace") for pick in picks)
        return Score(tuple(p.id for p in picks), tuple(p.logprob for p in picks), tuple(pieces))


class Choosing(Scoring):
    """An answer that is one of some texts: all are read, and one is drawn by its probability."""

    def __init__(
        self,
        question: Question,
        reading: Reading,
        choices: Sequence[str],
        piece: Callable[[int], bytes],
    ) -> None:
        super().__init__(
            question.model,
            question.seq,
            reading,
            piece,
            interactive=question.interactive,
            prompt_tokens=len(reading.prompt),
        )
        self._question = question
        self._choices = choices

    def started(self) -> list[EngineEvent]:
        """As of any answer."""
        return Job.started(self)

    def cancelled(self) -> EngineEvent:
        """Nothing has been said."""
        return Answered(self.seq, "", "cancelled", Usage(len(self.ids), self.clock.reused, 0), self.clock.timings(0))

    def finish(self) -> list[EngineEvent]:
        """Draw one of the texts, and say it at once."""
        texts = self.reading.texts
        totals = [sum(pick.logprob for pick in self.reading.picks(text)) for text in texts]
        shares = dict(zip(self._choices, distribution(texts, totals), strict=True))
        chosen = choose(shares, self._question.options.temperature, self._question.seed)
        picks = self.reading.picks(texts[self._choices.index(chosen)])
        stream = TextStream(())
        events: list[EngineEvent] = []
        for pick in picks:
            self.clock.token()
            events.append(Token(self.seq, pick.id, stream.feed(self._piece(pick.id)), pick.logprob, pick.top))
        usage = Usage(len(self.ids), self.clock.reused, len(picks))
        return [*events, Answered(self.seq, chosen, "stop", usage, self.clock.timings(len(picks)), shares)]
