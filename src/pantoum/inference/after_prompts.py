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
from pantoum.inference.writing.generation import Generation, Piece, Text, draw_seed

if TYPE_CHECKING:
    from typing import TypeAlias

    from pantoum.inference.writing.distinct import Distinct
    from pantoum.inference.writing.n_best import NBest

    WrittenTexts: TypeAlias = "Generation | Distinct | NBest | _InTurn"
    """Texts that are written while it is iterated; a second iteration continues an interrupted one. Each has
    ``seed``, ``texts``, ``rejected``, ``finished`` and ``state``."""

__all__ = ["write_after"]


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
    pairs = zip(prompts, states, strict=True)
    parts = [_chosen(model, after, sampling, how_much, prompt, goes_on) for prompt, after in pairs]
    return parts[0] if one else _InTurn(parts)


def _chosen(
    model: LoadedModel,
    state: State,
    sampling: SamplingConfig,
    how_much: GenerationConfig,
    prompt: str,
    goes_on: bool,
) -> Distinct | NBest:
    """The texts after one prompt that are chosen among those that are written."""
    from pantoum.inference.writing.distinct import Distinct

    if how_much.n_best is None:
        return Distinct(model, state, sampling, how_much, prompt, goes_on)
    from pantoum.inference.writing.n_best import NBest

    candidates = replace(how_much, unique=True, exact=True, n_best=None)
    return NBest(Distinct(model, state, sampling, candidates, prompt, goes_on), how_much.n_best)


def _after(model: LoadedModel, prompt: str, state: State | None) -> State:
    session = Session(model, state)
    session.feed(prompt)
    return session.state


class _InTurn:
    """The texts of several prompts, those of one prompt after the other."""

    def __init__(self, parts: Sequence[Distinct | NBest]) -> None:
        self.seed = parts[0].seed
        self.texts: list[Text] = []
        self._parts = parts
        self._given = 0

    @property
    def rejected(self) -> dict[str, int]:
        """The sums over all prompts."""
        counts = [part.rejected for part in self._parts]
        return {name: sum(each[name] for each in counts) for name in counts[0]}

    def __iter__(self) -> Iterator[Piece]:
        for prompt, part in enumerate(self._parts):
            for piece in part:
                text = part.texts[piece.index]
                text.prompt = prompt
                self.texts.append(text)
                self._given += 1
                yield Piece(self._given - 1, piece.text)

    def finished(self, index: int) -> bool:
        """Whether text ``index`` was given, which is given whole."""
        return index < self._given

    def state(self, index: int = 0) -> State:
        """The state after text ``index``."""
        return self.texts[index].stream.state
