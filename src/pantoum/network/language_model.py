"""The language model: plain weights and a configuration. ``network.program`` runs it.

    tokens -> members (embedding, layers) -> outputs side by side -> one head -> + n-grams -> logits

A model is one member, or an ensemble of K members of one shape, whose logits are averaged by the weights of
the head. ``network.spec`` declares the parameters.

Shapes: B streams, V symbols, H units, K members.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pantoum.config import ModelConfig, whole
from pantoum.network.network_state import NetworkState, zeros
from pantoum.network.parameters import initial
from pantoum.network.spec import declared, state_of


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
        seed = None if seed is None else whole(seed, "seed", least=0)
        self.config.check_tables(vocab_size)
        self.vocab_size, self.dtype = vocab_size, np.dtype(dtype)
        self.parameters = initial(declared(self.config, vocab_size).values(), seed, self.dtype)

    @property
    def hidden_size(self) -> int:
        """Size of the concatenated outputs of all members, K * H."""
        return self.config.members * self.config.hidden_size

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return self.parameters.size

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        return zeros(state_of(self.config), batch_size, self.dtype)

    def copy(self) -> LanguageModel:
        """The same weights, in memory of their own."""
        copied = LanguageModel(self.vocab_size, config=self.config, seed=None, dtype=self.dtype)
        copied.parameters.update(self.parameters)
        return copied
