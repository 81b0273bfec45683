"""The kernels of the native core: ``reference``'s operations in C++, on float32 arrays.

The equations stand in ``kernels/reference``, what the core promises in ``core/pantoum_core.h``, how it is
made in docs/kernels.md.
"""

from pantoum.kernels.native.adapt import adapt, row_squares
from pantoum.kernels.native.counts import mix_counts
from pantoum.kernels.native.cross_entropy import (
    cross_entropy,
    cross_entropy_gradient,
    cross_entropy_of_logits,
)
from pantoum.kernels.native.dropout import dropout, dropout_scales
from pantoum.kernels.native.embedding import lookup, lookup_gradient
from pantoum.kernels.native.library import Library, core, missing
from pantoum.kernels.native.muon import muon
from pantoum.kernels.native.optimizer import adamw, average, global_norm
from pantoum.kernels.native.product import bias_gradient, linear, linear_weight_gradient, pack, pack_codes
from pantoum.kernels.native.quantize import quantize
from pantoum.kernels.native.row_table import lookup_sum, lookup_sum_gradient, rms_rows
from pantoum.kernels.native.sample import sampler
from pantoum.kernels.native.scan import scan, scan_vjp
from pantoum.kernels.native.step import stepper

__all__ = [
    "Library",
    "adamw",
    "adapt",
    "average",
    "bias_gradient",
    "core",
    "cross_entropy",
    "cross_entropy_gradient",
    "cross_entropy_of_logits",
    "dropout",
    "dropout_scales",
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
    "rms_rows",
    "row_squares",
    "sampler",
    "scan",
    "scan_vjp",
    "stepper",
]
