"""What requests may say. Fields are OpenAI's where OpenAI has them; unknown ones are ignored, as OpenAI does.

FastAPI makes ``/docs`` from these classes. Bounds that depend on the model (tokens below its vocabulary) are
checked where the model is known.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_json

__all__ = [
    "ActivationsRequest",
    "ChatMessage",
    "ChatRequest",
    "CompletionRequest",
    "DetokenizeRequest",
    "EmbeddingRequest",
    "FeedRequest",
    "GenerateRequest",
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
CHAT_TOKENS = 500
"""What a chat writes where no length is given."""
LOGPROBS = "message.output_text.logprobs"
"""How ``/v1/responses`` is asked for log-probabilities, beside ``top_logprobs``."""
Token = Annotated[int, Field(ge=0, strict=True)]
Element = TypeVar("Element")
Listed = Annotated[list[Element], Field(max_length=MOST, fail_fast=True)]
"""A list of which the first fault is told: a list of faults could be larger than the request."""
Tokens = Annotated[list[Token], Field(fail_fast=True)]
Texts = Annotated[str | Tokens | Listed[str] | Listed[Tokens], Field(union_mode="left_to_right")]


class RequestFields(BaseModel):
    """What all requests share."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def is_unicode(cls, fields: Any) -> Any:
        """Refuse half of a surrogate pair, which JSON can hold and no encoding: no model could read it, and
        no answer repeat it."""
        try:
            to_json(fields, inf_nan_mode="constants")
        except ValueError:
            raise ValueError("the request holds half of a surrogate pair; send whole characters") from None
        return fields


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
        description="Default 0.9, as in pantoum generate, not 1 as in OpenAI's interface; 0 is greedy.",
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
        None, ge=-1, lt=2**63, description="As generate --seed; without it, or with -1, it is drawn."
    )
    n: int | None = Field(None, ge=1, le=4096)
    stop: str | Listed[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    return_state: bool = Field(False, description="Return the state after each text as base64.")
    response_format: dict[str, Any] | None = Field(
        None, description="text, json_object, or json_schema with its schema."
    )
    guided_regex: str | None = Field(None, description="A regular expression that the whole text matches.")
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

    @property
    def length(self) -> int:
        """The tokens to write."""
        raise NotImplementedError

    @property
    def alternatives(self) -> int | None:
        """How many alternatives to show of each token; ``None``: no log-probabilities either."""
        raise NotImplementedError


STANDS = "The tokens that the session must have read; otherwise the answer is 409 and nothing is done twice."


class TextRequest(WritingRequest):
    """What a completion and a session have in common."""

    max_tokens: int | None = Field(None, ge=0, lt=2**63, description="Default 16, as in OpenAI's interface.")
    logprobs: int | None = Field(None, ge=0, le=20)

    @property
    def length(self) -> int:
        """The tokens to write."""
        return 16 if self.max_tokens is None else self.max_tokens

    @property
    def alternatives(self) -> int | None:
        """How many alternatives to show of each token."""
        return self.logprobs


class GenerateRequest(TextRequest):
    """What a session writes next: a completion's fields without a prompt."""

    tokens_seen: int | None = Field(None, ge=0, description=STANDS)
    prompt: str | None = Field(None, description="A text that the session reads first.")


class CompletionRequest(TextRequest):
    """``POST /v1/completions``. ``state``: go on from a state of this server; the prompt follows it."""

    model: str | None = None
    prompt: Texts | None = None
    echo: bool | None = None
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

    @property
    def length(self) -> int:
        """The tokens to write; the newer name counts where both are given."""
        given = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return CHAT_TOKENS if given is None else given

    @property
    def alternatives(self) -> int | None:
        """How many alternatives to show of each token."""
        return (self.top_logprobs or 0) if self.logprobs else None


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

    @property
    def length(self) -> int:
        """The tokens to write."""
        return CHAT_TOKENS if self.max_output_tokens is None else self.max_output_tokens

    @property
    def alternatives(self) -> int | None:
        """How many alternatives to show of each token."""
        asked = self.top_logprobs is not None or LOGPROBS in (self.include or ())
        return (self.top_logprobs or 0) if asked else None


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
    units: Annotated[Tokens, Field(min_length=1, max_length=64)]


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
    tokens: Tokens


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
