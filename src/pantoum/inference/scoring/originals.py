"""What a text contains where its tokens do not say it: words that the vocabulary lacks, and blank lines.

``<unk>`` by itself would not say which word it stands for, and a border between documents reads as one blank
line although the text may have several. Tokens are scored later than they are read (a block at a time in
segments), but in their order. So the originals wait in queues, and each is put where its token comes out.

Only a tokenizer with an ``<unk>`` has unknown symbols; there each piece of the text is one token. A ``<unk>``
that a pre-tokenised text contains is shown as it is and not counted: it is a word of that text.

Shape letter: T tokens.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from pantoum.inference.scoring.units import Pieces
from pantoum.kernels import Array
from pantoum.text.documents import borders, eos_text, mark
from pantoum.text.tokenizer import Tokenizer
from pantoum.text.unicode import without_surrogates


class Originals:
    """The unknown symbols and the borders of a text, from where they are read to where they are shown."""

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
