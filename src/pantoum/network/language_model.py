"""The language model: plain weights and a configuration. ``network.program`` runs it.

    tokens -> members (embedding, stack) -> outputs side by side -> one head -> + n-grams -> logits

A model is one member, or an ensemble of K members of one shape, whose logits are averaged by the weights of
the head. Parameters of an ensemble stand under ``members.0.``, ``members.1.``, ...; of a model that is one
member they have no prefix.

Shapes: B streams, V symbols, H units, K members.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pantoum.config import ModelConfig, whole
from pantoum.network.head import Head
from pantoum.network.member import Member, prefix
from pantoum.network.ngrams import Ngrams
from pantoum.network.parameters import Parameters
from pantoum.network.state import NetworkState, to_arrays
from pantoum.network.tied import tied_size

__all__ = ["LanguageModel", "seed_of"]

SEEDS_APART = 1_000_003
"""Between the seeds of members, so that those of the next few seeds are others."""


class LanguageModel:
    """A recurrent model of the next token."""

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int | None = None,
        cell: str = "gru",
        hidden_size: int = 512,
        num_layers: int = 3,
        seed: int | None = 0,
        *,
        config: ModelConfig | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """``config`` is the whole shape, in place of the four sizes and names before ``seed``. ``seed=None``
        leaves all parameters zero, to be filled."""
        self.config = config or ModelConfig(cell, hidden_size, num_layers, embedding_size)
        whole(vocab_size, "vocab_size")
        self.vocab_size, self.dtype = vocab_size, np.dtype(dtype)
        self.members = tuple(
            Member(self.config, vocab_size, None if seed is None else seed_of(seed, place), self.dtype)
            for place in range(self.config.members)
        )
        self.head = Head(vocab_size, self.hidden_size, seed, self.dtype, tied_size(self.config))
        self.features = (
            Ngrams(vocab_size, self.config.ngrams, self.config.ngram_rows, self.dtype)
            if self.config.ngrams
            else None
        )
        self.parameters = Parameters.joined(
            [
                *((prefix(self.config, place), own.parameters) for place, own in enumerate(self.members)),
                ("head.", self.head.parameters),
                ("ngrams.", self.features.parameters if self.features else {}),
            ]
        )

    @property
    def hidden_size(self) -> int:
        """Size of the concatenated outputs of all members, K * H."""
        return self.config.members * self.config.hidden_size

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return self.parameters.size

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams: member by member the layers', and last the n-grams'."""
        layers = [to_arrays(member.stack.initial_state(batch_size)) for member in self.members]
        recent = [] if self.features is None else [self.features.initial_state(batch_size)]
        return NetworkState((*(array for own in layers for array in own), *recent))


def seed_of(seed: int, place: int) -> int:
    """The seed of a member."""
    return (seed + SEEDS_APART * place) % 2**63 if place else seed
