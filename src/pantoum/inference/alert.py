"""When a token, word or line is out of the ordinary: a threshold on its peak, given or learned.

The *peak* of a unit is the nats of its most surprising token (decision 056). ``auto:P%`` asks for the
threshold that at most P % of the units of an ordinary text exceed. It is learned from few figures: the
highest peaks of each kind of unit, thinned out with their rank (``Peaks``). A run takes them from its
validation text when it ends, and keeps them in the card of the model under ``peaks``; ``peaks_of`` takes
those of another text.

A share smaller than one unit is extrapolated, because a token that costs one nat more is e times rarer under
a model that is right; a note says so. Figures that are not finite, or that no text can have, are refused: no
peak exceeds a NaN, so such a threshold would mark nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config import UNITS, Alert, ScoreConfig
from pantoum.config.plain import Plain
from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring.protocols import SEGMENTS
from pantoum.inference.scoring.units import Decoding, Grouping, Pieces, Score
from pantoum.kernels import Array
from pantoum.text.tokenizer import Tokenizer

CARD = "peaks"
"""The key in a model's card."""
EXACT, GROWTH = 16, 1.25
"""The highest peaks are all kept, up to this rank; further down each rank is this factor times the last."""
HIGHEST_SHARE = 0.5
DIGITS = 1e4
MOST_UNITS = 2**53
"""More units than any text has."""


@dataclass(frozen=True)
class Peaks:
    """The highest peaks of a text's units: how many units there were, and the peak at some ranks."""

    units: int
    ranks: tuple[int, ...]
    """Ascending, from 1, the highest peak."""
    nats: tuple[float, ...]

    @staticmethod
    def of(peaks_U: NDArray[np.float64]) -> Peaks:
        """Summarise all peaks; nats are rounded up to 1e-4, so that no rank exceeds its figure."""
        falling_U = np.sort(peaks_U)[::-1]
        last = math.floor(HIGHEST_SHARE * len(falling_U)) + 1
        ranks = [rank for rank in range(1, EXACT + 1) if rank <= min(last, len(falling_U))]
        while ranks and ranks[-1] >= EXACT and ranks[-1] < last:
            ranks.append(min(last, math.ceil(ranks[-1] * GROWTH)))
        nats = np.ceil(falling_U[np.array(ranks, np.int64) - 1] * DIGITS) / DIGITS
        return Peaks(len(falling_U), tuple(ranks), tuple(nats.tolist()))

    def threshold(self, share: float, beyond: bool = True) -> float | None:
        """Nats that at most this share of the units exceeds; ``None`` where there were no units. ``beyond``:
        extrapolated where the share is less than one unit."""
        if not self.units:
            return None
        allowed = share * self.units
        nats = max(zip(self.ranks, self.nats, strict=True), key=lambda at: (at[0] - 1 <= allowed) * at[0])[1]
        return nats + max(0.0, -math.log(allowed)) if beyond else nats

    def plain(self) -> dict[str, Plain]:
        """For a card."""
        return {"units": self.units, "ranks": list(self.ranks), "nats": list(self.nats)}

    @staticmethod
    def from_plain(plain: Any) -> Peaks | None:
        """The inverse; ``None`` for figures that no text has."""
        try:
            found = Peaks(
                int(plain["units"]), tuple(map(int, plain["ranks"])), tuple(map(float, plain["nats"]))
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return found if found.possible else None

    @property
    def possible(self) -> bool:
        """Whether a text can have these figures: ranks rise from 1, nats are finite and do not rise."""
        ranks, nats = self.ranks, self.nats
        return (
            0 < len(ranks) == len(nats)
            and ranks[0] == 1
            and ranks[-1] <= self.units <= MOST_UNITS
            and all(a < b for a, b in itertools.pairwise(ranks))
            and all(a >= b for a, b in itertools.pairwise(nats))
            and all(map(math.isfinite, nats))
            and nats[-1] >= 0.0
        )


def peaks_of(scores: Iterable[Score]) -> Peaks:
    """Those of a text that was scored."""
    return Peaks.of(np.fromiter((score.peak for score in scores), np.float64))


def held_out_peaks(tokenizer: Tokenizer, targets_T: Array, nats_T: Array) -> dict[str, Plain]:
    """What a run keeps of its validation text: the highest peaks of its tokens, words and lines. What was not
    read has nats that are no numbers, and is left out."""
    decoding = Decoding(tokenizer)
    pieces = Pieces.joined([decoding.push(targets_T, nats_T), decoding.finish()])
    found: dict[str, Plain] = {"protocol": SEGMENTS}
    for by in UNITS:
        grouping = Grouping(by, tokenizer)
        peaks = np.array([score.peak for score in (*grouping.push(pieces), *grouping.finish())])
        found[by] = Peaks.of(peaks[~np.isnan(peaks)]).plain()
    return found


def threshold(
    model: LoadedModel, config: ScoreConfig, ordinary: Peaks | None
) -> tuple[float | None, list[str]]:
    """The threshold that a configuration asks for, and notes about it. ``ordinary``: the peaks of the text
    that was given to learn from; ``None``: those of the validation text of the run."""
    if config.alert is None:
        return None, []
    alert = Alert.parse(config.alert)
    if alert.share is None:
        return alert.nats, []
    source = "the text to learn from"
    if ordinary is None:
        source = "the validation text"
        if config.documents and not model.documents:
            raise _refusal(config, "is learned from the validation text read as one stream, not line by line")
        if config.alert_by != "peak":
            raise _refusal(config, "is learned from the peaks of the validation text")
        if config.mask or config.ignore:
            raise _refusal(config, "is learned from the validation text without --mask and --ignore")
        ordinary = _kept(model.card, config.by)
    if ordinary is None:
        raise _refusal(
            config,
            "needs figures of a validation text, and this model file has none (it is older, "
            "or its run was not finished, or had no validation text)",
        )
    nats = ordinary.threshold(alert.share, beyond=config.alert_by == "peak")
    if nats is None:
        raise _refusal(config, f"cannot be learned: {source} is empty")
    if alert.share * ordinary.units >= 1:
        return nats, []
    how = f"the threshold of {nats:.2f} nats is extrapolated from the highest peak, {ordinary.nats[0]:.2f}"
    if config.alert_by != "peak":
        how = f"the threshold is the highest of their figures, {nats:.4f}"
    few = f"{source} has {ordinary.units:,} {config.by}s, less than one of which is {100 * alert.share:g}%"
    return nats, [f"{few}: {how}"]


def _kept(card: Mapping[str, Plain], by: str) -> Peaks | None:
    kept = card.get(CARD)
    return Peaks.from_plain(kept.get(by)) if isinstance(kept, Mapping) else None


def _refusal(config: ScoreConfig, rule: str) -> SettingError:
    return SettingError(
        "alert",
        config.alert,
        rule,
        "name a text of ordinary lines with --alert-text FILE, or give a number of nats",
    )
