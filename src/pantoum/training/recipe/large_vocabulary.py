"""What the recipe chooses for a large vocabulary: words, or thousands of byte-pair pieces.

It differs from the recipe for characters where the vocabulary does:

- The output layer shares the embedding (``tied``): most parameters are there, and a word that is seldom read
  learns from both sides. Embedding and output layer cost as much per token as the network, whatever its size,
  so the model is larger for its time: it trains on 6 tokens per multiply-add, not on 8.5.
- One wide layer: a word needs fewer steps of depth than its letters, and a second layer costs as much as a
  wider first one.
- With minutes at most 0.9 weights of the layers per token of text, whatever its vocabulary: more time then
  means more epochs, which is better than a larger model, for it learns the text by heart.
- Muon up to wider layers: one layer is made orthogonal, and the output layer is a larger part of the update.
- With Muon a learning rate four times as high for a few hundred updates, twice as high for thousands, and
  less for more than 10,000.
- Fine-tuning with a rate that grows with how strange the text is to the model: small steps for a text like
  its own, and for another kind of text as large ones as from nothing. The fewer updates, the higher, too.
- Words of like spelling learn from each other (``training.update.spelling``), except in fine-tuning. The more
  epochs, the less each learns by itself, which is by heart, unless symbols are as frequent as those of BPE.
- The embedding is initialised from co-occurrence counts of the text (``training.neighbours``), except in
  fine-tuning: counting takes seconds, and learning the same takes epochs. Symbols as frequent as those of BPE
  gain nothing by it. The learning rate is then the same, however many updates there are, and that of the
  embedding a part of it (``spelling``): a high one would undo the initialisation.
- Streams of 32 words instead of 64 symbols per update: a word carries as much as four or five characters, and
  twice as many updates are worth more than a longer unroll.
- Dropout from 2.5 epochs on, far earlier than for characters: the rows of rare words are learned by heart at
  once. The rate grows with the square root of the epochs and of the weights of the layers per token.
- Two members where each has time for 6.5 epochs, three for 8, and no more: one model that reads the text
  more often learns it by heart. With less time one model is as good, and smaller: each member has an
  embedding of its own, which is most of the model.

Decision 079 has the reasons.
"""

from __future__ import annotations

import math

from pantoum.config import DropoutConfig

SYMBOLS = 512
"""Most symbols of a vocabulary that is not large: those of characters and bytes."""
SIZES = tuple((hidden, 1) for hidden in (64, 96, 128, 160, 192, 256, 320, 384, 448, 512, 640, 768, 1024))
"""(H, L), from the smallest model that is chosen to the largest."""
TOKENS_PER_WORK = 6.0
MOST_PER_TOKEN = 0.9
"""Most weights of the layers, without embedding and output layer, that minutes choose per token of text."""
MEMBER_EPOCHS = {3: 8.0, 2: 6.5}
"""The least epochs of each member of an ensemble of so many, the most members first."""
ROUNDS_COST = 0.9
"""The Newton-Schulz iterations of Muon take this times ``H / (B * T)`` of the time of an update: 0.7 as
measured with 256 units (docs/log/recipe-search.md), more with wider layers, as their operations say."""
CHUNK = 32
NEIGHBOURS, NEIGHBOURS_RATE = 10, 2.6
"""Within how many tokens co-occurrence is counted, and the learning rate with such an embedding as a multiple
of that for characters."""
LEAST_RATE, MOST_RATE, FEW_UPDATES, MANY_UPDATES = 2.0, 4.0, 1000, 10_000
KNOWN, STRANGE = 0.1, 1.0
"""The learning rate of fine-tuning in 1,000 updates, as a multiple of that for characters: for a text that
the model knows, and for one that needs a nat per token more than its own."""
LEAST_TUNING, MOST_TUNING = 0.7, 2.4
"""The limits of what fewer or more updates make of it: what was searched."""
MOST_EMBEDDING = 512
ALONE = {"adamw": (2.2, 0.05, 1.0), "muon": (1.4, 0.03, 0.5)}
"""The rate of single words, times the epochs, the least and the most of it, by the optimiser: with Muon the
learning rate is higher."""
FREQUENT = 100.0
DROPOUT, TUNED_DROPOUT, LEAST_EPOCHS, MOST_DROPOUT = 0.08, 0.1, 2.5, 0.5


def embedding_size(hidden: int) -> int:
    """The width of the tied embedding: that of the layer, at most 512, because its rows are most of the
    parameters."""
    return min(MOST_EMBEDDING, hidden)


def dropout(epochs: float, per_token: float | None) -> DropoutConfig:
    """Variational dropout at every place for a text that is read so often, by layers of so many weights per
    token of it; ``None``: in fine-tuning, where the weights do not count."""
    factor = TUNED_DROPOUT if per_token is None else DROPOUT * math.sqrt(per_token)
    rate = round(min(factor * math.sqrt(epochs), MOST_DROPOUT), 2)
    return DropoutConfig(rate, rate, rate, "variational") if epochs >= LEAST_EPOCHS else DropoutConfig()


def spelling(epochs: float, per_symbol: float, optimizer: str) -> float:
    """The rate at which a word learns by itself, for a text that is read so often and has so many tokens per
    symbol."""
    if per_symbol >= FREQUENT:
        return 1.0
    alone, least, most = ALONE[optimizer]
    return round(min(max(alone / max(epochs, 1.0), least), most), 2)


def neighbours(per_symbol: float) -> int | None:
    """Within how many tokens co-occurrence is counted in a text of so many tokens per symbol."""
    return None if per_symbol >= FREQUENT else NEIGHBOURS


def rate(updates: float) -> float:
    """The learning rate of a run of so many updates with Muon, from a random embedding, as a multiple of
    that for characters."""
    least = LEAST_RATE * math.sqrt(min(1.0, MANY_UPDATES / updates))
    return min(max(MOST_RATE * math.sqrt(FEW_UPDATES / updates), least), MOST_RATE)


def fine_tuning(surprise: float, updates: float) -> float:
    """The same for so many updates of weights already trained, with Muon or AdamW."""
    share = min(surprise, 1.0)
    few = min(max(math.sqrt(FEW_UPDATES / updates), LEAST_TUNING), MOST_TUNING)
    return (KNOWN + (STRANGE - KNOWN) * share) * few
