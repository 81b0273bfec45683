"""What follows a prompt, or several: which way of writing a request needs.

Texts of all prompts are streams of one batch. Where texts are chosen (``unique``, ``novel``, ``n_best``) each
prompt has its turn, because what is chosen among are the texts of one prompt. Text k of every prompt draws
from stream k of the seed, so a prompt among others gets what it gets alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pantoum.config import GenerationConfig, SamplingConfig, require
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Generation, Piece, Text, completed, draw_seed

if TYPE_CHECKING:
    from typing import TypeAlias

    from pantoum.inference.writing.distinct import Distinct

    WrittenTexts: TypeAlias = "Generation | Distinct | ChosenTexts"
    """Texts that are written while it is iterated; a second iteration continues an interrupted one. Each has
    ``seed``, ``texts``, ``rejected``, ``finished`` and ``state``."""


def write_after(
    model: LoadedModel,
    prompts: Sequence[str],
    how_much: GenerationConfig,
    sampling: SamplingConfig,
    state: State | None = None,
) -> WrittenTexts:
    """What writes the texts that follow each prompt, from a state or from the beginning; nothing is written
    yet."""
    one = len(prompts) == 1
    require(
        one or not (how_much.adapt or how_much.model_out is not None),
        "adapt",
        how_much.adapt,
        f"cannot learn from {len(prompts)} prompts at once",
        "give one prompt, or leave adapt out",
    )
    if how_much.adapt or how_much.model_out is not None:
        from pantoum.inference.adapted import adapted_to, require_out

        require_out(model, how_much.adapt, how_much.model_out)
        begun = State.start(model) if state is None else State.required(state)
        model, state = adapted_to(model, prompts[0], begun, how_much.model_out)
    how_much = replace(how_much, seed=draw_seed() if how_much.seed is None else how_much.seed)
    states = [_after(model, prompt, state) for prompt in prompts]
    if not how_much.chooses:
        return Generation(model, states, sampling, how_much)
    goes_on = state is not None and state.last_token != model.eos
    from pantoum.inference.writing.distinct import Distinct

    best = how_much.n_best
    if best is not None:
        how_much = replace(how_much, unique=True, exact=True, n_best=None)
    pairs = zip(prompts, states, strict=True)
    parts = [Distinct(model, after, sampling, how_much, prompt, goes_on) for prompt, after in pairs]
    return parts[0] if one and best is None else ChosenTexts(parts, best)


def _after(model: LoadedModel, prompt: str, state: State | None) -> State:
    session = Session(model, state)
    session.feed(prompt)
    return session.state


class ChosenTexts:
    """The texts that were chosen after several prompts, those of one prompt after the other. With ``best``
    the so many most probable ones after each prompt, best first: their rank is the log-probability of the
    whole text, its end included, under the model without sampling settings. Texts without an end of their
    own have one length, so that none is ahead for being short."""

    def __init__(self, parts: Sequence[Distinct], best: int | None = None) -> None:
        self.seed = parts[0].seed
        self.texts: list[Text] = []
        self._parts, self._best = parts, best
        self._given = 0
        self._ranked: dict[int, Iterator[Text]] = {}
        """The best texts after a prompt that were not given yet."""

    @property
    def rejected(self) -> dict[str, int]:
        """The sums over all prompts."""
        counts = [part.rejected for part in self._parts]
        return {name: sum(each[name] for each in counts) for name in counts[0]}

    def __iter__(self) -> Iterator[Piece]:
        for prompt in range(len(self._parts)):
            for text in self._after(prompt):
                text.prompt = prompt
                self.texts.append(text)
                self._given += 1
                yield Piece(self._given - 1, text.text)

    def _after(self, prompt: int) -> Iterator[Text]:
        part = self._parts[prompt]
        if self._best is None:
            return (part.texts[piece.index] for piece in part)
        if prompt not in self._ranked:
            texts = sorted(completed(part).texts, key=lambda text: text.nats)
            self._ranked[prompt] = iter(texts[: self._best])
        return self._ranked[prompt]

    def finished(self, index: int) -> bool:
        """Whether text ``index`` was given, which is given whole."""
        return index < self._given

    def state(self, index: int = 0) -> State:
        """The state after text ``index``."""
        return self.texts[index].stream.state
