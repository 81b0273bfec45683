"""K texts that differ from one another (``unique``), or that no training document is (``novel``).

Texts are written side by side as ever, text k from stream k of the seed. Those that are not wanted are
replaced by texts from the next streams, wave by wave, and judged in the order of their streams: so what comes
out is a function of the seed, whatever the batch. After ``most_draws`` texts what was found stands.

Compared is the whole text, prompt and continuation, normalised as ``novelty`` does it. A text that is both
repeated and known counts as repeated.
"""

from __future__ import annotations

from pantoum.config import SamplingConfig, require
from pantoum.inference.generate import Generation, Text
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.novelty import NoveltyFilter, normalised
from pantoum.inference.state import State

__all__ = ["Distinct", "most_draws"]


def most_draws(count: int) -> int:
    """Texts that are written at most to find so many."""
    return 20 * count + 100


class Distinct:
    """The texts that were found, with how many were not wanted."""

    def __init__(
        self,
        model: LoadedModel,
        state: State,
        sampling: SamplingConfig,
        length: int,
        seed: int,
        count: int,
        prompt: str,
        *,
        unique: bool,
        novel: bool,
    ) -> None:
        known = NoveltyFilter.from_extras(model.extras) if novel else None
        require(
            not novel or known is not None,
            "novel",
            novel,
            "needs a model that knows its training documents, and this one has no filter of them",
            "train it with --documents (an older one anew), or leave --novel out",
        )
        self.seed, self.count = seed, count
        self.texts: list[Text] = []
        self.repeated = self.known = self.drawn = 0
        """Texts that were there already, that are training documents, and that were written in all."""
        seen: set[bytes] = set()
        while len(self.texts) < count and self.drawn < most_draws(count):
            wave = min(count - len(self.texts), most_draws(count) - self.drawn)
            generation = Generation(model, state, sampling, length, seed, wave, first=self.drawn)
            for _ in generation:
                pass
            self.drawn += wave
            for text in generation.texts:
                whole = prompt + text.text
                plain = normalised(whole.encode("utf-8", "replace"))
                if unique and plain in seen:
                    self.repeated += 1
                elif known is not None and known.knows(whole):
                    self.known += 1
                else:
                    self.texts.append(text)
                seen.add(plain)

    @property
    def note(self) -> str | None:
        """What to say where there are too few."""
        if len(self.texts) == self.count:
            return None
        return (
            f"only {len(self.texts)} of {self.count} texts were found among {self.drawn:,}: "
            f"{self.repeated:,} were repeated, {self.known:,} training documents; raise --temperature, or "
            f"ask for fewer"
        )

    def state(self, index: int = 0) -> State:
        """Where the text of this place stands."""
        return self.texts[index].stream.state
