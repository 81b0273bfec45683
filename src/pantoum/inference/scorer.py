"""How surprising each piece of a text is to a model, in nats: by token, by word, by line.

The first token is scored too, as what follows a newline (the border, with documents), so that a line's
score does not depend on being the first. What a token decodes to is what is shown; a symbol unknown to the
tokenizer, most surprising of all, and blank lines between documents are shown as the text has them
(``Originals``).

``Scorer`` reads a text that grows, a part at a time, its state carried: memory does not grow with it, and
the result does not depend on where the parts are cut. In order: text -> tokens, as soon as they are certain
-> nats (``reader``) -> pieces and units (``units``). A line is certain when it has ended. The exceptions:
where a token may join a line's end with the white space of the next one, and where a blank line may end a
document, it is certain when the next line has begun.

A unit's *peak* is the nats of its most surprising token. An alert looks at the peak: a long ordinary line has
more nats than a short one but no higher peak, and one impossible token is not lost among many likely ones.
``asked_scorer`` is the scorer of a configuration: what reads, what is saved, beyond which peak is an alert.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from pantoum.config import ScoreConfig, require
from pantoum.config.plain import Plain
from pantoum.config.score import ignored
from pantoum.inference.adapted import SavedMeanwhile, adapter_of
from pantoum.inference.alert import Peaks, peaks_of, threshold
from pantoum.inference.cache_settings import with_cache
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring.protocols import SIDE_BY_SIDE
from pantoum.inference.scoring.reader import Following, OneStream, PlainReader, Scored, Segments
from pantoum.inference.scoring.units import (
    LONGEST,
    NO_PIECES,
    Decoding,
    Grouping,
    Piece,
    Pieces,
    Score,
    line_ends,
)
from pantoum.kernels import Array
from pantoum.text.documents import borders, eos_text, mark
from pantoum.text.tokenizer import Tokenizer
from pantoum.text.unicode import Forgiving, as_bytes, without_surrogates

if TYPE_CHECKING:
    from typing_extensions import Self

PART = 1 << 20
"""Characters of a line after which it is read although it has not ended."""


@dataclass(frozen=True, repr=False)
class ScoredText:
    """The scores of a text, by ``by``. Iterate over them, take one or some (``scores[0]``, ``scores[-3:]``),
    or look at the sums."""

    by: str
    items: tuple[Score, ...]
    threshold: float | None = None
    """Nats beyond which a peak is an alert; ``None``: nothing was to be marked."""

    def __repr__(self) -> str:
        mean = "" if self.nats_per_token is None else f", {self.nats_per_token:.4g} nats per token"
        alerts = "" if self.threshold is None else f", {len(self.alerts):,} alerts"
        return f"<Scores of {len(self):,} {self.by}s: {self.tokens:,} tokens{mean}{alerts}>"

    def __iter__(self) -> Iterator[Score]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, place: SupportsIndex) -> Score: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: SupportsIndex | slice) -> Score | Self:
        """One score, or the scores of a part of the text, with its own sums and picture."""
        return replace(self, items=self.items[place]) if isinstance(place, slice) else self.items[place]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The same text by token."""
        return tuple(piece for item in self.items for piece in item.pieces)

    @property
    def alerts(self) -> tuple[Score, ...]:
        """What is beyond the threshold."""
        return tuple(item for item in self.items if item.alert)

    @property
    def nats(self) -> float:
        """The nats of the whole text."""
        return float(sum(item.nats for item in self.items))

    @property
    def tokens(self) -> int:
        """Tokens scored."""
        return sum(item.tokens for item in self.items)

    @property
    def nats_per_token(self) -> float | None:
        """The mean; ``None`` for an empty text."""
        return self.nats / self.tokens if self.tokens else None


