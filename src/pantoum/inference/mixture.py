"""Two predictors of one stream, mixed by how well each predicted the recent past.

The probability of a token is ``(1 - v) p_0 + v p_1``, where v is unknown. Each v of a grid from 0 to 1 is an
expert with a prior weight, and the experts are weighed by Bayes' rule (Cover 1991, "Universal portfolios"):
after T tokens the mixture has lost at most -ln(prior of v) nats to any constant v of the grid, whatever the
text. The two predictors alone have the largest priors, because it is they that the mixture must not fall
behind. A text may change, and with it the best v: at regular places every expert gives up a share of its
weight, which all divide as their priors say (fixed share; Herbster and Warmuth 1998, "Tracking the best
expert"). This costs at most ``-ln(1 - SHARE)`` nats at each place.

The weights before a token depend only on the tokens before it, and results do not depend on the calls into
which a text is cut.

Shapes: T tokens, K experts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array

__all__ = ["SHARE", "Mixture"]

F64 = npt.NDArray[np.float64]
EXPERTS = 9
"""Values of v, from 0 to 1 at equal distances."""
SHARE = 0.02
"""The share of its weight that each expert gives up at each place."""
FIRST_ALONE, SECOND_ALONE = 0.25, 0.5
"""The priors of v = 0 and of v = 1; the values between divide the rest equally."""
VALUES_K: F64 = np.linspace(0.0, 1.0, EXPERTS)
PRIOR_K: F64 = np.full(EXPERTS, (1.0 - FIRST_ALONE - SECOND_ALONE) / (EXPERTS - 2))
PRIOR_K[0], PRIOR_K[-1] = FIRST_ALONE, SECOND_ALONE
with np.errstate(divide="ignore"):
    OF_FIRST_K, OF_SECOND_K = np.log(1.0 - VALUES_K), np.log(VALUES_K)


class Mixture:
    """The weights of the experts after what was read; at the beginning, their priors."""

    def __init__(self) -> None:
        self._logs_K: F64 = np.log(PRIOR_K)
        """The logarithms of the weights, up to a constant."""

    @property
    def weight(self) -> float:
        """The weight of the second predictor for the next token, from 0 to 1: the mean v."""
        return float(_means(self._logs_K[None])[0])

    def nats(self, first_T: Array, second_T: Array) -> tuple[Array, Array]:
        """(nats [T] of the mixture, weights [T] of the second predictor) from the nats of both."""
        losses_TK = -np.logaddexp(
            OF_FIRST_K - first_T.astype(np.float64)[:, None],
            OF_SECOND_K - second_T.astype(np.float64)[:, None],
        )
        # One addition after the other from where the weights stand: the same bits however a text is cut.
        logs_SK = np.subtract.accumulate(np.concatenate([self._logs_K[None], losses_TK]), axis=0)
        totals_S = _log_sums(logs_SK)
        self._logs_K = logs_SK[-1]
        return (totals_S[:-1] - totals_S[1:]).astype(np.float32), _means(logs_SK[:-1])

    def share(self) -> None:
        """A place at which the experts share."""
        weights_K = np.exp(self._logs_K - self._logs_K.max())
        weights_K *= (1.0 - SHARE) / weights_K.sum()
        self._logs_K = np.log(weights_K + SHARE * PRIOR_K)


def _log_sums(logs_SK: F64) -> F64:
    top_S = logs_SK.max(axis=1)
    sums_S: F64 = top_S + np.log(np.exp(logs_SK - top_S[:, None]).sum(axis=1))
    return sums_S


def _means(logs_SK: F64) -> F64:
    weights_SK = np.exp(logs_SK - logs_SK.max(axis=1, keepdims=True))
    means_S: F64 = (weights_SK * VALUES_K).sum(axis=1) / weights_SK.sum(axis=1)
    return means_S
