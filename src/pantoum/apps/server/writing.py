"""A request that lets a model write, from its fields to its texts: what completions, chats and sessions
share.

In order: the fields become settings, or an error that names the field; prompts become tokens; one job per
prompt goes to the model's engine; what comes back is put together per text. ``Request.whole`` waits for all
of it, ``Request.parts`` gives it as it comes. However a request ends, its jobs have ended or are cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastapi.responses import Response
from numpy.typing import NDArray

from pantoum.apps.server.answers import MANY, json_answer, require_size
from pantoum.apps.server.caller import CALLER
from pantoum.apps.server.drawing import require_form, sampling_of
from pantoum.apps.server.job import Ended, FullError, Job, Read, StoppedError, Writing, Written
from pantoum.apps.server.models import Served
from pantoum.apps.server.recorded import Entry, Recorded
from pantoum.apps.server.refusals import RequestError, busy, stopping
from pantoum.apps.server.schema import CompletionRequest, WritingRequest
from pantoum.seams import Reading, State, draw_seed, encode_prompt, prompt_places, space_held

__all__ = [
    "MOST_PROMPT",
    "Choice",
    "Part",
    "Prompt",
    "Request",
    "begin",
    "encode",
    "prompts_of",
    "read",
    "require_prompt",
]

MOST_TOKENS = 1_000_000
"""Tokens that a request may ask for, per text."""
LONG = 20_000
"""Characters or tokens from which a prompt is encoded in another thread."""
MOST_PROMPT = 500_000
"""Tokens that a request may let the model read."""
TEXT, TOKEN, ALTERNATIVE = 4, 40, 32
"""Bytes of JSON that a token takes: in a text, with its log-probability, and per alternative."""


@dataclass(frozen=True)
class Prompt:
    """A prompt as tokens."""

    text: str
    tokens_T: NDArray[Any]
    notes: tuple[str, ...] = ()
    held: bytes | None = None
    """What is pending after it; ``None``: what its tokens leave."""
    places: Callable[[], tuple[int, ...]] | None = None
    """Finds where in the text each token begins, if that was asked for. It takes two microseconds per token:
    for later, when the request was let in."""


def require_prompt(tokens: int, param: str) -> None:
    """Refuse more tokens than a request may let the model read."""
    if tokens > MOST_PROMPT:
        rule = f"the limit is {MOST_PROMPT:,}; send it in parts"
        raise RequestError(400, f"{param} has {tokens:,} tokens: {rule}", param=param)


def require_places(served: Served, texts: int) -> None:
    """Refuse more texts than ever fit."""
    most = served.engine.slots + served.engine.places
    if texts > most:
        rule = f"this server takes {most} at once, waiting ones included"
        raise RequestError(400, f"the request has {texts} texts: {rule}; send fewer in a request")


async def encode(
    served: Served,
    text: str | Sequence[int],
    state: State | None = None,
    *,
    places: bool = False,
    param: str = "prompt",
) -> Prompt:
    """The tokens of a prompt that a state reads; with ``places`` it can say where each begins. ``param``: the
    field of the request that it stands in."""
    model = served.model

    def of_text(text: str) -> Prompt:
        read, held = space_held(model.tokenizer, text, b"" if state is None else state.pending)
        waited = len(read) - len(text) + (held == b" " and text.endswith(" "))  # a space of the text before
        tokens_T, notes = encode_prompt(model.tokenizer, read)

        def found() -> tuple[int, ...]:
            begins = prompt_places(model.tokenizer, read, tokens_T)
            return tuple(max(0, begin - waited) for begin in begins)

        return Prompt(text, tokens_T, tuple(notes), held, found if places else None)

    def of_tokens(tokens: Sequence[int]) -> Prompt:
        outside = [token for token in tokens if not 0 <= token < model.vocab_size]
        if outside:
            rule = f"this model's tokens are 0 to {model.vocab_size - 1}"
            raise RequestError(400, f"{param} has the token {outside[0]}: {rule}", param=param)
        return Prompt(model.tokenizer.decode(tokens), np.array(tokens, np.int64))

    make: Callable[[Any], Prompt] = of_text if isinstance(text, str) else of_tokens
    return make(text) if len(text) < LONG else await served.turns.run(make, text)


async def prompts_of(
    served: Served,
    given: Any,
    state: State | None = None,
    *,
    places: bool = False,
    param: str = "prompt",
    together: bool = True,
) -> list[Prompt]:
    """The prompts of a request that a state reads: a text, tokens, or a list of either. ``places`` and
    ``param``: those of ``encode``. ``together``: all of them go to the engine at the same time."""
    if given is None or isinstance(given, str):
        return [await encode(served, given or "", state, places=places, param=param)]
    if not given:
        raise RequestError(400, f"{param} is []: give a text, tokens, or a list of them", param=param)
    if isinstance(given[0], int):
        return [await encode(served, given, param=param)]
    if together:
        require_places(served, len(given))
    return [await encode(served, one, state, places=places, param=param) for one in given]


@dataclass(eq=False)
class Choice:
    """One text of the answer."""

    index: int
    prompt: int
    text: str = ""
    shown: int = 0
    """Characters given out so far."""
    tokens: int = 0
    finish: str | None = None
    state: State | None = None
    entries: list[Entry] = field(default_factory=list)


@dataclass(eq=False)
class Part:
    """What came of one choice: characters and tokens. ``last``: nothing more will come of it."""

    choice: Choice
    text: str = ""
    entries: list[Entry] = field(default_factory=list)
    last: bool = False


def submit(served: Served, jobs: Sequence[Job]) -> None:
    """Hand jobs to the model's engine: all of them, or none and an error."""
    slots = sum(job.slots for job in jobs)
    require_places(served, slots)
    taken = list[Job]()
    try:
        for job in jobs:
            served.engine.submit(job)
            taken.append(job)
    except FullError:
        cancel(served, taken)
        raise busy(f" (this request needs {slots})") from None
    except StoppedError:
        cancel(served, taken)
        raise stopping() from None


