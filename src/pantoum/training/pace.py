"""How fast this machine trains: measured on true updates of the model that is likely to be chosen.

Used with minutes alone. At most 5 s or 3 % of the budget, whichever is less, for updates: the first one makes
buffers and can take several times what others do, so it counts only where it leaves no time for a second. Of
the others the mean counts, because some updates do more than others (``update.spelling``). The result is
operations per second, from which the recipe takes its sizes; the weights trained meanwhile are discarded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pantoum import kernels
from pantoum.data.prepared_file import Prepared
from pantoum.kernels import Array
from pantoum.training.assembly import make_backend, make_batches, symbols_of
from pantoum.training.fastest import fastest_precision
from pantoum.training.memory import require_memory
from pantoum.training.recipe.recipe import Outlook, Recipe

MOST_SECONDS, MOST_SHARE = 5.0, 0.03
UPDATES = 5
GUESS = 6e10
"""Operations per second of two modest cores: only to choose what is measured, where products are not."""
REACHED = 0.4
"""The share of the speed of products that updates reach, about: only to choose what is measured."""
SHARED = 0.9
"""Share of the speed of all ranks that is left when their sums have been exchanged: a guess."""
USABLE = 0.92
"""Share of the time that is left for training when evaluation and saving have had theirs."""


def chosen_by_pace(
    choose: Callable[[Outlook], Recipe],
    outlook: Outlook,
    prepared: Prepared,
    seconds: float,
    budget: float,
    *,
    ranks: int = 1,
    measures: bool = True,
) -> tuple[Recipe, float]:
    """The recipe that ``choose`` finds for ``seconds`` of a ``budget``, and its expected training speed in
    tokens per second. ``ranks``: how many train; the speed of this one is measured. ``measures``: the
    precision is the fastest one here (``fastest``)."""
    limit = min(MOST_SECONDS, MOST_SHARE * budget)
    began = time.perf_counter()
    times = 1.0 if ranks == 1 else SHARED * ranks
    candidate = choose(replace(outlook, operations=GUESS * times * seconds * USABLE))
    chosen_for: tuple[str, ...] = ()
    if measures:
        rows = candidate.batch_size * candidate.seq_len
        fastest = fastest_precision(candidate.model.hidden_size, rows, candidate.batch_size)
        outlook = replace(outlook, precision=fastest.precision)
        guess = GUESS
        if fastest.gflops:
            guess = REACHED * 1e9 * fastest.gflops[fastest.precision] * kernels.native.core().threads
        candidate = choose(replace(outlook, operations=guess * times * seconds * USABLE))
        chosen_for = tuple(filter(None, (fastest.reason(),)))
    rate = times * operations_a_second(candidate, prepared, limit)
    recipe = choose(replace(outlook, operations=rate * seconds * USABLE))
    left = limit - (time.perf_counter() - began)
    sizes = [each.work(outlook.vocab_size) for each in (recipe, candidate)]
    if left > 0.4 * limit and not 0.5 < sizes[0] / sizes[1] < 2.0:
        # Small models reach a smaller share of the machine's rate: measure what is really going to run.
        rate = times * operations_a_second(recipe, prepared, left)
        recipe = choose(replace(outlook, operations=rate * seconds * USABLE))
    tokens_per_second = rate / (6.0 * recipe.work(outlook.vocab_size))
    measured = f"measured: {rate / 1e9:.3g} billion operations and {tokens_per_second:,.0f} tokens per second"
    return replace(recipe, reasons=(measured, *chosen_for, *recipe.reasons)), tokens_per_second


def operations_a_second(recipe: Recipe, prepared: Prepared, limit: float) -> float:
    """Floating-point operations per second of a few real updates; ``limit`` is for these alone, not for
    making the model, which takes seconds where it is large."""
    vocab_size = prepared.tokenizer.vocab_size
    require_memory(recipe, vocab_size, prepared.train.count)
    batches = make_batches(prepared, recipe.batch_size, recipe.seq_len)
    fitting = replace(recipe, shards=min(recipe.shards, batches.batch_size))  # ``begin`` refuses more
    backend = make_backend(fitting, vocab_size, symbols=symbols_of(recipe, prepared))
    state: Any = backend.initial_state(batches.batch_size)
    streams: Array = np.arange(batches.batch_size)
    seconds, began = list[float](), time.perf_counter()
    for update in range(UPDATES):
        start = time.perf_counter()
        state = backend.gradients(next(batches), state, update, streams).state
        backend.update(recipe.learning_rate * 1e-2, recipe.clip)
        seconds.append(time.perf_counter() - start)
        if time.perf_counter() - began + (seconds[-1] if update else 0.0) > limit:
            break
    tokens = batches.batch_size * batches.seq_len
    counted = seconds[1:] or seconds
    return 6.0 * recipe.work(vocab_size) * tokens * len(counted) / max(sum(counted), 1e-9)
