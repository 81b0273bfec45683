"""The kernels in NumPy: their specification, the oracle of their tests, and what runs without a compiler.

One file per operation and per cell. Every function works in float32 and float64 and states its equations.
"""

from pantoum.kernels.reference.contexts import context_decider, context_probabilities, read_contexts
from pantoum.kernels.reference.counts import mix_counts
from pantoum.kernels.reference.cross_entropy import (
    cross_entropy,
    cross_entropy_gradient,
    cross_entropy_of_logits,
)
from pantoum.kernels.reference.dropout import dropout, dropout_scales
from pantoum.kernels.reference.product import (
    bias_gradient,
    linear,
    linear_weight_gradient,
    pack,
    pack_codes,
    quantize,
)
from pantoum.kernels.reference.sample import frequencies, sampler
from pantoum.kernels.reference.scan import scan, scan_vjp, stepper
from pantoum.kernels.reference.tables import (
    lookup,
    lookup_gradient,
    lookup_sum,
    lookup_sum_gradient,
    rms_rows,
)
from pantoum.kernels.reference.update import adamw, adapt, average, global_norm, muon, row_squares

__all__ = [
    "adamw",
    "adapt",
    "average",
    "bias_gradient",
    "context_decider",
    "context_probabilities",
    "cross_entropy",
    "cross_entropy_gradient",
    "cross_entropy_of_logits",
    "dropout",
    "dropout_scales",
    "frequencies",
    "global_norm",
    "linear",
    "linear_weight_gradient",
    "lookup",
    "lookup_gradient",
    "lookup_sum",
    "lookup_sum_gradient",
    "mix_counts",
    "muon",
    "pack",
    "pack_codes",
    "quantize",
    "read_contexts",
    "rms_rows",
    "row_squares",
    "sampler",
    "scan",
    "scan_vjp",
    "stepper",
]
