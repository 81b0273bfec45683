"""How a request wants tokens to be drawn: its fields as settings, or an error that names the field."""

from __future__ import annotations

from pantoum.config import SamplingConfig
from pantoum.errors import SettingError
from pantoum.server.asked_forms import asked_form
from pantoum.server.refusals import RequestError
from pantoum.server.schema import WritingRequest

__all__ = ["sampling_of"]

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


def sampling_of(request: WritingRequest) -> SamplingConfig:
    """How a request wants tokens to be drawn. The default of the temperature is that of OpenAI; settings that
    OpenAI does not have take the default of ``pantoum generate``."""
    for name, why in UNABLE.items():
        value = getattr(request, name)
        if value:
            raise RequestError(400, f"{name} cannot be used: {why}; leave it out", param=name)
    if request.best_of is not None and request.best_of != (request.n or 1):
        raise RequestError(
            400, f"best_of is {request.best_of}: must be n ({request.n or 1}); leave it out", param="best_of"
        )
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if len(stops) > MOST_STOPS or any(len(stop) > LONGEST_STOP for stop in stops):
        rule = f"at most {MOST_STOPS} texts of at most {LONGEST_STOP:,} characters each"
        raise RequestError(400, f"stop has too much to look for after each token: {rule}", param="stop")
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
        raise RequestError(400, str(error), param=field) from None
    return SamplingConfig(
        temperature=1.0 if request.temperature is None else request.temperature,
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