async def read(served: Served, readings: Sequence[Reading]) -> None:
    """Let the model read all of these, side by side."""
    inbox = served.inbox()
    for reading in readings:
        inbox.job(reading)
    submit(served, inbox.jobs)
    try:
        async for _ in inbox.events():
            pass
    finally:
        cancel(served, inbox.jobs)


async def begin(
    served: Served,
    request: WritingRequest,
    prompts: Sequence[Prompt],
    *,
    length: int,
    state: State | None = None,
    alternatives: int | None = None,
) -> Request:
    """A request whose jobs the engine has. What it may cost is charged before: the tokens that it reads and
    writes, and the JSON that must be held until it is sent."""
    count = request.n or 1
    echo = isinstance(request, CompletionRequest) and bool(request.echo)
    if length > MOST_TOKENS:
        rule = f"the limit is {MOST_TOKENS:,}; ask for fewer"
        raise RequestError(400, f"max_tokens is {length:,}: {rule}", param="max_tokens")
    tokens = sum(len(prompt.tokens_T) for prompt in prompts)
    require_prompt(tokens, "prompt")
    each = TEXT + (0 if alternatives is None else TOKEN + ALTERNATIVE * alternatives)
    size = count * each * ((tokens if echo else 0) + (0 if request.stream else length * len(prompts)))
    require_size(size, "use stream, fewer logprobs or tokens, or n: 1")
    sampling = sampling_of(request)
    if length:
        await require_form(served.model, request, sampling, length)
    await served.turns.answer(size)
    seed = draw_seed() if request.seed is None or request.seed < 0 else request.seed
    return Request(served, prompts, Writing(length, sampling, seed, count, alternatives), state, echo)


def cancel(served: Served, jobs: Sequence[Job]) -> None:
    """Nobody waits for these any more."""
    for job in jobs:
        served.engine.cancel(job)


