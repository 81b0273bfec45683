"""Two predictors of one stream, mixed by how well each predicted the recent past.

The probability of a token is ``(1 - v) p_0 + v p_1``, where v is unknown. Each v of a grid from 0 to 1 is an
expert with a prior weight, and the experts are weighed by Bayes' rule (Cover 1991, "Universal portfolios"):
after T tokens the mixture has lost at most -ln(prior of v) nats to any constant v of the grid, whatever the
text. One v is home: what is used where nothing is mixed. It has the prior ``HOME``, so that a text too short
to show anything costs at most -ln(HOME) nats, 0.11. Of the others the two predictors alone have the largest
priors. A text may change, and with it the best v: at regular places every expert gives up a share of its
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

F64 = npt.NDArray[np.float64]
EXPERTS = 9
"""Values of v, from 0 to 1 at equal distances."""
SHARE = 0.02
"""The share of its weight that each expert gives up at each place."""
HOME = 0.9
"""The prior of the home."""
FIRST_ALONE, SECOND_ALONE = 0.25, 0.5
"""What v = 0 and v = 1 have of the prior if nothing is home; the values between divide the rest equally."""
GRID_K: F64 = np.linspace(0.0, 1.0, EXPERTS)


class Mixture:
    """The weights of the experts after what was read; at the beginning, their priors."""

    def __init__(self, home: float) -> None:
        """``home``: from 0 to 1; one more expert where it is not on the grid."""
        self.values_K = np.union1d(GRID_K, home)
        even_K = np.full(len(self.values_K), (1.0 - FIRST_ALONE - SECOND_ALONE) / (len(self.values_K) - 2))
        even_K[0], even_K[-1] = FIRST_ALONE, SECOND_ALONE
        at_home_K = self.values_K == home
        self.prior_K: F64 = np.where(at_home_K, HOME, even_K * (1.0 - HOME) / even_K[~at_home_K].sum())
        self._even_K = np.log(even_K / self.prior_K)
        self.logs_K: F64 = np.log(self.prior_K)
        """The logarithms of the weights, up to a constant."""

    @property
    def weight(self) -> float:
        """The weight of the second predictor, from 0 to 1, by what was read alone: the mean v had nothing
        been home."""
        return float(self._sums((self.logs_K + self._even_K)[None])[1][0])

    @property
    def weight_from_home(self) -> float:
        """The same with what is home: what the next token's second predictor counts."""
        return float(self._sums(self.logs_K[None])[1][0])

    def nats(self, first_T: Array, second_T: Array) -> tuple[Array, Array]:
        """(nats [T] of the mixture, weights [T] of the second predictor) from the nats of both."""
        first_T1, second_T1 = (nats_T.astype(np.float64)[:, None] for nats_T in (first_T, second_T))
        least_T1 = np.minimum(first_T1, second_T1)
        p_first_T1, p_second_T1 = np.exp(least_T1 - first_T1), np.exp(least_T1 - second_T1)
        with np.errstate(divide="ignore"):
            losses_TK = least_T1 - np.log(p_first_T1 * (1.0 - self.values_K) + p_second_T1 * self.values_K)
        losses_TK[:, :1], losses_TK[:, -1:] = first_T1, second_T1  # however far apart they are
        # One addition after the other from where the weights stand: the same bits however a text is cut.
        logs_SK = np.subtract.accumulate(np.concatenate([self.logs_K[None], losses_TK]), axis=0)
        totals_S, means_S = self._sums(logs_SK)
        self.logs_K = logs_SK[-1]
        return (totals_S[:-1] - totals_S[1:]).astype(np.float32), means_S[:-1]

    def share(self) -> None:
        """A place at which the experts share."""
        weights_K = np.exp(self.logs_K - self.logs_K.max())
        weights_K *= (1.0 - SHARE) / weights_K.sum()
        self.logs_K = np.log(weights_K + SHARE * self.prior_K)

    def _sums(self, logs_SK: F64) -> tuple[F64, F64]:
        """(the logarithms of the sums of weights [S], the means of v [S])."""
        top_S = logs_SK.max(axis=1)
        weights_SK = np.exp(logs_SK - top_S[:, None])
        sums_S = weights_SK.sum(axis=1)
        return top_S + np.log(sums_S), (weights_SK * self.values_K).sum(axis=1) / sums_S
