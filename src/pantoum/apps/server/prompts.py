"""The prompts of a request as tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.apps.server.models import Served
from pantoum.apps.server.refusals import RequestError
from pantoum.seams import State, encode_prompt, prompt_places, space_held

__all__ = ["MOST_PROMPT", "Prompt", "encode", "prompts_of", "require_places", "require_prompt"]

LONG = 20_000
"""Characters or tokens from which a prompt is encoded in another thread."""
MOST_PROMPT = 500_000
"""Tokens that a request may let the model read."""


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
        rule = f"this server takes {most} at once, those that wait included"
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
    return make(text) if len(text) < LONG else await served.line.run(make, text)


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
