"""``/v1/completions`` and ``/v1/chat/completions``: OpenAI's forms around ``writing.Request``, whole or as
server-sent events."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from fastapi import APIRouter
from fastapi.responses import Response

from pantoum.apps.server.answers import ENCODER, EventStream
from pantoum.apps.server.models import Models
from pantoum.apps.server.recorded import Entry, chat_logprobs, completion_logprobs
from pantoum.apps.server.schema import ChatRequest, CompletionRequest, WritingRequest
from pantoum.apps.server.signing import Signer
from pantoum.apps.server.writing import Choice, Part, Request, begin, encode, prompts_of
from pantoum.seams import Plain

__all__ = ["Answer", "routes"]


class Answer:
    """The JSON of an answer, whole or in chunks."""

    def __init__(
        self,
        request: Request,
        fields: WritingRequest,
        signer: Signer,
        after: Callable[[], Awaitable[dict[str, Plain]]] | None = None,
        at_end: Callable[[], object] | None = None,
    ) -> None:
        """``after``: what is done when the texts are whole, which gives more fields of the answer; ``at_end``
        is called however the answer ends."""
        self._request, self._fields, self._signer = request, fields, signer
        self._after, self._at_end = after, at_end or request.cancel
        self._chat = isinstance(fields, ChatRequest)
        self._spoken: set[int] = set()
        """Choices of a chat whose role was said: it is said once, for clients join what they get."""
        self._head: dict[str, Plain] = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{secrets.token_urlsafe(16)}",
            "object": "chat.completion" if self._chat else "text_completion",
            "created": int(time.time()),
            "model": request.served.name,
            "system_fingerprint": request.served.fingerprint,
            "seed": request.seed,
        }
        if request.notes:
            self._head["notes"] = request.notes

    async def response(self) -> Response:
        """The answer in one object, or in chunks where the client wants that."""
        if self._fields.stream:
            return EventStream(self._chunks(), self._at_end)
        try:
            choices = await self._request.whole()
            more = {} if self._after is None else await self._after()
            return await self._request.answer(lambda: {**self._whole(choices), **more})
        finally:
            self._at_end()

    def _whole(self, choices: Sequence[Choice]) -> dict[str, Plain]:
        made = [
            {
                "index": choice.index,
                **self._said(choice.text, choice.entries, None),
                "finish_reason": choice.finish,
                **self._state(choice),
            }
            for choice in choices
        ]
        return {**self._head, "choices": made, "usage": self._usage()}

    async def _chunks(self) -> AsyncGenerator[list[str], None]:
        """The JSON of the answer in chunks, one for each part of a text; those that came together are
        together. What all begin with is encoded once, for there are some thousand chunks per second."""
        options, head = self._fields.stream_options, dict(self._head)
        if self._chat:
            head["object"] = "chat.completion.chunk"
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
            yield [ENCODER.encode({**head, "choices": [], "usage": self._usage()})]
        if self._after is not None:
            yield [ENCODER.encode({**self._head, "choices": [], **(await self._after())})]

    def _chunk(self, part: Part) -> dict[str, Plain]:
        choice = part.choice
        return {
            "index": choice.index,
            **self._said(part.text, part.entries, choice),
            "finish_reason": choice.finish if part.last else None,
            **(self._state(choice) if part.last else {}),
        }

    def _said(self, text: str, entries: Sequence[Entry], part_of: Choice | None) -> dict[str, Plain]:
        """A text and its tokens; ``part_of``: the choice that they are a part of."""
        alternatives = self._request.alternatives
        if not self._chat:
            found = None if alternatives is None else completion_logprobs(entries, alternatives)
            return {"text": text, "logprobs": found}
        logprobs = None if alternatives is None else chat_logprobs(entries)
        if part_of is None:
            message: Plain = {"role": "assistant", "content": text, "refusal": None}
            return {"message": message, "logprobs": logprobs}
        role = {} if part_of.index in self._spoken else {"role": "assistant"}
        self._spoken.add(part_of.index)
        return {"delta": {**role, "content": text}, "logprobs": logprobs}

    def _usage(self) -> dict[str, int]:
        read, written = self._request.prompt_tokens, self._request.completion_tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

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
        state = signer.from_text(fields.state, served.model)
        places = bool(fields.echo) and fields.logprobs is not None
        prompts = await prompts_of(served, fields.prompt, state, places=places)
        return await Answer(await begin(served, fields, prompts, state), fields, signer).response()

    @router.post("/chat/completions", response_model=None)
    async def chat(fields: ChatRequest) -> Response:
        """Continue a chat."""
        served = models.get(fields.model)
        state = signer.from_text(fields.state, served.model)
        prompt = await encode(served, served.template.prompt(fields.messages), state, param="messages")
        request = await begin(served, fields, [prompt], state, stop=served.template.stop)
        return await Answer(request, fields, signer).response()

    return router
