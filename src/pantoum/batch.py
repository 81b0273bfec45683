"""Many streams of a model at once, as Python users see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pantoum.config import SamplingConfig, text
from pantoum.config.calls import taking
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.generation import draw_seed
from pantoum.inference.writing.stream import Stream
from pantoum.inference.writing.stream_batch import StreamBatch

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.config.keywords import Sampling

__all__ = ["ModelBatch"]


class ModelBatch(StreamBatch):
    """Streams of a model in one batch, each with a prompt, a length and settings of its own. Iterate for the
    pieces of all of them as they come; streams may join and leave meanwhile, from any thread."""

    @taking(SamplingConfig)
    def start(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        seed: int | None = None,
        stream: int = 0,
        state: State | None = None,
        **sampling: Unpack[Sampling],
    ) -> Stream:
        """A stream that continues a prompt, or a state and a prompt; what it writes does not depend on the
        other streams."""
        settings = SamplingConfig(**dict[str, Any](sampling))
        session = Session(self.model, state)
        session.feed(text(prompt, "prompt"))
        chosen = draw_seed() if seed is None else seed
        return self.join(session.state, length=length, sampling=settings, seed=chosen, stream=stream)
