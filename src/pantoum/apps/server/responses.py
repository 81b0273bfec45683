"""``/v1/responses``: OpenAI's newer interface, text in and text out. Nothing is kept: a client that goes on
sends the whole conversation, or the state of the answer before (``state``, ``return_state``)."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence

from fastapi import APIRouter
from fastapi.responses import Response

from pantoum.apps.server.answers import ENCODER, EventStream
from pantoum.apps.server.models import Models
from pantoum.apps.server.recorded import Entry, chat_logprobs
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import ChatMessage, ResponsesRequest
from pantoum.apps.server.signing import Signer
from pantoum.apps.server.writing import Choice, Request, begin, encode
from pantoum.seams import Plain, SamplingConfig

__all__ = ["routes"]

KEPT = {
    "previous_response_id": "this server keeps no responses: send the whole conversation as input",
    "conversation": "this server keeps no conversations: send the whole one as input",
    "background": "this server answers while the client waits",
}
"""Fields that cannot be used, and why."""
NAMES = {"response_format": "text", "max_tokens": "max_output_tokens"}
"""Names of a completion's fields, and theirs here."""


class ResponseText:
    """The JSON of one response, whole or as events."""

    def __init__(self, request: Request, fields: ResponsesRequest, signer: Signer) -> None:
        self._request, self._fields, self._signer = request, fields, signer
        self._head: dict[str, Plain] = {
            "id": f"resp_{secrets.token_hex(16)}",
            "object": "response",
            "created_at": int(time.time()),
            "model": request.served.name,
            "instructions": fields.instructions,
            "max_output_tokens": fields.max_output_tokens,
            "metadata": dict(fields.metadata or {}),
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "seed": request.seed,
            "store": False,
            "temperature": SamplingConfig.temperature if fields.temperature is None else fields.temperature,
            "text": {"format": fields.response_format or {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0 if fields.top_p is None else fields.top_p,
            "truncation": "disabled",
        }
        if fields.user is not None:
            self._head["user"] = fields.user
        if request.notes:
            self._head["notes"] = request.notes
        self._item = f"msg_{secrets.token_hex(16)}"
        self._told = 0

    def whole(self, choice: Choice) -> dict[str, Plain]:
        """What it says at its end."""
        read, written = self._request.prompt_tokens, self._request.completion_tokens
        cut = choice.finish == "length"
        made: dict[str, Plain] = {
            **self._head,
            "status": "incomplete" if cut else "completed",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": [self._message(choice)],
            "usage": {
                "input_tokens": read,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": read + written,
            },
        }
        if self._fields.return_state and choice.state is not None:
            made["state"] = self._signer.to_text(choice.state)
            made["tokens_seen"] = choice.state.tokens_seen
        return made

    async def events(self) -> AsyncGenerator[list[str], None]:
        """What it says as it comes. The first event waits for the first part, so that an error before it has
        a status of its own."""
        parts = self._request.parts()
        (choice,) = self._request.choices
        texts: list[str] = []
        try:
            found = await anext(parts, None)
            begun = {**self._head, "status": "in_progress", "error": None, "incomplete_details": None}
            begun |= {"output": [], "usage": None}
            item = {"id": self._item, "type": "message", "status": "in_progress", "role": "assistant"}
            yield [
                self._event("response.created", response=begun),
                self._event("response.in_progress", response=begun),
                self._event("response.output_item.added", output_index=0, item={**item, "content": []}),
                self._event("response.content_part.added", **self._place(), part=self._part("", ())),
            ]
            while found is not None:
                events = []
                for part in found:
                    texts.append(part.text)
                    choice.entries += part.entries
                    if part.text or part.entries:
                        said = {"delta": part.text, "logprobs": self._probabilities(part.entries)}
                        events.append(self._event("response.output_text.delta", **self._place(), **said))
                if events:
                    yield events
                found = await anext(parts, None)
        finally:
            await parts.aclose()
        choice.text = "".join(texts)
        last = "response.incomplete" if choice.finish == "length" else "response.completed"
        text = {"text": choice.text, "logprobs": self._probabilities(choice.entries)}
        part_made = self._part(choice.text, choice.entries)
        yield [
            self._event("response.output_text.done", **self._place(), **text),
            self._event("response.content_part.done", **self._place(), part=part_made),
            self._event("response.output_item.done", output_index=0, item=self._message(choice)),
            self._event(last, response=self.whole(choice)),
        ]

    def _event(self, kind: str, **fields: Plain) -> str:
        made = {"type": kind, "sequence_number": self._told, **fields}
        self._told += 1
        return f"event: {kind}\ndata: {ENCODER.encode(made)}"

    def _place(self) -> dict[str, Plain]:
        return {"item_id": self._item, "output_index": 0, "content_index": 0}

    def _message(self, choice: Choice) -> dict[str, Plain]:
        return {
            "id": self._item,
            "type": "message",
            "status": "incomplete" if choice.finish == "length" else "completed",
            "role": "assistant",
            "content": [self._part(choice.text, choice.entries)],
        }

    def _part(self, text: str, entries: Sequence[Entry]) -> dict[str, Plain]:
        logprobs = self._probabilities(entries)
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    def _probabilities(self, entries: Sequence[Entry]) -> Plain:
        return [] if self._request.alternatives is None else chat_logprobs(entries)["content"]


def messages_of(fields: ResponsesRequest) -> list[ChatMessage]:
    """The conversation of a request."""
    for item in [] if isinstance(fields.input, str) else fields.input:
        if item.type != "message":
            raise RequestError(400, f"input has an item of type {item.type!r}: only messages", param="input")
    given = (
        [ChatMessage(role="user", content=fields.input)] if isinstance(fields.input, str) else fields.input
    )
    system = [] if not fields.instructions else [ChatMessage(role="system", content=fields.instructions)]
    return [*system, *given]


def routes(models: Models, signer: Signer) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1", tags=["writing"])

    @router.post("/responses", response_model=None)
    async def responses(fields: ResponsesRequest) -> Response:
        """Answer a text or a conversation."""
        served = models.get(fields.model)
        for name, why in KEPT.items():
            if getattr(fields, name):
                raise RequestError(400, f"{name} cannot be used: {why}", param=name)
        if (form := (fields.text or {}).get("format")) is not None:
            fields = fields.model_copy(update={"response_format": form})
        if (fields.n or 1) != 1:
            raise RequestError(400, f"n is {fields.n}: a response has one text", param="n")
        state = signer.from_text(fields.state, served.model)
        prompt = await encode(served, served.template.prompt(messages_of(fields)), state, param="input")
        try:
            request = await begin(served, fields, [prompt], state, stop=served.template.stop)
        except RequestError as error:
            for name, here in NAMES.items():
                if name in (error.param or ""):
                    error.message = error.message.replace(name, here, 1)
                    error.param = (error.param or "").replace(name, here)
            raise
        written = ResponseText(request, fields, signer)
        if fields.stream:
            return EventStream(written.events(), request.cancel, named=True)
        (choice,) = await request.whole()
        return await request.answer(lambda: written.whole(choice))

    return router
