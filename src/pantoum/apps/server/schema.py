"""What requests may say. Fields are OpenAI's where OpenAI has them; unknown ones are ignored, as OpenAI does.

FastAPI makes ``/docs`` from these classes. Bounds that depend on the model (tokens below its vocabulary) are
checked where the model is known.

The routes of ``KnownFields`` keep no field of a body that they do not know. The framework keeps the body as
it was parsed until the answer is sent. A megabyte of JSON is some ten megabytes of Python objects, and many
requests may wait for a slot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from pantoum.apps.server.refusals import RequestError

__all__ = [
    "ActivationsRequest",
    "ChatMessage",
    "ChatRequest",
    "CompletionRequest",
    "DetokenizeRequest",
    "EmbeddingRequest",
    "FeedRequest",
    "GenerateRequest",
    "KnownFields",
    "ResponsesRequest",
    "RewindRequest",
    "ScoreRequest",
    "SessionRequest",
    "StreamOptions",
    "SuggestRequest",
    "TokenizeRequest",
    "UnitsRequest",
    "WritingRequest",
]

MOST = 4096
"""Elements that a list may have; more are refused before the first is looked at."""
Token = Annotated[int, Field(ge=0)]
Element = TypeVar("Element")
Listed = Annotated[list[Element], Field(max_length=MOST, fail_fast=True)]
"""A list of which the first fault is told: a list of faults could be larger than the request."""


def looked_at(value: Any) -> Any:
    """A text, tokens, or a list of either, looked at once and as far as the first fault. Pydantic would try
    each form on each element and keep what is wrong with it: some seconds, and a kilobyte per element."""
    if value is None or isinstance(value, str):
        return value
    if type(value) is not list:
        raise _fault("must be a text, tokens, or a list of either")
    if not value or type(value[0]) is int:
        return _tokens(value)
    if len(value) > MOST:
        raise _fault(f"has {len(value):,} elements: must have {MOST:,} at most")
    kind = type(value[0])
    for place, one in enumerate(value):
        if type(one) is not kind or kind not in (str, list):
            raise _fault("must be texts, or else tokens, as the first one", place)
        if kind is list:
            _tokens(one, place)
    return value


def _tokens(value: list[Any], *place: int) -> list[Any]:
    if not (set(map(type, value)) <= {int} and min(value, default=0) >= 0):
        wrong = next(at for at, one in enumerate(value) if type(one) is not int or one < 0)
        raise _fault("must be a token's number", *place, wrong)
    return value


def looked_at_tokens(value: Any) -> Any:
    """A list of tokens, looked at once."""
    if type(value) is not list:
        raise _fault("must be a list of tokens")
    return _tokens(value)


def _fault(rule: str, *place: int) -> PydanticCustomError:
    where = f"element {'.'.join(map(str, place))} " if place else ""
    return PydanticCustomError("texts", "{told}", {"told": where + rule})


Texts = Annotated[
    Any, PlainValidator(looked_at, json_schema_input_type=str | list[str] | list[Token] | list[list[Token]])
]


class RequestFields(BaseModel):
    """What all requests share."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, protected_namespaces=())


class StreamOptions(RequestFields):
    """What a stream carries beside the text."""

    include_usage: bool = False


class WritingRequest(RequestFields):
    """How a text is written. Beyond OpenAI's fields: ``top_k``, ``min_p``, ``repetition_penalty``, the
    settings of ``pantoum generate``, and ``return_state``."""

    temperature: float | None = Field(
        None,
        ge=0.0,
        le=100.0,
        description="Default 0.9, as pantoum generate, not 1, as OpenAI's; 0 is greedy.",
    )
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    top_k: int | None = Field(None, ge=1)
    min_p: float | None = Field(None, ge=0.0, le=1.0, description="Default 0.05; 0: none.")
    repetition_penalty: float | None = Field(None, gt=0.0, le=100.0)
    frequency_penalty: float | None = Field(None, ge=-2.0, le=2.0)
    presence_penalty: float | None = Field(None, ge=-2.0, le=2.0)
    logit_bias: dict[str, float] | None = Field(
        None, max_length=MOST, description="Bias by token number, -100 to 100."
    )
    seed: int | None = Field(
        None, ge=-1, lt=2**63, description="As pantoum generate --seed; none or -1: one is drawn."
    )
    n: int | None = Field(None, ge=1, le=4096)
    stop: str | Listed[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    return_state: bool = Field(False, description="Give the state after each text as base64.")
    response_format: dict[str, Any] | None = Field(
        None, description="text, json_object, or json_schema with its schema."
    )
    guided_regex: str | None = Field(None, description="An expression that the whole text matches.")
    guided_choice: Listed[str] | None = Field(None, min_length=1, description="The text is one of these.")
    guided_grammar: str | None = Field(None, description="A grammar in Lark.")
    guided_json: dict[str, Any] | str | bool | None = Field(None, description="A JSON schema.")
    structured_outputs: dict[str, Any] | None = Field(
        None, description="vLLM's newer form of the same: regex, choice, grammar or json."
    )
    # What cannot be done is said, never ignored.
    best_of: int | None = None
    suffix: str | None = None
    guided_whitespace_pattern: str | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    user: str | None = None


STANDS = "The tokens that the session must have read; otherwise the answer is 409 and nothing is done twice."


class GenerateRequest(WritingRequest):
    """What a session writes next: a completion's fields without a prompt."""

    tokens_seen: int | None = Field(None, ge=0, description=STANDS)
    max_tokens: int | None = Field(None, ge=0, lt=2**63, description="Default 16, as OpenAI's.")
    logprobs: int | None = Field(None, ge=0, le=20)
    prompt: str | None = Field(None, description="A text that the session reads first.")


class CompletionRequest(WritingRequest):
    """``POST /v1/completions``. ``state``: go on from a state of this server; the prompt follows it."""

    model: str | None = None
    prompt: Texts | None = None
    max_tokens: int | None = Field(None, ge=0, lt=2**63, description="Default 16, as OpenAI's.")
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=20)
    state: str | None = None


