"""How weights follow what was just read: a step after each chunk (Krause et al. 2018, one size per row).

    weights += back * (trained - weights) - speed * gradient

    speed = rate / (size + floor)      a row whose gradient is always large does not run ahead of the others
    back  = decay * size               and is pulled back to where training left it the faster

``size`` is the root mean square of the gradient of a row for the loss of one token, which training measured,
divided by its mean over all weights of the network. Tables of logits, most of whose rows are hardly ever
used, does not count in this mean, and only its rows in use move. The gradient is that of the mean loss of a
chunk, divided by the same mean, so that one rate serves models of any sharpness; a chunk that is cut short
counts for its share. A gradient far larger than any in training is scaled down, and one that is not finite is
skipped, so no text can destroy the weights; ``decay`` bounds how far they move in all.

The settings are fixed; ``docs/log/adapting.md`` has the experiments that they come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pantoum import kernels
from pantoum.errors import ModelFileError
from pantoum.formats.model_file import SCALE
from pantoum.inference.loaded_model import LoadedModel
from pantoum.kernels import Array
from pantoum.network.candidates import CandidateSampler
from pantoum.network.gradient import Gradients, norm
from pantoum.network.spec import declared, named

WHOLE_VOCABULARY, SAMPLES = 4096, 2048
"""Symbols above which a step compares its targets with samples, and how many these are."""


EARLY = 96
"""Chunks of a text after which steps are taken less often."""


@dataclass(frozen=True)
class Settings:
    """What one may choose about adapting."""

    chunk: int = 192
    """Tokens that are read between two steps, in the first ``EARLY`` chunks."""
    later: int = 4
    """Later chunks are so many times as long. Their steps go farther by the square root of it."""
    part: int = 32
    """Tokens that a gradient goes back through, in a chunk of whole parts, computed side by side."""
    lower: int = 2
    """What is below the last layer takes a step after every so many chunks, which is so many times as far."""
    rate: float = 0.011
    """How far a step goes."""
    decay: float = 0.001
    """The share of its distance to the trained weights by which a row of usual size returns at each step."""
    floor: float = 0.1
    """Added to each size: rows that training hardly ever moved must not leap."""
    clip: float = 8.0
    """A gradient counts for at most so many times the size that it had in training."""

    def chunk_after(self, tokens: int) -> int:
        """Tokens of the chunk that follows so many: what is learned of a new text changes fastest early."""
        return self.chunk * (1 if tokens < EARLY * self.chunk else self.later)


CHARACTERS = Settings()
WORDS = Settings(chunk=32, later=1, rate=0.006, decay=0.0003, floor=0.6, lower=1)
"""As much text per chunk: what a word that has just been read changes is worth most soon after it."""
SYMBOLS = 512
"""The largest vocabulary of characters or bytes."""


def settings_for(vocab_size: int) -> Settings:
    """The settings that commands use."""
    return CHARACTERS if vocab_size <= SYMBOLS else WORDS


class Rule:
    """The steps of one model's weights."""

    def __init__(self, model: LoadedModel, settings: Settings) -> None:
        self._settings = settings
        self._trained = model.network.parameters
        self._kernels = kernels.backend(model.network.dtype)
        roots = _roots(model)
        columns = {name: array.size // len(array) for name, array in self._trained.items()}
        tables = named(model.config, "table")
        network = {name: count for name, count in columns.items() if name not in tables}
        total = sum(float(roots[name].sum(dtype=np.float64)) * count for name, count in network.items())
        mean = total / sum(len(roots[name]) * count for name, count in network.items())
        if not 0.0 < mean < math.inf:
            raise ModelFileError(
                f"{_named(model)}: the size of its gradients is {mean:g}: it must be above "
                "0; --adapt needs a model that was trained"
            )
        squares = sum(
            float(np.square(r_R, dtype=np.float64).sum()) * columns[name] for name, r_R in roots.items()
        )
        self._usual_norm = math.sqrt(squares)
        self._speeds, self._backs = {}, {}
        lower = _below_last(model)
        for name, roots_R in roots.items():
            sizes_R, times = roots_R / np.float32(mean), settings.lower if name in lower else 1
            speeds_R = times * settings.rate / mean / (sizes_R + settings.floor)
            self._speeds[name] = speeds_R.astype(np.float32)
            self._backs[name] = np.minimum(times * settings.decay * sizes_R, 1.0).astype(np.float32)

    def step(
        self, weights: Mapping[str, Array], gradients: Gradients, targets: int, pace: float = 1.0
    ) -> None:
        """Take one step, in place, along the gradients of the mean loss of so many targets, ``pace`` times as
        far as the settings say."""
        size = norm(self._kernels, gradients)
        if not math.isfinite(size):
            return
        most = self._settings.clip * self._usual_norm / math.sqrt(targets)
        factor = np.float32(pace * targets / self._settings.chunk * min(1.0, most / max(size, 1e-30)))
        for name, gradient in gradients.items():
            speeds_R, weight, trained = self._speeds[name], weights[name], self._trained[name]
            rows_U = gradient.rows_U
            if gradient.transposed:  # of columns: they are taken out, and put back
                weight, trained, rows_U = gradient.reached(weight), gradient.reached(trained), None
            values = gradient.upright
            self._kernels.adapt(
                weight.reshape(len(weight), -1),
                values.reshape(len(values), -1),
                trained.reshape(len(trained), -1),
                speeds_R * factor,
                self._backs[name],
                rows_U,
            )
            if gradient.transposed:
                gradient.put(weights[name], weight)


def _below_last(model: LoadedModel) -> set[str]:
    """The parameters of members that only what is below their last layer has, where there are several."""
    config = model.config
    if config.num_layers == 1:
        return set()
    own = (each for each in declared(config, model.vocab_size).values() if each.member is not None)
    last = f"stack.{config.num_layers - 1}."
    return {each.name for each in own if last not in each.name and not (config.tied and each.role == "input")}


def _roots(model: LoadedModel) -> dict[str, Array]:
    """The root mean squares that training left in the file, one a row."""
    roots = {}
    for name, array in model.network.parameters.items():
        found = model.extras.get(SCALE + name)
        if found is None:
            raise ModelFileError(
                f"{_named(model)} has no {SCALE}{name}: --adapt needs the sizes of gradients, which older "
                "versions did not save; train again, or go on with `pantoum train TEXT --from MODEL`"
            )
        if found.dtype != np.float32 or found.shape != (len(array),) or (found < 0).any():
            raise ModelFileError(
                f"{_named(model)}: {SCALE}{name} is {found.dtype} {found.shape}: it must be "
                f"float32 ({len(array)},) and not below 0; use another copy of the file"
            )
        roots[name] = found
    return roots


def _named(model: LoadedModel) -> str:
    return "the model" if model.path is None else str(model.path)


def sampler_of(model: LoadedModel) -> CandidateSampler | None:
    """What a step compares its targets with where there are many symbols: all weights of the head would take
    most of the time. Tokens are numbered by their frequency, which falls about as 1 / rank (Zipf)."""
    if model.vocab_size <= WHOLE_VOCABULARY or model.config.ngrams:
        return None
    return CandidateSampler(1e6 / np.arange(1, model.vocab_size + 1), SAMPLES, seed=0)


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
    """Two predictors of one stream, mixed by how well each predicted the recent past: the weights of the
    experts after what was read; at the beginning, their priors.

    The probability of a token is ``(1 - v) p_0 + v p_1``, where v is unknown. Each v of a grid from 0 to 1 is
    an expert with a prior weight, and the experts are weighed by Bayes' rule (Cover 1991, "Universal
    portfolios"): after T tokens the mixture has lost at most -ln(prior of v) nats to any constant v of the
    grid, whatever the text. One v is home: what is used where nothing is mixed. It has the prior ``HOME``, so
    that a text too short to show anything costs at most -ln(HOME) nats, 0.11. A text may change, and with it
    the best v: at regular places every expert gives up a share of its weight, which all divide as their
    priors say (fixed share; Herbster and Warmuth 1998, "Tracking the best expert"). This costs at most
    ``-ln(1 - SHARE)`` nats at each place. The weights before a token depend only on the tokens before it, and
    results do not depend on the calls into which a text is cut. Shapes: T tokens, K experts.
    """

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
        weights_K = np.exp(self.logs_K - np.max(self.logs_K))
        weights_K *= (1.0 - SHARE) / weights_K.sum()
        self.logs_K = np.log(weights_K + SHARE * self.prior_K)

    def _sums(self, logs_SK: F64) -> tuple[F64, F64]:
        """(the logarithms of the sums of weights [S], the means of v [S])."""
        top_S = logs_SK.max(axis=1)
        weights_SK = np.exp(logs_SK - top_S[:, None])
        sums_S = weights_SK.sum(axis=1)
        return top_S + np.log(sums_S), (weights_SK * self.values_K).sum(axis=1) / sums_S
