"""The validation loss to expect of a run before it begins: a rule of thumb, not a fit.

xz says how hard a text is: the bits per byte that it needs for the beginning of the validation text after the
end of the training text. A model reaches a share of that, which falls with the operations of its training:

    bits per byte = bits of xz * (FLOOR + FALL * (operations / 1e13) ** -POWER)

never more than a guess among all symbols, from which training begins: the distance to it falls with the
updates, as ``1 / (1 + updates / HALVED)``. The constants were set by hand after a few runs on tiny
Shakespeare. Seven later runs (``docs/log``: three texts of a megabyte and more, two of 20 KB, one to ten
minutes) came out 12 % below to 19 % above what it says, six by the next recipe 4 to 13 % below: xz finds long
repeats, of which source code has many and verse few.
"""

from __future__ import annotations

import lzma
import math
from dataclasses import asdict, dataclass

import numpy as np

from pantoum.config.plain import Plain
from pantoum.data.prepare import Prepared

__all__ = ["Forecast", "forecast"]

FLOOR, FALL, POWER = 0.80, 0.062, 0.5
"""Set by hand."""
HALVED = 14.0
"""Updates after which half of the way from a guess is done. By hand, from the validation losses of a run of
1.3 M parameters on source code: 4.45 after the first update, 2.76 after 10, 2.09 after 30, 1.47 after 60."""
ERROR_ELSEWHERE = 0.2
"""Relative: another run, or another kind of text, may be so far off."""
BEFORE, JUDGED = 1_000_000, 100_000
"""Bytes of the training text that xz sees, and of the validation text on which it is measured."""


@dataclass(frozen=True)
class Forecast:
    """The validation loss to expect, in the units of the final evaluation."""

    nats_per_token: float
    bits_per_byte: float
    xz_bits_per_byte: float
    """What the rule starts from; lower than ``evaluate``'s, for xz has seen the training text here."""
    error: float = ERROR_ELSEWHERE
    """Relative."""

    def to_dict(self) -> dict[str, Plain]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"about {self.nats_per_token:.3g} nats per token, {self.bits_per_byte:.3g} bits per byte on the "
            f"validation text, within {self.error:.0%} (xz, after the training text: "
            f"{self.xz_bits_per_byte:.3g})"
        )


def forecast(prepared: Prepared, operations: float, updates: float = math.inf) -> Forecast | None:
    """The forecast for a run of so many operations in so many updates; ``None`` where nothing is held out."""
    if prepared.valid is None or prepared.valid.count == 0:
        return None
    decode = prepared.tokenizer.decode_bytes
    before = decode(prepared.train.read(prepared.train.count - BEFORE, prepared.train.count))[-BEFORE:]
    tokens = np.asarray(prepared.valid.tokens[:JUDGED])
    judged = decode(tokens)
    bytes_per_token = len(judged) / len(tokens)
    judged = judged[:JUDGED]
    if not judged:
        return None
    of_xz = 8.0 * (_packed(before + judged) - _packed(before)) / len(judged)
    share = FLOOR + FALL * (max(operations, 1.0) / 1e13) ** -POWER
    guess = math.log(prepared.tokenizer.vocab_size)
    trained = min(share * of_xz * math.log(2.0) * bytes_per_token, guess)
    nats = trained + (guess - trained) / (1.0 + updates / HALVED)
    return Forecast(nats, nats / bytes_per_token / math.log(2.0), of_xz)


def _packed(content: bytes) -> int:
    return len(lzma.compress(content, preset=6))
