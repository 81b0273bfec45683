"""``/v1/completions`` and ``/v1/chat/completions``: OpenAI's forms around ``writing.Request``, whole or as
server-sent events."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial

from fastapi import APIRouter
from fastapi.responses import Response

from pantoum.apps.server.answers import ENCODER, EventStream
from pantoum.apps.server.models import Models
from pantoum.apps.server.recorded import Entry, chat_logprobs, completion_logprobs
from pantoum.apps.server.schema import ChatRequest, CompletionRequest, WritingRequest
from pantoum.apps.server.signing import Signer
from pantoum.apps.server.writing import Choice, Part, Request, begin, encode, prompts_of
from pantoum.seams import Plain

__all__ = ["Answer", "routes", "text_shape", "usage"]

COMPLETION_TOKENS = 16
"""What OpenAI's completions write where no ``max_tokens`` is given."""
CHAT_TOKENS = 500
Shape = Callable[[str, Sequence[Entry]], dict[str, Plain]]


def usage(request: Request) -> dict[str, int]:
    """The tokens of a request."""
    read, written = request.prompt_tokens, request.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def text_shape(alternatives: int | None, text: str, entries: Sequence[Entry]) -> dict[str, Plain]:
    """What a completion has of a text and its tokens."""
    found = None if alternatives is None else completion_logprobs(entries, alternatives)
    return {"text": text, "logprobs": found}


class Answer:
    """The JSON of an answer, whole or in chunks."""

    def __init__(
        self, request: Request, fields: WritingRequest, signer: Signer, kind: str, whole: Shape, part: Shape
    ) -> None:
        """``whole`` and ``part`` give the fields of a choice from its text and tokens."""
        self._request, self._fields, self._signer = request, fields, signer
        self._whole, self._part = whole, part
        self._spoken: set[int] = set()
        """Choices of a chat whose role was said: it is said once, for clients join what they get."""
        self._chunks = kind + ".chunk" if kind == "chat.completion" else kind
        prefix = "chatcmpl" if kind == "chat.completion" else "cmpl"
        self.head: dict[str, Plain] = {
            "id": f"{prefix}-{secrets.token_urlsafe(16)}",
            "object": kind,
            "created": int(time.time()),
            "model": request.served.name,
            "system_fingerprint": request.served.fingerprint,
            "seed": request.seed,
        }
        notes = [note for prompt in request.prompts for note in prompt.notes]
        if notes:
            self.head["notes"] = notes

    async def response(self, choices: Sequence[Choice], **more: Plain) -> Response:
        """The answer in one object, with more fields."""
        return await self._request.answer(lambda: {**self.whole(choices), **more})

    def whole(self, choices: Sequence[Choice]) -> dict[str, Plain]:
        """What it says."""
        made = [
            {
                "index": choice.index,
                **self._whole(choice.text, choice.entries),
                "finish_reason": choice.finish,
                **self._state(choice),
            }
            for choice in choices
        ]
        return {**self.head, "choices": made, "usage": usage(self._request)}

    async def chunks(self) -> AsyncGenerator[list[str], None]:
        """The JSON of the answer in chunks, one for each part of a text; those that came together are
        together. What all begin with is encoded once, for there are some thousand chunks per second."""
        options = self._fields.stream_options
        head: dict[str, Plain] = {**self.head, "object": self._chunks}
        if options is not None and options.include_usage:
            head["usage"] = None
        begin = ENCODER.encode(head)[:-1] + ',"choices":['
        parts = self._request.parts()
        try:
            async for found in parts:
                yield [f"{begin}{ENCODER.encode(self._chunk(part))}]}}" for part in found]
        finally:
            await parts.aclose()
        if options is not None and options.include_usage:
            yield [ENCODER.encode({**head, "choices": [], "usage": usage(self._request)})]

    def _chunk(self, part: Part) -> dict[str, Plain]:
        choice = part.choice
        made = self._part(part.text, part.entries)
        if "delta" in made and choice.index not in self._spoken:
            self._spoken.add(choice.index)
            made["delta"] = {"role": "assistant", "content": part.text}
        return {
            "index": choice.index,
            **made,
            "finish_reason": choice.finish if part.last else None,
            **(self._state(choice) if part.last else {}),
        }

    def _state(self, choice: Choice) -> dict[str, Plain]:
        if not self._fields.return_state or choice.state is None:
            return {}
        return {"state": self._signer.to_text(choice.state), "tokens_seen": choice.state.tokens_seen}


def routes(models: Models, signer: Signer) -> APIRouter:
    """The two routes."""
    router = APIRouter(prefix="/v1", tags=["writing"])

    @router.post("/completions", response_model=None)
    async def completions(fields: CompletionRequest) -> Response:
        """Continue a text."""
        served = models.get(fields.model)
        length = COMPLETION_TOKENS if fields.max_tokens is None else fields.max_tokens
        state = None if fields.state is None else signer.from_text(fields.state, served.model)
        places = bool(fields.echo) and fields.logprobs is not None
        prompts = await prompts_of(served, fields.prompt, state, places=places)
        request = await begin(
            served, fields, prompts, length=length, state=state, alternatives=fields.logprobs
        )
        shape = partial(text_shape, fields.logprobs)
        return await _answered(
            Answer(request, fields, signer, "text_completion", shape, shape), request, fields
        )

    @router.post("/chat/completions", response_model=None)
    async def chat(fields: ChatRequest) -> Response:
        """Continue a chat."""
        served = models.get(fields.model)
        given = fields.max_tokens if fields.max_completion_tokens is None else fields.max_completion_tokens
        stops = [fields.stop] if isinstance(fields.stop, str) else fields.stop or []
        fields = fields.model_copy(update={"stop": [*stops, *served.template.stop]})
        state = None if fields.state is None else signer.from_text(fields.state, served.model)
        prompt = await encode(served, served.template.prompt(fields.messages), state, param="messages")
        request = await begin(
            served,
            fields,
            [prompt],
            length=CHAT_TOKENS if given is None else given,
            state=state,
            alternatives=(fields.top_logprobs or 0) if fields.logprobs else None,
        )

        def logprobs(entries: Sequence[Entry]) -> dict[str, Plain] | None:
            return chat_logprobs(entries) if fields.logprobs else None

        def whole(text: str, entries: Sequence[Entry]) -> dict[str, Plain]:
            message = {"role": "assistant", "content": text, "refusal": None}
            return {"message": message, "logprobs": logprobs(entries)}

        def part(text: str, entries: Sequence[Entry]) -> dict[str, Plain]:
            return {"delta": {"content": text}, "logprobs": logprobs(entries)}

        return await _answered(
            Answer(request, fields, signer, "chat.completion", whole, part), request, fields
        )

    return router


async def _answered(answer: Answer, request: Request, fields: WritingRequest) -> Response:
    if fields.stream:
        return EventStream(answer.chunks(), request.cancel)
    return await answer.response(await request.whole())
