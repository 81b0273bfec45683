"""The kernels of the native core: ``reference``'s operations in C++, on float32 arrays.

The equations stand in ``kernels/reference``, what the core promises in ``core/pantoum_core.h``, how it is
made in docs/kernels.md.
"""

from pantoum.kernels.native.contexts import context_decider, context_probabilities, read_contexts
from pantoum.kernels.native.counts import mix_counts
from pantoum.kernels.native.cross_entropy import (
    cross_entropy,
    cross_entropy_gradient,
    cross_entropy_of_logits,
)
from pantoum.kernels.native.draws import dropout, dropout_scales, frequencies, sampler
from pantoum.kernels.native.library import Library, core, missing
from pantoum.kernels.native.product import (
    bias_gradient,
    linear,
    linear_weight_gradient,
    pack,
    pack_codes,
    quantize,
)
from pantoum.kernels.native.scan import scan, scan_vjp
from pantoum.kernels.native.step import stepper
from pantoum.kernels.native.tables import lookup, lookup_gradient, lookup_sum, lookup_sum_gradient, rms_rows
from pantoum.kernels.native.update import adamw, adapt, average, global_norm, muon, row_squares

__all__ = [
    "Library",
    "adamw",
    "adapt",
    "average",
    "bias_gradient",
    "context_decider",
    "context_probabilities",
    "core",
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
    "missing",
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
