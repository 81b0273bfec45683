"""The best weights so far, by validation loss, and the model file that holds them.

Every now and then the last and the averaged weights are both scored by ``segments:64`` over ``monitored``
tokens, in spans that are as hard as the held-out text around them (all of it where that is cheap), by
products in the run's own precision; the better of both is kept, a copy, if it is better than the best before.
At the run's end the kept weights are scored once over the whole held-out text: that is the figure in the
model's card and in ``train --json``. It is in float32, as everybody will read the model, or, where that would
take too much of a short run's minutes, in the run's precision; the figure says which, and both agree to
0.0001 nats.

Where the n-grams of the training text are counted (``FittedCounts``), the held-out text is predicted by the
counts once. At each evaluation the nats of the network are mixed with these probabilities by the weights that
fit best (``mixers.count_mixture.fitted``), so the loss is that of the model as it will be used. There are
some 40 weights for thousands of held-out tokens, so that fitting them to these tokens makes the loss only a
little too low (docs/log).

Without a held-out text the last weights are kept, and nothing is claimed about them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pantoum.config import ModelConfig
from pantoum.config.plain import Plain
from pantoum.errors import PantoumError
from pantoum.formats import model_file
from pantoum.formats.model_file import SCALE, ModelFile
from pantoum.inference.alert import held_out_peaks
from pantoum.inference.cache_settings import CARD_KEY, tuned
from pantoum.inference.evaluation import Evaluation, evaluate, held_out_loss
from pantoum.inference.files import counts_file
from pantoum.inference.files.precision import finished_forms, plain
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring.protocols import LEAST_SPAN, SEGMENTS, WARM_TOKENS, typical_spans
from pantoum.kernels import Array
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import CountMixture, Counts, counted, fitted, mixed
from pantoum.network.program import Program
from pantoum.network.spec import named
from pantoum.text.tokenizer import Tokenizer
from pantoum.training.run.run_state import Best
from pantoum.training.update.backend import Backend

COST_TOKENS = 20_000
"""The tokens of the validation text on which the cost of the file's coding is measured."""
MOST_COST = 0.0005
"""Nats per token that it may be; where the smallest form costs more, the next one is taken."""
CODING = "coding"
"""Where the card says what that costs."""
CACHED_SYMBOLS = 512
"""Most symbols of a vocabulary for which no cache is tuned."""
MIXED_COSTS = 2.0
"""Times of a token read with counts mixed in and without, until it is measured."""
MIXED_TOKENS, MOST_MIXED = 1000, 5.0
"""Tokens on which that is measured, and the largest figure that is believed of so few."""
UNFITTED = 0.5
"""The weight of the network beside counts where nothing is held out."""
PART = 1 << 16
"""Held-out tokens that the counts are asked about at once."""
FLOAT32_COSTS = 2.0
"""Times of a token read in float32 and in a faster precision (docs/log)."""


class FittedCounts:
    """Counts of a text, and what they say about another."""

    def __init__(
        self, tokens_N: Array, valid_N: Array | None, vocab_size: int, order: int, eos: int | None
    ) -> None:
        """``eos``: the token that begins each document."""
        orders = counted(tokens_N, vocab_size, order, eos)
        self.counts = Counts(vocab_size, orders)
        self._arrays = counts_file.arrays_of(vocab_size, orders)
        parts = [] if valid_N is None else self._predicted(valid_N, eos)
        self._p_T = np.concatenate([p for p, _ in parts]) if parts else np.zeros(0)
        self._buckets_T = (
            np.concatenate([buckets for _, buckets in parts]) if parts else np.zeros(0, np.int64)
        )

    def unfitted(self) -> CountMixture:
        """The mixture where nothing is held out."""
        return CountMixture(self.counts, np.full(self.counts.buckets, UNFITTED, np.float32))

    def fit(self, nats_T: npt.NDArray[np.float32]) -> tuple[CountMixture, float]:
        """The mixture with a network that has these nats for the held-out targets; its mean loss. NaN: that
        target was not scored."""
        scored_T = np.isfinite(nats_T)
        nats_N, p_N, buckets_N = nats_T[scored_T], self._p_T[scored_T], self._buckets_T[scored_T]
        weights_C = fitted(nats_N, p_N, buckets_N, self.counts)
        return CountMixture(self.counts, weights_C), float(mixed(nats_N, p_N, weights_C[buckets_N]).mean())

    def arrays(self, mixture: CountMixture) -> dict[str, Array]:
        """What the model file holds of them."""
        return counts_file.with_weights(self._arrays, mixture)

    def _predicted(self, valid_N: Array, eos: int | None) -> list[tuple[Array, Array]]:
        recent_BK, found = self.counts.initial_state(1), []
        for start in range(0, len(valid_N) - 1, PART):
            part = np.asarray(valid_N[start : start + PART + 1]).astype(np.int64)
            inputs_TB = part[:-1, None]
            contexts = self.counts.find(inputs_TB, recent_BK, None if eos is None else inputs_TB == eos)
            recent_BK = contexts.recent_BK
            found.append((self.counts.probabilities(contexts, part[1:]), contexts.buckets_N))
        return found


