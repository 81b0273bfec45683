"""The prompt of a request as tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.apps.server.models import Served
from pantoum.apps.server.refusals import RequestError
from pantoum.seams import State, encode_prompt, prompt_places, space_held

__all__ = ["Prompt", "encode"]

LONG = 20_000
"""Characters or tokens from which a prompt is encoded in another thread."""


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
    if isinstance(text, str):
        read, held = space_held(model.tokenizer, text, b"" if state is None else state.pending)
        waited = len(read) - len(text) + (held == b" " and text.endswith(" "))  # a space of the text before

        def encoded() -> Prompt:
            tokens_T, notes = encode_prompt(model.tokenizer, read)

            def found() -> tuple[int, ...]:
                begins = prompt_places(model.tokenizer, read, tokens_T)
                return tuple(max(0, begin - waited) for begin in begins)

            return Prompt(text, tokens_T, tuple(notes), held, found if places else None)

        return encoded() if len(text) < LONG else await served.line.run(encoded)

    def decoded() -> Prompt:
        size = model.vocab_size
        outside = [token for token in text if not 0 <= token < size]
        if outside:
            rule = f"this model's tokens are 0 to {size - 1}"
            raise RequestError(400, f"{param} has the token {outside[0]}: {rule}", param=param)
        return Prompt(model.tokenizer.decode(text), np.array(text, np.int64))

    return decoded() if len(text) < LONG else await served.line.run(decoded)
