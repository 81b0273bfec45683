"""Cells, stacks and language models, forward and backward, over the kernels.

The blocks of ``__all__`` are public. Arrays are batch-major, state goes in as an argument and comes out as
a result.
"""

from pantoum.network.cells import GRU, LSTM, RNN, MinGRU
from pantoum.network.head import cross_entropy
from pantoum.network.language_model import LanguageModel
from pantoum.network.stack import Stack
from pantoum.network.state import concatenate_state, split_state
from pantoum.network.unroll import unroll, unroll_vjp

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "LanguageModel",
    "MinGRU",
    "Stack",
    "concatenate_state",
    "cross_entropy",
    "split_state",
    "unroll",
    "unroll_vjp",
]
