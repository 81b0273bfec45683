"""Generation: K texts from a state, or from each of several.

All ways of generation (``after_prompts.WrittenTexts``) have in common: iterate for the pieces of the texts,
then ask for the texts and their states. ``Generation`` gives each piece at once, ``Distinct`` (``distinct``)
a whole text when it is accepted.

The texts of ``Generation`` are streams of a ``StreamBatch``: text k of a state draws from stream k of the
seed, so text 0 is what a single run writes. Each ends on its own; the others go on. What a text needs beside
the state lives in its stream; the bytes of a character that is not whole stay in the state and come with the
next token, also in another process.

When a text nears its length it may end after a line or a sentence (``Ending``), not in the middle of a word.
A text of N tokens may end within its last ``SHARE`` of N (at most ``MOST`` tokens), as soon as it stands at
the end of a line or of a sentence; it never has more than N tokens. A sentence ends with ``.``, ``!``, ``?``
or ``…`` and the quotation marks and brackets after it. Where tokens are bytes or characters, white space must
follow, because a point may be part of a number; larger tokens include the white space before a word, so the
last token of the sentence decides there. The rule depends on the text alone, so a text ends at the same place
alone, in a batch, and streamed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.inference.writing.stream_batch import Stream, StreamBatch


def draw_seed() -> int:
    """A seed for those who gave none: short enough to be typed again."""
    return int.from_bytes(os.urandom(4), "little") >> 1


@dataclass(frozen=True)
class Piece:
    """Some characters of text number ``index``; never a part of a character."""

    index: int
    text: str


class Text:
    """One text as it grows."""

    def __init__(self, index: int, stream: Stream, prompt: int = 0) -> None:
        """``prompt``: the number of the prompt that it follows."""
        self.index, self.stream, self.prompt = index, stream, prompt
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        """The continuation so far, without what is held back."""
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """Tokens written."""
        return self.stream.tokens

    @property
    def nats(self) -> float:
        """The nats of all tokens under the model itself, without sampling settings."""
        return self.stream.nats

    @property
    def stopped(self) -> str | None:
        """Why it ended before its length: ``stop`` or ``eos``."""
        return self.stream.stopped


class Candidate(NamedTuple):
    """A text among several, and how probable it is."""

    text: str
    log_probability: float
    """Natural logarithm of the probability of all its tokens, one after the other, under the model itself."""
    tokens: int


W = TypeVar("W", bound=Iterable[Piece])


def completed(writing: W) -> W:
    """The same, after all is written."""
    for _ in writing:
        pass
    return writing


class Generation:
    """K texts from each state, each piece at once. Unless ``exact``, a text may end a little before its
    length, at the end of a line or a sentence (``ending``); documents and stop strings have ends of their
    own."""

    rejected: Mapping[str, int] = {}

    def __init__(
        self,
        model: LoadedModel,
        state: State | Sequence[State],
        sampling: SamplingConfig,
        how_much: GenerationConfig,
        first: int = 0,
    ) -> None:
        """``state``: after the prompt, or one after each of several. ``first``: the stream that text 0 of a
        state draws from. ``how_much`` counts as far as length, seed,
        number and ``exact``."""
        self.seed = seed = draw_seed() if how_much.seed is None else how_much.seed
        length, count = how_much.length, how_much.count
        states = [state] if isinstance(state, State) else state
        self._batch = StreamBatch(model, count * len(states))
        self.texts = [
            Text(
                number * count + k,
                self._batch.join(each, length=length, sampling=sampling, seed=seed, stream=first + k),
                number,
            )
            for number, each in enumerate(states)
            for k in range(count)
        ]
        self._of = {text.stream: text for text in self.texts}
        self._told: set[int] = set()
        ends_early = not how_much.exact and model.eos is None and not sampling.stop and not sampling.asked
        self._rounds, self._early = 0, length - tolerance(length) if ends_early else None
        self._endings = {text.stream: Ending(model.tokenizer.declared.single) for text in self.texts}

    def __iter__(self) -> Iterator[Piece]:
        while before := len(self._batch):
            # All texts take their token before any piece is given: the caller may stop at any piece.
            pieces = [self._keep(self._of[stream], shown) for stream, shown in self._batch.round()]
            self._rounds += 1
            if self._early is not None and self._rounds >= self._early:
                self._end_early(pieces)
            yield from pieces
            if len(self._batch) != before:
                self._told = {text.index for text in self.texts if text.stream.ended}

    def _keep(self, text: Text, shown: str) -> Piece:
        text.pieces.append(shown)
        return Piece(text.index, shown)

    def _end_early(self, pieces: list[Piece]) -> None:
        """Let each text go that stands at the end of a line or a sentence."""
        for piece in pieces:
            stream = self.texts[piece.index].stream
            if self._endings[stream].reached(piece.text) and not stream.ended:
                self._batch.leave(stream)

    def finished(self, index: int) -> bool:
        """Whether text ``index`` has ended and all of its pieces were given."""
        return index in self._told

    @property
    def failed(self) -> bool:
        """Whether a round did not complete: there is no state to go on from."""
        return self._batch.failed

    def state(self, index: int = 0) -> State:
        """The state after text ``index``: the last token drawn is still unread."""
        return self.texts[index].stream.state


SHARE, MOST = 0.2, 200
TAIL = 8
CLOSED = "[.!?…][\"'”’»)\\]]*"
AFTER_SPACE = re.compile(rf"(?:\n|{CLOSED}[ \t])$")
AT_ONCE = re.compile(rf"(?:\n|{CLOSED})$")


def tolerance(length: int) -> int:
    """How many tokens before its length a text may end."""
    return min(int(SHARE * length), MOST)


class Ending:
    """Watches one text."""

    def __init__(self, single: bool) -> None:
        """``single``: whether each token is one character."""
        self._pattern = AFTER_SPACE if single else AT_ONCE
        self._tail = ""

    def reached(self, piece: str) -> bool:
        """Whether the text may end after this next piece."""
        self._tail = (self._tail + piece)[-TAIL:]
        return self._pattern.search(self._tail) is not None