class Scorer:
    """Scores a text as it comes. ``following`` gives the nats, in place of the model as it is.

    ``threshold`` marks what is beyond it; ``pieces`` keeps each unit's text by token, for a picture;
    ``kept`` saves what is learned, meanwhile and once when nothing more will be read."""

    def __init__(
        self,
        model: LoadedModel,
        config: ScoreConfig | None = None,
        *,
        threshold: float | None = None,
        pieces: bool = False,
        following: Following | None = None,
        kept: SavedMeanwhile | None = None,
    ) -> None:
        config = ScoreConfig() if config is None else config
        resets_V = resets(model, config.documents)
        if following is None and config.streams == 1:
            following = OneStream(PlainReader(model), model.border, resets_V)
        self._following = following or Segments(model.program, config.streams, model.border, resets_V)
        self._tokenizer, self._originals = model.tokenizer, Originals(model.tokenizer)
        self._decoding = Decoding(model.tokenizer)
        mean = config.alert_by == "mean"
        self._grouping = Grouping(config.by, model.tokenizer, mean, threshold, pieces)
        pattern = ignored(config.mask, config.ignore)
        self._ignored = None if pattern is None else Ignored(pattern)
        self.by, self.threshold = config.by, threshold
        self._decoder = Forgiving(model.tokenizer.encoding)
        documents = model.tokenizer.documents
        self._waits = model.tokenizer.declared.joins_lines and documents != "lines"
        self._waits |= documents == "blank-lines"
        self._rest = ""
        self._kept = kept

    @property
    def unknown_tokens(self) -> int:
        """Tokens scored so far that the model does not know."""
        return self._originals.unknown

    def feed(self, text: str | bytes) -> Iterator[list[Score]]:
        """The scores of what is certain when this next part of the text is known, some at a time. Bytes that
        are not UTF-8 become U+FFFD, with a warning, unless the model's tokens are bytes."""
        fits = isinstance(text, (str, bytes))
        require(fits, "text", text, "must be a text (str) or bytes", "give the text itself")
        if self._tokenizer.encoding != "utf-8":
            text = as_bytes(text)
        self._rest += self._decoder.decode(text) if isinstance(text, bytes) else text
        while len(self._rest) >= PART:
            yield from self._read(self._certain(PART) or PART)
        yield from self._read(self._certain(len(self._rest)))

    def feed_rest(self) -> Iterator[list[Score]]:
        """The text has ended, perhaps within a line or a character: what is left of it is read."""
        yield from self.feed(self._decoder.decode(b"", final=True))
        yield from self._read(len(self._rest))

    def finish(self) -> Iterator[list[Score]]:
        """The text has ended: all other scores."""
        yield from self.feed_rest()
        yield from self._scores(self._following.finish())
        yield self._united(self._decoding.finish())
        if self._ignored is not None:
            yield self._grouping.push(self._ignored.finish())
        yield self._grouping.finish()
        self.end()

    def end(self) -> None:
        """Nothing more will be read, finished or not: save what the reader has learned, once."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.end()

    def kept(self) -> tuple[dict[str, Array], dict[str, Plain]] | None:
        """Where it stands after what was fed, for a state file: ``None`` within a character, or where a text
        is read in segments. ``resume`` goes on from there."""
        if not isinstance(self._following, OneStream) or self._decoding.pending:
            return None
        arrays, plain = self._following.kept()
        more: dict[str, Plain] = {"rest": self._rest, "grouping": self._grouping.kept()}
        if self._ignored is not None:
            more["ignored"] = self._ignored.kept()
        return arrays, {**plain, **more}

    def resume(self, arrays: Mapping[str, Array], kept: Mapping[str, Any]) -> None:
        """Go on from there; ``KeyError``, ``ValueError`` or ``TypeError`` where that cannot be."""
        if not isinstance(self._following, OneStream):
            raise ValueError("it is for one stream")
        self._following.resume(arrays, kept)
        self._grouping.resume(kept["grouping"])
        if self._ignored is not None:
            self._ignored.resume(kept["ignored"])
        self._rest = str(kept["rest"])

    @property
    def waiting_text(self) -> str:
        """What was fed and is in no score yet."""
        ignored = [] if self._ignored is None else self._ignored.waiting
        return "".join([*self._grouping.waiting, *ignored, self._rest])

    def batches(self, parts: Iterable[str | bytes]) -> Iterator[list[Score]]:
        """The scores of a whole text that comes in parts, as they are known."""
        for part in parts:
            yield from self.feed(part)
        yield from self.finish()

    def read(self, parts: Iterable[str | bytes]) -> Iterator[Score]:
        """The same, one by one."""
        return itertools.chain.from_iterable(self.batches(parts))

    def _certain(self, end: int) -> int:
        """How much of the first ``end`` characters is certain."""
        certain = self._rest.rfind("\n", 0, end) + 1
        return len(self._rest[:certain].rstrip()) if self._waits else certain

    def _read(self, certain: int) -> Iterator[list[Score]]:
        text, self._rest = self._rest[:certain], self._rest[certain:]
        data = text if self._tokenizer.encoding == "utf-8" else text.encode("latin-1")
        ids_T = self._tokenizer.encode(data).astype(np.int64)
        self._originals.read(text, ids_T)
        return self._scores(self._following.push(ids_T))

    def _scores(self, scored: Iterable[Scored]) -> Iterator[list[Score]]:
        for ids_T, nats_T in scored:
            yield self._united(self._originals.shown(ids_T, self._decoding.push(ids_T, nats_T)))
            if self._kept is not None:
                self._kept.meanwhile()

    def _united(self, pieces: Pieces) -> list[Score]:
        return self._grouping.push(pieces if self._ignored is None else self._ignored.push(pieces))


def resets(model: LoadedModel, documents: bool) -> NDArray[np.bool_] | None:
    """The tokens before which the state is zeroed: the border of a model's own documents; with
    ``documents`` what holds the end of a line, and perhaps the indentation of the next; none where the text
    is one stream."""
    tokens = np.arange(model.vocab_size)
    borders = model.resets(tokens)
    if borders is not None or not documents:
        return borders
    ends = [b"\n" in model.tokenizer.decode_bytes([token]) for token in tokens.tolist()]
    return np.array(ends)


def asked_scorer(
    model: LoadedModel, config: ScoreConfig, pieces: bool, named: str | None
) -> tuple[Scorer, list[str]]:
    """(the scorer, what a person should know of it). ``pieces``: each score holds its tokens; ``named``: the
    name of the text that will be read, for the card of an adapted model."""
    read = model if config.cache is None else with_cache(model, config.cache)
    adapter = adapter_of(read, config.adapt, config.model_out, [named, config.alert_text])
    nats, notes = threshold(model, config, _ordinary_peaks(model, config))
    if config.documents and model.tokenizer.documents is not None:
        notes.append(
            f"documents has no effect: this model's documents are {model.tokenizer.documents} already"
        )
    if adapter is None:
        return Scorer(read, config, threshold=nats, pieces=pieces), notes
    texts = [] if named is None else [{"name": PurePath(named).name}]
    kept = None if config.model_out is None else SavedMeanwhile(adapter, config.model_out, texts)
    following = OneStream(adapter, read.border, resets(read, config.documents))
    return Scorer(read, config, threshold=nats, pieces=pieces, following=following, kept=kept), notes


def _ordinary_peaks(model: LoadedModel, config: ScoreConfig) -> Peaks | None:
    """Those of the text that ``alert_text`` names, read by the model as it is."""
    if config.alert_text is None:
        return None
    from pantoum.data import text_reader

    streams = max(config.streams, SIDE_BY_SIDE)
    reading = replace(config, alert=None, alert_text=None, adapt=False, cache=None, streams=streams)
    return peaks_of(Scorer(model, reading).read(text_reader.parts(config.alert_text, config.encoding)))


class Ignored:
    """Pieces as they come; those that are not judged, within matches of an expression, get a peak of 0.

    The model reads them as it reads everything, and their nats count in the sums; only no alert comes from
    them. A token that a match touches is ignored as a whole. Matches lie within a line, so its pieces wait
    until it has ended.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._open: list[Pieces] = []
        """The line that has not ended."""

    def push(self, pieces: Pieces) -> Pieces:
        """The pieces of the lines that these complete."""
        ends = line_ends(pieces.texts)[-1:]  # the last
        self._open.append(pieces.part(0, ends[0]) if ends else pieces)
        if not ends and sum(len(part.texts) for part in self._open) < LONGEST:
            return NO_PIECES
        whole = Pieces.joined(self._open)
        self._open = [pieces.part(ends[0])] if ends else []
        return self._judged(whole)

    def finish(self) -> Pieces:
        """Those of the last line."""
        left, self._open = Pieces.joined(self._open), []
        return self._judged(left)

    @property
    def waiting(self) -> list[str]:
        """The texts of the line that has not ended."""
        return [text for part in self._open for text in part.texts]

    def kept(self) -> dict[str, Plain]:
        """The line that has not ended, for a state file."""
        return Pieces.joined(self._open).plain()

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._open = [Pieces.from_plain(kept)]

    def _judged(self, pieces: Pieces) -> Pieces:
        text, begin = "".join(pieces.texts), 0
        touched = np.zeros(len(text) + 1, np.int64)
        for line in text.split("\n"):
            for match in self._pattern.finditer(line):
                touched[begin + match.start() + 1 : begin + match.end() + 1] = 1
            begin += len(line) + 1
        edges = list(accumulate(map(len, pieces.texts), initial=0))
        counted = np.cumsum(touched)[edges]
        return pieces._replace(peaks=np.where(np.diff(counted) > 0, 0.0, pieces.peaks))