class Request:
    """Prompts that are read and written after."""

    def __init__(
        self,
        served: Served,
        prompts: Sequence[Prompt],
        writing: Writing,
        state: State | None,
        echo: bool,
    ) -> None:
        """``writing``: what follows each prompt; with a length of 0 the prompts are only read."""
        self.served, self.prompts, self.echo = served, prompts, echo
        self.alternatives, self.seed = writing.alternatives, writing.seed
        self.count, most = writing.count, served.engine.slots
        if self.count > most:
            raise RequestError(
                400, f"n is beyond the {most} texts that this server writes at once", param="n"
            )
        self.inbox = served.inbox()
        self.choices: list[Choice] = []
        self._pending = b"" if state is None else state.pending
        self._recorded: dict[Choice, Recorded] = {}
        """The tokens of each text whose prompt was read."""
        for number, prompt in enumerate(prompts):
            wanted = writing.alternatives if echo else None
            reading = Reading(served.model, state, prompt.tokens_T, alternatives=wanted, held=prompt.held)
            self.inbox.job(reading, writing if writing.length else None)
            for k in range(self.count):
                self.choices.append(Choice(number * self.count + k, number))
        submit(served, self.inbox.jobs)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(len(prompt.tokens_T) for prompt in self.prompts)

    @property
    def completion_tokens(self) -> int:
        """Tokens written so far."""
        return sum(choice.tokens for choice in self.choices)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        cancel(self.served, self.inbox.jobs)

    async def answer(self, make: Callable[[], object]) -> Response:
        """The response with what ``make`` gives of all texts."""
        tokens = sum(len(choice.entries) for choice in self.choices)
        size = tokens * (TOKEN + ALTERNATIVE * (self.alternatives or 0))
        size += sum(len(choice.text) for choice in self.choices)
        return await json_answer(make, self.served.turns, size)

    async def whole(self) -> list[Choice]:
        """All texts, when all are written."""
        texts: list[list[str]] = [[] for _ in self.choices]
        async for parts in self.parts():
            for part in parts:
                texts[part.choice.index].append(part.text)
                part.choice.entries += part.entries
        for choice, pieces in zip(self.choices, texts, strict=True):
            choice.text = "".join(pieces)
        return self.choices

    async def parts(self) -> AsyncGenerator[list[Part], None]:
        """What comes, as it comes; what came of one text since the last time is one part."""
        timed = False
        try:
            async for events in self.inbox.events():
                found: dict[int, Part] = {}
                for job, event in events:
                    if isinstance(event, Read):
                        async for parts in self._read(job):
                            yield parts
                    elif isinstance(event, Written):
                        if not timed:
                            CALLER.get().first_token(self.served.name)
                        timed = True
                        self._written(self._choice(job, event.number), event, found)
                    elif isinstance(event, Ended):
                        self._ended(self._choice(job, event.number), event, found)
                if found:
                    yield list(found.values())
        finally:
            self.cancel()

    @property
    def _records(self) -> bool:
        return self.alternatives is not None

    def _choice(self, job: Job, index: int) -> Choice:
        return self.choices[job.number * self.count + index]

    def _part(self, choice: Choice, found: dict[int, Part]) -> Part:
        """The part of this text that is being put together."""
        return found.setdefault(choice.index, Part(choice))

    async def _read(self, job: Job) -> AsyncGenerator[list[Part], None]:
        """The prompt was read: with ``echo`` it is the beginning of each text. Its tokens come some at a
        time."""
        prompt, state = self.prompts[job.number], job.reading.state
        shown = prompt.text if self.echo else ""
        choices = [self._choice(job, k) for k in range(self.count)]
        for choice in choices:
            choice.shown = len(shown)
            self._recorded[choice] = Recorded(self.served.model.tokenizer, len(shown), state.pending)
        parts = [Part(choice, shown) for choice in choices]
        if self.echo and self._records:
            async for entries in self._echoed(job):
                if parts[0].entries:
                    yield parts
                    parts = [Part(choice) for choice in choices]
                for part in parts:
                    part.entries = entries
        if job.writing is None:
            for part in parts:
                part.choice.finish, part.choice.state, part.last = "length", state, True
        if self.echo or job.writing is None:
            yield parts

    async def _echoed(self, job: Job) -> AsyncGenerator[list[Entry], None]:
        """The tokens of a prompt; those of a long one in a thread, for it takes seconds."""
        prompt, drawn = self.prompts[job.number], job.reading.drawn
        recorded = Recorded(self.served.model.tokenizer, pending=self._pending)
        some = MANY // (1 + (self.alternatives or 0))
        places: tuple[int, ...] | None = None
        if prompt.places is not None:
            places = prompt.places() if len(drawn) <= some else await self.served.turns.run(prompt.places)

        def entries(begin: int) -> list[Entry]:
            part = slice(begin, begin + some)
            own = None if places is None else places[part]
            recorded.add(drawn[part], prompt.tokens_T[part].tolist(), own)
            drawn[part] = [None] * len(drawn[part])  # given out: the whole is some hundred megabytes
            return recorded.take(None)

        for begin in range(0, len(drawn), some):
            yield entries(begin) if len(drawn) <= some else await self.served.turns.run(entries, begin)

    def _written(self, choice: Choice, event: Written, found: dict[int, Part]) -> None:
        part = self._part(choice, found)
        part.text += event.text
        choice.shown += len(event.text)
        if self._records:
            recorded = self._recorded[choice]
            recorded.add(event.drawn)
            part.entries += recorded.take(choice.shown)

    def _ended(self, choice: Choice, event: Ended, found: dict[int, Part]) -> None:
        part = self._part(choice, found)
        part.last = True
        choice.tokens, choice.state = event.tokens, event.state
        choice.finish = "length" if event.stopped is None else "stop"
        if self._records:
            # Tokens whose text a stop string has cut off are not part of the answer.
            cut = choice.shown if event.stopped is not None else None
            part.entries += self._recorded[choice].take(cut)
