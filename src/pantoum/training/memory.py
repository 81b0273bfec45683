"""The memory that a run needs, estimated before anything is allocated, and what this process may have.

The estimate adds up what is large: arrays of the size of the weights, and those of the batch. It was compared
with the peaks of real runs (`tests/training/test_memory.py`). A run that needs more than there is would be
ended by the system without a word, or make the machine swap for hours; it is refused in one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pantoum.config import CELLS
from pantoum.errors import SettingError
from pantoum.training.recipe.recipe import Recipe

BASE = 80_000_000
"""Bytes of Python, NumPy and the core."""
OF_WEIGHTS, OF_TABLES = 6, 3
"""Arrays of the size of the weights: these, their gradients, two moments, the best so far, and one in the
order in which products read them; three arrays of parts of spelling count as one. Tables of n-grams: these,
their squares, the best so far."""
BESIDE_GATES = 3
"""Arrays per unit of a layer beside two per gate: what comes in, what goes out, and a gradient."""
SHARE = 0.9
"""The largest share of the available memory that a run may need by the estimate."""
CONTROL_GROUPS, OWN_GROUPS, PROCESS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc")


@dataclass(frozen=True)
class Need:
    """The memory of a run in bytes, by what takes it."""

    weights: int
    """What has the size of the weights."""
    batch: int
    """What is kept of a batch from the forward pass to the backward pass."""

    @property
    def all(self) -> int:
        """Everything."""
        return BASE + self.weights + self.batch

    def __str__(self) -> str:
        return f"{_size(self.all)} ({_size(self.weights)} for the model, {_size(self.batch)} for a batch)"


def estimate(recipe: Recipe, vocab_size: int, batch_size: int, seq_len: int, ranks: int = 1) -> Need:
    """What each rank needs to train with this recipe on batches of this size."""
    model = recipe.model
    hidden, gates = model.hidden_size, len(CELLS[model.cell].gates)
    # The numbers of the model without its biases; a model that is too large cannot be made to be counted.
    inputs = gates * hidden if model.embedding_size is None else 0 if model.tied else model.embedding_size
    numbers = recipe.work_to_read(vocab_size) + recipe.members * vocab_size * inputs
    tables = recipe.members * len(model.ngrams) * model.ngram_rows * vocab_size
    copies = OF_WEIGHTS + (recipe.average is not None) + (recipe.pull > 0.0) + (recipe.spelling is not None)
    # Sums of the gradients of shards: one per level of the tree that this rank adds.
    copies += max(0, (recipe.shards // ranks).bit_length() - 1)
    weights = copies * numbers + OF_TABLES * tables
    per_token = model.num_layers * (2 * gates + BESIDE_GATES) * hidden + 2 * (model.embedding_size or 0)
    if model.ngrams:  # else logits are there for some rows at a time
        per_token += (2 + len(model.ngrams)) * vocab_size
    return Need(4 * weights, 4 * recipe.members * -(-batch_size // ranks) * seq_len * per_token)


def require_memory(recipe: Recipe, vocab_size: int, training_tokens: int, ranks: int = 1) -> Need:
    """What a run needs; refused where that is more than there is. A short text has smaller batches."""
    seq_len = max(1, min(recipe.seq_len, training_tokens - 1))
    batch_size = max(1, min(recipe.batch_size, (training_tokens - 1) // seq_len))
    need, there = estimate(recipe, vocab_size, batch_size, seq_len, ranks), available()
    if there is None or need.all <= SHARE * there:
        return need
    values = {"hidden_size": recipe.model.hidden_size, "vocab_size": vocab_size}
    name = "vocab_size" if vocab_size > 8 * recipe.model.hidden_size else "hidden_size"
    if need.batch > need.weights:
        values = {"batch_size": recipe.batch_size, "seq_len": recipe.seq_len}
        name = max(values, key=lambda each: values[each])
    rule = f"needs about {need} of memory in training, and {_size(there)} are available here"
    raise SettingError(name, values[name], rule, "give a smaller one, or use a machine with more memory")


def available() -> int | None:
    """Bytes that this process may still take: what the machine has, and its control groups allow (Linux);
    ``None``: the system does not say."""
    return min((max(0, found) for found in (*_of_machine(), *_of_groups())), default=None)


def _of_machine() -> Iterator[int]:
    for line in _lines(PROCESS / "meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024
            return
    with suppress(OSError, ValueError, AttributeError):  # what there is in all, on other systems
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_groups() -> Iterator[int]:
    """What the control group of this process (v2), and all above it, leave; cached files make room."""
    for line in _lines(OWN_GROUPS):
        place = CONTROL_GROUPS / line.split(":", 2)[2].lstrip("/")
        for folder in (place, *place.parents):
            limit, used, cached = (_lines(folder / f"memory.{name}") for name in ("max", "current", "stat"))
            with suppress(ValueError, IndexError):  # it is not there, or "max"
                inactive = [int(each.split()[1]) for each in cached if each.startswith("inactive_file ")]
                yield int(limit[0]) - int(used[0]) + sum(inactive)
            if folder == CONTROL_GROUPS:
                break


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
