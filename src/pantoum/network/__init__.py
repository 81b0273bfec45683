"""Language models of recurrent cells, forward and backward, over the kernels.

The blocks of ``__all__`` are public. Arrays are batch-major, state goes in as an argument and comes out as
a result. ``spec`` declares what a model is made of, ``program`` runs it.
"""

from pantoum.network.blocks import (
    GRU,
    LSTM,
    RNN,
    MinGRU,
    Stack,
    cross_entropy,
    split_state,
    unroll,
    unroll_vjp,
)
from pantoum.network.network_state import concatenate_state
from pantoum.network.parameters import LanguageModel

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