class KeepBest:
    """Scores weights by programs of their own, so that those of training are never touched."""

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        valid: Array | None,
        monitored: int,
        best: Best | None,
        beside: Mapping[str, Array] | None = None,
        precision: str = "float32",
        counts: FittedCounts | None = None,
        encoded: Mapping[str, int] | None = None,
        trained: Array | None = None,
    ) -> None:
        """``beside``: arrays that go into the model file whatever the weights; ``precision``: of the products
        of an evaluation while training; ``counts``: those that are mixed with the network; ``encoded``: what
        was counted of ``valid`` while it was encoded; ``trained``: the text whose counts choose
        the monitored part."""
        self.best = best
        self.peaks: dict[str, Plain] | None = None
        """What ``score --alert auto:P%`` asks of the held-out text, once all of it was scored."""
        self._config, self._forms = config, finished_forms(named(config, "table"))
        self._shape = LanguageModel(tokenizer.vocab_size, config=config, seed=None)
        self._better: Mapping[str, Array] = {}
        self._counts, self._better_mixture = counts, None if counts is None else counts.unfitted()
        self._tokenizer = tokenizer
        self._valid = valid
        self._monitored = monitored if valid is None else min(monitored, len(valid))
        self._part = None
        if valid is not None and self._monitored < len(valid):
            self._part = typical_spans(valid, self._monitored - 1, valid if trained is None else trained)
        self._kept: dict[str, Array] | None = None
        self._held: dict[str, Array] | None = None
        """The kept weights as a finished run's file holds them."""
        self.coding: dict[str, Plain] | None = None
        """What it costs that the file holds the weights in fewer bits, once it does."""
        self._extras: dict[str, Array] = {}
        self._cache: dict[str, Plain] | None = None
        """The settings of a cache, once they are tuned."""
        self._beside = dict(beside or {})
        self._precision, self._encoded = precision, encoded
        self._mixed_costs: float | None = None if counts is not None else 1.0

    def model(self) -> LoadedModel:
        """The better ones of the weights that were evaluated last; only until the next update."""
        return LoadedModel(self._program(self._better, "float32", self._better_mixture), self._tokenizer)

    def release(self) -> None:
        """Let go of the weights that were evaluated last: saving needs the memory."""
        self._better = {}

    def kept_model(self) -> LoadedModel | None:
        """The kept weights; ``None`` while nothing is kept."""
        if self._kept is None:
            return None
        return LoadedModel(self._program(self._kept, "float32", self._kept_mixture), self._tokenizer)

    @property
    def judges_nothing(self) -> bool:
        """Whether nothing is held out, so that the last weights are kept."""
        return self._valid is None

    @property
    def tokens_scored(self) -> int:
        """Tokens that one ``look`` reads, for both kinds of weights."""
        return 0 if self._valid is None else 2 * _read(self._monitored)

    def at_the_end(self, affordable: float = math.inf) -> tuple[str, int]:
        """The precision in which the run's end scores the held-out text: float32 if that takes no longer than
        an evaluation of so many tokens would, else the run's own. And how many tokens the end reads, counted
        as an evaluation reads them: a last evaluation, all of the held-out text once, and for ``compact``
        its beginning once and once more with each form."""
        read = 0 if self._valid is None else _read(len(self._valid))
        read = int(read * (MIXED_COSTS if self._mixed_costs is None else self._mixed_costs))
        exact = read * (1.0 if self._precision == "float32" else FLOAT32_COSTS)
        precision = "float32" if exact <= affordable else self._precision
        # Without a jump where it becomes too dear, for the schedule's length depends on it.
        coded = (1 + len(self._forms)) * min(_read(COST_TOKENS), self.tokens_scored // 2)
        return precision, self.tokens_scored + coded + int(min(exact, max(read, affordable)))

    def measure_mixing(self) -> None:
        """Measure, once, how much longer a token takes with counts mixed in than without."""
        if self._mixed_costs is not None or self._valid is None or not self._better:
            return
        times, tokens = [], self._valid[: min(self._monitored, MIXED_TOKENS)]
        for mixture in (self._better_mixture, None):
            program = self._program(self._better, self._precision, mixture)
            held_out_loss(program, tokens[:64], self._tokenizer)
            began = time.perf_counter()
            held_out_loss(program, tokens, self._tokenizer)
            times.append(time.perf_counter() - began)
        self._mixed_costs = min(max(1.0, times[0] / times[1]), MOST_MIXED)

    def monitor(self, step: int, backend: Backend) -> tuple[float | None, bool]:
        """The validation loss of the better weights, and whether they are the best so far."""
        if self._valid is None:
            self._better = backend.weights(averaged=False) or {}
            return None, False
        found = []
        for averaged in (True, False):
            weights = backend.weights(averaged)
            if weights is not None:
                program = self._program(weights, self._precision)
                loss, mixture = self._loss(program, self._valid)
                found.append((loss if math.isfinite(loss) else math.inf, averaged, weights, mixture))
        loss, averaged, self._better, self._better_mixture = min(found, key=lambda each: each[:2])
        if not math.isfinite(loss):
            return None, False
        improved = self.best is None or loss < self.best.loss
        if improved:
            self.best = Best(step, averaged, loss)
            self._keep(self._better, backend)
        return loss, improved

    def keep_last(self, backend: Backend) -> None:
        """Keep the last weights, for want of anything to judge by."""
        self._keep(backend.weights(averaged=False) or {}, backend)

    def recall(self, path: Path) -> str | None:
        """Take up the best of earlier sessions from the model file; a note if that cannot be.

        The file may be newer than the checkpoint (the run was killed between two), or of a run that is
        prolonged from an earlier step: what it holds is the best so far, whatever was forgotten.
        """
        if not path.exists():
            lost = self.best is not None
            self.best = None
            return f"{path} is missing: the search for the best model starts again" if lost else None
        try:
            found = model_file.read(path)
            monitor = found.card["monitor"]
            if monitor is None or self._valid is None:
                return None
            known = Best(
                int(found.card["step"]), bool(found.card["averaged"]), float(monitor["nats_per_token"])
            )
            comparable = monitor["tokens"] == self._monitored - 1
        except (PantoumError, KeyError, TypeError, ValueError) as problem:
            self.best = None
            return f"{problem}: the search for the best model starts again"
        if comparable and (self.best is None or known.loss <= self.best.loss):
            self.best, self._kept, self._extras = known, plain(found).parameters, found.extras
            self.coding = found.card.get(CODING)
        return None

    def compact(self) -> None:
        """The kept weights become those of a finished run's file: matrices and tables of logits in few bits.
        What that costs in nats is measured where something is held out; elsewhere matrices are in float16."""
        if self._kept is None:
            return
        before, tables = self._kept, named(self._config, "table")
        if self.coding is not None:
            for form in self._forms:
                held, after = form(before, tables)
                if all(np.array_equal(before[name], after[name]) for name in before):
                    self._held, self._kept = held, after
                    return  # they come from such a file, whose card has said it
        self.coding = {"tokens": 0, "nats_per_token": None}
        if self._valid is None:
            self._held, self._kept = self._forms[-1](before, tables)
            return
        tokens = self._valid[: min(self._monitored, COST_TOKENS)]
        loss = self._loss_alone(before, tokens)
        for form in self._forms:
            self._held, self._kept = form(before, tables)
            cost = self._loss_alone(self._kept, tokens) - loss
            self.coding = {"tokens": len(tokens) - 1, "nats_per_token": cost}
            if cost <= MOST_COST:
                return

    def _loss_alone(self, weights: Mapping[str, Array], tokens: Array) -> float:
        """The loss of a network, without counts."""
        return held_out_loss(self._program(weights, self._precision), tokens, self._tokenizer)

    def evaluate(
        self,
        precision: str = "float32",
        tuning: float | None = None,
        until: Callable[[], bool] | None = None,
    ) -> Evaluation | None:
        """The kept weights over the whole held-out text, or what of it is read when ``until`` says that the
        time is over; ``peaks`` are then its most surprising places. ``tuning``: the seconds after which the
        tuning of a cache ends."""
        if self._valid is None or self._kept is None:
            return None
        nats_T = np.full(len(self._valid) - 1, np.nan, np.float32)
        program = self._program(self._kept, precision, self._kept_mixture)
        found = evaluate(
            program,
            self._valid,
            self._tokenizer,
            SEGMENTS,
            nats_T=nats_T,
            encoded=self._encoded,
            until=until,
        )
        self.peaks = held_out_peaks(self._tokenizer, self._valid[1:], nats_T)
        if self.tunes_a_cache:
            eos = self._tokenizer.eos if self._tokenizer.documents else None
            self._cache = tuned(program, self._valid, eos, tuning)
        return found

    @property
    def tunes_a_cache(self) -> bool:
        """Whether the tokens are words or like words; a cache of characters predicts next to nothing."""
        return self._valid is not None and self._shape.vocab_size > CACHED_SYMBOLS

    def model_file(self, card: dict[str, Plain]) -> ModelFile | None:
        """The kept weights as a model file; ``None`` while nothing is kept."""
        if self._kept is None:
            return None
        return ModelFile(
            self._config.spec(),
            dict(self._held or self._kept),
            self._tokenizer.spec(),
            {
                **card,
                **({} if self.coding is None else {CODING: self.coding}),
                **({} if self._cache is None else {CARD_KEY: self._cache}),
            },
            {**self._extras, **self._beside},
        )

    def require_writable(self, card: dict[str, Plain]) -> None:
        """``ModelFileError`` where a model of this shape, text and card cannot be written."""
        shapes = self._shape.parameters
        scales = {SCALE + name: np.zeros(len(array), np.float32) for name, array in shapes.items()}
        counts = {} if self._counts is None else self._counts.arrays(self._counts.unfitted())
        extras = {**scales, **self._beside, **counts}
        model_file.require_writable(
            ModelFile(self._config.spec(), dict(shapes), self._tokenizer.spec(), card, extras)
        )

    @property
    def _kept_mixture(self) -> CountMixture | None:
        """The counts that are mixed with the network of the kept weights."""
        weights_C = self._extras.get(counts_file.WEIGHTS)
        if self._counts is None or weights_C is None:
            return None
        return CountMixture(self._counts.counts, weights_C)

    def _loss(self, program: Program, valid: Array) -> tuple[float, CountMixture | None]:
        """The validation loss of a network, and of the counts beside it where there are any."""
        nats_T = np.full(len(valid) - 1, np.nan, np.float32)
        loss = held_out_loss(program, valid, self._tokenizer, nats_T, self._part)
        if self._counts is None or not math.isfinite(loss):
            return loss, None if self._counts is None else self._counts.unfitted()
        mixture, loss = self._counts.fit(nats_T)
        return loss, mixture

    def _program(
        self, weights: Mapping[str, Array], precision: str, counts: CountMixture | None = None
    ) -> Program:
        return Program(self._shape, weights, precision=precision, mixers=[counts])

    def _keep(self, weights: Mapping[str, Array], backend: Backend) -> None:
        """Keep copies of weights, and the scale of gradients there, which adapting needs."""
        self._held, self.coding, self._cache = None, None, None
        self._kept = {name: array.copy() for name, array in weights.items()}
        self._extras = {SCALE + name: roots_R for name, roots_R in backend.gradient_scale().items()}
        if self._counts is not None and self._better_mixture is not None:
            self._extras |= self._counts.arrays(self._better_mixture)


def _read(tokens: int) -> int:
    """Tokens read to score so many by ``segments:64``: those that warm the spans too."""
    spans = max(1, min(64, (tokens - 1) // LEAST_SPAN))
    return tokens + WARM_TOKENS * (spans - 1)
