"""What a text contains where the vocabulary has no word for it: ``<unk>`` by itself would not say.

Tokens are scored later than they are read (a block at a time in segments), but in their order. So the texts
of unknown tokens wait in a queue, and each is put where its token comes out. Only a tokenizer with an
``<unk>`` has any; there each piece of the text is one token. A ``<unk>`` that a pre-tokenised text contains
is shown as it is and not counted: it is a word of that text.

Shape letter: T tokens.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate, pairwise

import numpy as np

from pantoum.inference.scoring.units import Pieces
from pantoum.kernels import Array
from pantoum.text.documents import mark
from pantoum.text.tokenizer import Tokenizer
from pantoum.text.unicode import without_surrogates

__all__ = ["Unknown"]


class Unknown:
    """The unknown symbols of a text, from where it is read to where it is shown."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._unk = tokenizer, tokenizer.unk
        self._stand_in = "" if self._unk is None else tokenizer.decode([self._unk])
        self._texts: deque[str] = deque()
        self.count = 0
        """Tokens read so far that the vocabulary lacks."""

    def read(self, text: str, ids_T: Array) -> None:
        """Keep what stands for ``<unk>`` in a text that was read as these tokens."""
        if not (at := self._places(ids_T)):
            return
        marked = mark(without_surrogates(text)[0], self._tokenizer.documents)
        ends = accumulate((length for length, _ in self._tokenizer.token_lengths(marked)), initial=0)
        symbols = [marked[start:end] for start, end in pairwise(ends)]
        # `words:whitespace` counts white space to a word, and its decoder puts the space between two.
        spaced = self._tokenizer.kind == "words:whitespace"
        texts = [symbols[place].strip() if spaced else symbols[place] for place in at]
        self.count += len(texts) - (texts.count(self._stand_in) if spaced else 0)
        self._texts.extend(texts)

    def shown(self, ids_T: Array, pieces: Pieces) -> Pieces:
        """The pieces of these tokens in the text's own words; tokens come in the order they were read in."""
        for place in self._places(ids_T):
            pieces.texts[place] = pieces.texts[place].replace(self._stand_in, self._texts.popleft())
        return pieces

    def _places(self, ids_T: Array) -> list[int]:
        places: list[int] = [] if self._unk is None else np.flatnonzero(ids_T == self._unk).tolist()
        return places
