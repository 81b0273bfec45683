"""The arguments of the core's operations, as ``core/pantoum_core.h`` declares them.

One ``ctypes.Structure`` for each struct of the header, fields in its order; a test reads the header and
compares. What a field means stands in the header and nowhere else.
"""

from __future__ import annotations

import ctypes

__all__ = ["ARGUMENTS", "OPERATIONS", "CellFacts"]

_ADDRESS, _LONG, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
_FLOAT, _WORD, _WIDE = ctypes.c_float, ctypes.c_uint32, ctypes.c_uint64


def _structure(name: str, fields: str) -> type[ctypes.Structure]:
    """``fields``: groups of names, each after its type's letter."""
    kinds = {"p": _ADDRESS, "l": _LONG, "i": _INT, "f": _FLOAT, "u": _WORD, "w": _WIDE}
    groups = [group.split() for group in fields.split(";")]
    parsed = [(field, kinds[kind]) for kind, *names in groups for field in names]
    return type(name, (ctypes.Structure,), {"_fields_": parsed})


_SCAN = """p projection hidden cell candidate outputs operands more_operands panels more_panels bias reset
           lengths; l steps batch units operands_kept; i kind precision tape"""
_SCAN_VJP = """p gates hidden cell candidate operands more_operands panels more_panels d_outputs d_state
               d_cell d_projection d_operands d_weight d_bias d_bias_rows reset lengths; l steps batch units;
               i kind precision"""

ARGUMENTS: dict[str, type[ctypes.Structure]] = {
    name: _structure(name, fields)
    for name, fields in {
        "pack": "p weight panels; l rows depth block; i precision transposed; p changed; l changes",
        "quantize": "p weight codes scales; l rows depth",
        "pack_codes": "p codes scales panels; l rows depth block",
        "product": "p x panels bias y; l count depth columns block; i precision",
        "weight_gradient": "p d x out; l count columns depth; i precision resume",
        "bias_gradient": "p d out; l count columns; i resume",
        "lookup_gradient": "p d tokens out; l count columns vocabulary",
        "row_table": "p rows codes scales places",
        "lookup_sum": "p table rows out; l count each columns",
        "sum_uses": "p d uses starts out; l count used each columns",
        "rms_rows": "p table rows gradient squares; l used columns; f rate keep share epsilon factor",
        "scan": _SCAN,
        "scan_vjp": _SCAN_VJP,
        "dropout": "p x y streams; l steps batch units; w seed; u step layer threshold; f scale; "
        "i variational",
        "softmax": "p logits targets nats predictions; l count vocabulary; f weight",
        "losses": "p x panels bias given targets nats predictions; l count depth vocabulary; i precision",
        "contexts": "p starts tokens shares left sizes",
        "counts": "p lengths unigrams weights; l kept shortest",
        "mix_counts": "p counts nodes weights logits; l count vocabulary",
        "sum_of_squares": "p arrays sizes total; l count",
        "adamw": "p parameter rows gradient first second; l used columns; "
        "f beta1 share1 beta2 share2 root epsilon rate keep",
        "muon": "p parameters gradients momenta sizes rates coefficients; l count steps; "
        "f beta share keep; i precision",
        "average": "p averaged parameter; l size; f share",
        "row_squares": "p gradient squares; l rows columns; f keep share",
        "adapt": "p parameter rows gradient trained speed back; l used columns",
        "layer": "p input recurrent more_recurrent input_bias bias hidden cell; "
        "l inputs; i input_precision recurrent_precision",
        "member": "p layers table embedding",
        "step": "p members tokens head head_bias projection ngrams orders recent counts counts_recent "
        "logits; "
        "l first count vocabulary units member_count layer_count head_inputs order_count ngram_rows "
        "recent_kept; "
        "i kind head_precision projection_precision",
        "sample": "p logits banned temperature top_p min_p penalty top_k seed stream position recent written "
        "nats log_probability tokens; l first count vocabulary banned_count window",
    }.items()
}
"""By the struct's name in the header, without ``pantoum_`` and ``_args``."""

PARTS = ("layer", "member", "row_table", "contexts", "counts")
"""Structs that others point to."""
OPERATIONS = tuple(name for name in ARGUMENTS if name not in PARTS)
"""Each takes the struct of its name."""


class CellFacts(ctypes.Structure):
    """What the core says of a cell: ``pantoum_cell``."""

    _fields_ = (("name", ctypes.c_char_p), *((name, _INT) for name in ("gates", "sums", "memory", "biased")))