class Originals:
    """What a text contains where its tokens do not say it: words that the vocabulary lacks, and blank lines.

    ``<unk>`` by itself would not say which word it stands for, and a border between documents reads as one
    blank line although the text may have several. Tokens are scored later than they are read (a block at a
    time in segments), but in their order. So the originals wait in queues, and each is put where its token
    comes out. Only a tokenizer with an ``<unk>`` has unknown symbols; there each piece of the text is one
    token. A ``<unk>`` that a pre-tokenised text contains is shown as it is and not counted.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._unk = tokenizer, tokenizer.unk
        self._stand_in = "" if self._unk is None else tokenizer.decode([self._unk])
        self._border = eos_text(tokenizer.documents)
        # White space is then counted to the word before it, and the decoder puts the space between two.
        self._spaced = tokenizer.declared.spaces == "between"
        self._symbols: deque[str] = deque()
        self._borders: deque[str] = deque()
        self.unknown = 0
        """Tokens shown so far that the vocabulary lacks."""

    def read(self, text: str, ids_T: Array) -> None:
        """Keep what stands for ``<unk>``, and for borders, in a text that was read as these tokens."""
        text, documents = without_surrogates(text)[0], self._tokenizer.documents
        self._borders.extend(borders(text, documents))
        at = self._places(ids_T).tolist()
        if not at:
            return
        marked = mark(text, documents)
        ends = accumulate((length for length, _ in self._tokenizer.token_lengths(marked)), initial=0)
        symbols = [marked[start:end] for start, end in pairwise(ends)]
        self._symbols.extend(symbols[place].strip() if self._spaced else symbols[place] for place in at)

    def shown(self, ids_T: Array, pieces: Pieces) -> Pieces:
        """The pieces of these tokens in the text's own words; tokens come in the order they were read in."""
        texts = pieces.texts
        for place in self._places(ids_T).tolist():
            symbol = self._symbols.popleft()
            self.unknown += not (self._spaced and symbol == self._stand_in)
            texts[place] = texts[place].replace(self._stand_in, symbol)
        if self._borders:
            for place, text in enumerate(texts):
                if self._borders and self._border in text:  # nothing else in such a text reads as one
                    texts[place] = text.replace(self._border, self._borders.popleft())
        return pieces

    def _places(self, ids_T: Array) -> NDArray[np.int64]:
        return np.zeros(0, np.int64) if self._unk is None else np.flatnonzero(ids_T == self._unk)
