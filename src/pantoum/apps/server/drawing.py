"""How a request wants tokens to be drawn, and the form that it asks its texts to have (OpenAI's
``response_format``, vLLM's ``guided_...`` and ``structured_outputs``): its fields as settings, or an error
that names the field.

A form is made in a thread beside the event loop, before the engine hears of the request: a large one takes a
tenth of a second, and texts of others are written meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import WritingRequest
from pantoum.errors import SettingError
from pantoum.seams import LoadedModel, SamplingConfig, constraint_of

__all__ = ["require_form", "sampling_of"]

MOST_STOPS, LONGEST_STOP = 64, 1000
"""Stop strings of a request, and characters of each: all are looked for after every token."""
MOST_DIGITS = 20
"""Digits of a token's number."""
UNABLE = {
    "tools": "this model calls no tools",
    "functions": "this model calls no functions",
    "suffix": "this model writes forward only",
    "guided_whitespace_pattern": "white space may stand wherever JSON has it",
}
GUIDED = {
    "guided_regex": "matching",
    "guided_choice": "choices",
    "guided_grammar": "grammar",
    "guided_json": "json_schema",
}
STRUCTURED = {"regex": "matching", "choice": "choices", "grammar": "grammar", "json": "json_schema"}
OBJECT = {"type": "object"}


def sampling_of(request: WritingRequest, stop: Sequence[str] = ()) -> SamplingConfig:
    """How a request wants tokens to be drawn; ``stop``: more that ends its texts. What it leaves out has the
    default of ``pantoum generate``: at OpenAI's temperature of 1 models of a few minutes misspell."""
    for name, why in UNABLE.items():
        value = getattr(request, name)
        if value:
            raise RequestError(400, f"{name} cannot be used: {why}; leave it out", param=name)
    if request.best_of is not None and request.best_of != (request.n or 1):
        raise RequestError(
            400, f"best_of is {request.best_of}: must be n ({request.n or 1}); leave it out", param="best_of"
        )
    stops = [*([request.stop] if isinstance(request.stop, str) else request.stop or ()), *stop]
    if len(stops) > MOST_STOPS or any(len(stop) > LONGEST_STOP for stop in stops):
        rule = f"at most {MOST_STOPS} texts of at most {LONGEST_STOP:,} characters each"
        raise RequestError(400, f"stop is too long: {rule}", param="stop")
    bias: dict[int, float] = {}
    for token, value in (request.logit_bias or {}).items():
        if not (token.isascii() and token.isdigit() and len(token) < MOST_DIGITS):
            raise RequestError(
                400, f"logit_bias has the key {token!r}: must be a token's number", param="logit_bias"
            )
        bias[int(token)] = value
    field, form = asked_form(request)
    try:
        SamplingConfig(**form)
    except SettingError as error:
        raise _of_field(error, field) from None
    return SamplingConfig(
        temperature=SamplingConfig.temperature if request.temperature is None else request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        min_p=SamplingConfig.min_p if request.min_p is None else request.min_p,
        repetition_penalty=request.repetition_penalty,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        logit_bias=bias or None,
        stop=tuple(stop for stop in stops if stop),
        **form,
    )


def asked_form(request: WritingRequest) -> tuple[str, dict[str, Any]]:
    """The field that asks for a form, and the setting that it means; nothing where none does."""
    found: dict[str, dict[str, Any]] = {}
    for name, setting in GUIDED.items():
        value = getattr(request, name)
        if value is not None:
            found[name] = {setting: value}
    for name, read in (("response_format", _format), ("structured_outputs", _structured)):
        value = getattr(request, name)
        if value is not None and (settings := read(value)):
            found[name] = settings
    if len(found) > 1:
        told = " and ".join(found)
        raise RequestError(400, f"{told} are given together: a text has one form; leave one out", param=told)
    return next(iter(found.items()), ("", {}))


async def require_form(model: LoadedModel, request: WritingRequest, sampling: SamplingConfig) -> None:
    """Refuse a form that this model cannot write, or not within the length of the request."""
    asked, length = sampling.asked, request.length
    if asked is None or not length:
        return

    def shortest() -> int:
        return constraint_of(model, asked, 1 << 30, spaced=False).to_go

    try:
        needed = await asyncio.to_thread(shortest)
    except SettingError as error:
        raise _of_field(error, asked_form(request)[0]) from None
    if needed > length:
        rule = f"the shortest text of this form has {needed:,} tokens; give {needed:,} or more"
        raise RequestError(400, f"max_tokens is {length:,}: {rule}", param="max_tokens")


def _of_field(error: SettingError, field: str | None) -> RequestError:
    """What is wrong with a form, by the name of the field that asks for it."""
    name, advice = field or error.argument, error.advice.replace(error.argument, field or error.argument)
    told = SettingError(name, error.value, error.rule, advice, shown=error.shown)
    return RequestError(400, str(told), param=field)


def _format(value: object) -> dict[str, Any]:
    """OpenAI's: ``text``, ``json_object``, or ``json_schema`` with its schema."""
    value = value if isinstance(value, Mapping) else {}
    kind = value.get("type")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"json_schema": OBJECT}
    held = value.get("json_schema", value)
    schema = held.get("schema") if isinstance(held, Mapping) else None
    if kind == "json_schema" and isinstance(schema, (Mapping, bool)):
        return {"json_schema": schema}
    rule = "must have the type text, json_object, or json_schema with json_schema.schema"
    raise RequestError(400, f"response_format {rule}", param="response_format")


def _structured(value: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's newer field: one of ``regex``, ``choice``, ``grammar`` and ``json``, or ``json_object``."""
    given = {name: one for name, one in value.items() if one is not None and one is not False}
    if given == {"json_object": True}:
        return {"json_schema": OBJECT}
    if len(given) == 1 and given.keys() <= STRUCTURED.keys() and not isinstance(given.get("choice"), str):
        return {STRUCTURED[name]: one for name, one in given.items()}
    rule = "must have one of regex, choice (a list), grammar, json, json_object"
    told = f"structured_outputs has {', '.join(given) or 'none of them'}: it {rule}"
    raise RequestError(400, told, param="structured_outputs")