class ContentPart(RequestFields):
    """A part of a message."""

    type: str
    text: str | None = None


class ChatMessage(RequestFields):
    """A message of a chat."""

    role: str
    content: str | Listed[ContentPart] | None = None
    name: str | None = None


class ChatRequest(WritingRequest):
    """``POST /v1/chat/completions``. The messages become one prompt by the chat template."""

    model: str | None = None
    messages: Annotated[Listed[ChatMessage], Field(min_length=1)]
    max_tokens: int | None = Field(None, ge=0, lt=2**63, description="Default 500.")
    max_completion_tokens: int | None = Field(None, ge=0, lt=2**63)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    state: str | None = None


class InputItem(ChatMessage):
    """A message of a conversation in OpenAI's newer form."""

    role: str = "user"
    type: str = "message"


class ResponsesRequest(WritingRequest):
    """``POST /v1/responses``: a text, or a conversation, with instructions before it."""

    model: str | None = None
    input: str | Annotated[Listed[InputItem], Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=0, lt=2**63, description="Default 500.")
    top_logprobs: int | None = Field(None, ge=0, le=20)
    include: Listed[str] | None = None
    text: dict[str, Any] | None = None
    metadata: dict[str, str] | None = Field(None, max_length=16)
    state: str | None = None
    # What cannot be done is said, never ignored.
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None


class EmbeddingRequest(RequestFields):
    """``POST /v1/embeddings``: the last layer's output after a text, or its mean over the tokens."""

    model: str | None = None
    input: Texts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    pooling: Literal["last", "mean"] = "last"
    user: str | None = None


class ScoreRequest(RequestFields):
    """``POST /v1/score``: how surprising each piece of a text is, as ``pantoum score`` says it."""

    model: str | None = None
    text: str
    by: Literal["token", "word", "line"] = "line"
    alert: float | str | None = Field(None, description="Nats, or auto:P%, learned from the held-out text.")
    documents: bool = Field(False, description="Each line is a text of its own.")


class SuggestRequest(RequestFields):
    """``POST /v1/suggest``: the next words after a text, or after a session and a text. Where the text ends
    within a word, the words begin with what is there of it."""

    model: str | None = None
    prompt: str | None = None
    session: str | None = Field(None, description="The id of a session, which does not change.")
    k: int = Field(3, ge=1, le=100)


class ActivationsRequest(RequestFields):
    """``POST /v1/activations``: what units of the network hold after each token of a text."""

    model: str | None = None
    text: str
    units: Annotated[list[Token], Field(min_length=1, max_length=64, fail_fast=True)]


class UnitsRequest(RequestFields):
    """``POST /v1/units``: the units that follow a property of a text most closely."""

    model: str | None = None
    text: str
    feature: Literal["line-length", "quotes", "indentation"] = "line-length"
    count: int = Field(10, ge=1, le=100)


class TokenizeRequest(RequestFields):
    """``POST /tokenize``: a text or a chat. ``add_special_tokens`` changes nothing: there are none."""

    model: str | None = None
    prompt: str | None = None
    content: str | None = None
    messages: Listed[ChatMessage] | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None
    with_pieces: bool | None = None


class DetokenizeRequest(RequestFields):
    """``POST /detokenize``."""

    model: str | None = None
    tokens: Annotated[list[int], PlainValidator(looked_at_tokens, json_schema_input_type=list[Token])]


class SessionRequest(RequestFields):
    """``POST /v1/sessions``: from nothing, a state, or another session; then a prompt, if one is given."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, protected_namespaces=())
    model: str | None = None
    prompt: str | None = None
    state: str | None = None
    from_: str | None = Field(None, alias="from")


class FeedRequest(RequestFields):
    """``POST /v1/sessions/{id}/feed``."""

    text: str
    tokens_seen: int | None = Field(None, ge=0, description=STANDS)


class RewindRequest(RequestFields):
    """``POST /v1/sessions/{id}/rewind``: to a mark that the session keeps."""

    tokens_seen: int = Field(ge=0)


HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON writes half of a surrogate pair, or of a character beyond the first 65,536."""


def require_unicode(fields: dict[str, Any]) -> None:
    """Refuse half of a surrogate pair, which JSON can hold and no encoding: neither a model could read it,
    nor an answer repeat it."""
    for name, value in fields.items():
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            rule = f"{name} holds half of a surrogate pair, U+{ord(error.object[error.start]):04X}"
            raise RequestError(400, f"{rule}; send whole characters", param=name) from None


class KnownFields(APIRoute):
    """A route whose body is one object."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handler = super().get_route_handler()
        model = None if self.body_field is None else self.body_field.field_info.annotation
        declared = getattr(model, "model_fields", {})
        known = {one.alias or name for name, one in declared.items()}

        class Lean(Request):
            async def json(self) -> Any:
                text = (await self.body()).decode("utf-8-sig")  # json would read any of five encodings
                value = json.loads(text)
                if isinstance(value, dict):
                    for name in value.keys() - known:
                        del value[name]
                    if HALF.search(text):
                        require_unicode(value)
                return value

        async def handle(request: Request) -> Response:
            return await handler(Lean(request.scope, request.receive))

        return handle
