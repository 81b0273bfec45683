"""The settings of training itself: batches, optimizer, arithmetic, ranks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pantoum.config.rules import AUTO, Auto, number, one_of, require, text, whole
from pantoum.config.setting import SettingGroup, setting

__all__ = ["OPTIMIZERS", "SCHEDULES", "UpdateSettings", "parse_softmax", "spell_softmax"]


SAMPLES = 2048
"""Symbols that are sampled if no number is given."""


def parse_softmax(given: str) -> int | None:
    """Read ``full`` (``None``: all symbols), ``sampled`` or ``sampled:N``: the number of samples."""
    found = re.fullmatch(r"full|sampled(?::([0-9]{1,9}))?", given)
    require(
        found is not None,
        "softmax",
        given,
        "must be full, sampled or sampled:N",
        "give for example --softmax sampled:2048",
    )
    assert found is not None
    if given == "full":
        return None
    return SAMPLES if found[1] is None else whole(int(found[1]), "softmax", most=1 << 24)


def softmax_words(value: object, argument: str) -> str:
    """The symbols that are compared, as people give them."""
    given = text(value, argument)
    parse_softmax(given)
    return given


def spell_softmax(samples: int | None) -> str:
    """The text that ``parse_softmax`` reads back."""
    return "full" if samples is None else f"sampled:{samples}"


OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("linear", "trapezoid", "cosine", "constant")


@dataclass(frozen=True)
class UpdateSettings(SettingGroup):
    """How a model is trained."""

    GROUP: ClassVar[str] = "training"

    softmax: str = setting(
        AUTO,
        "symbols that a training step compares its targets with: full (all), sampled or sampled:N",
        softmax_words,
        metavar="KIND",
        chosen="sampled for more than 4,096 symbols, else full",
    )
    batch_size: int | Auto = setting(
        AUTO,
        "parallel streams of text",
        partial(whole, most=1_000_000),
        metavar="B",
        chosen="64, fewer for a short text or time",
    )
    seq_len: int | Auto = setting(
        AUTO,
        "time steps per update (truncated backpropagation through time)",
        partial(whole, most=1_000_000),
        metavar="T",
        chosen="64, fewer for a short text; 32 for more than 512 symbols",
    )
    optimizer: str = setting(
        AUTO,
        "optimizer",
        partial(one_of, choices=OPTIMIZERS),
        chosen="muon where its extra time per update is small, else adamw",
    )
    learning_rate: float | Auto = setting(
        AUTO,
        "peak learning rate",
        partial(number, above=0.0, most=1e3),
        metavar="X",
        chosen="0.0005 to 0.008, from optimizer, batch and hidden size",
    )
    schedule: str = setting(
        AUTO,
        "learning rate schedule",
        partial(one_of, choices=SCHEDULES),
        chosen="linear, after a warm-up of 4%",
    )
    weight_decay: float | Auto = setting(
        AUTO,
        "decoupled weight decay",
        partial(number, least=0.0, most=1e3),
        metavar="X",
        chosen="0.1 with muon, 0.01 with adamw",
    )
    clip: float | Auto | None = setting(
        AUTO, "largest norm of the gradient", partial(number, above=0.0), metavar="X", off=True, chosen="1"
    )
    average: float | Auto | None = setting(
        AUTO,
        "decay per step of the exponential moving average of the weights",
        partial(number, above=0.0, below=1.0),
        metavar="X",
        off=True,
        chosen="averages over 5% of the run",
    )
    precision: str = setting(
        AUTO,
        "arithmetic of matrix products",
        partial(one_of, choices=("auto", "float32", "bf16")),
        chosen="the fastest of this machine with --minutes, else float32",
    )
    shards: int | Auto = setting(
        AUTO,
        "parts of the batch whose gradients are added in a fixed order: up to S ranks share them and train "
        "the same model, bit for bit",
        partial(whole, most=65_536),
        metavar="S",
        chosen="the number of ranks that train, else 1",
    )
    device: str | None = setting(
        None,
        "train in PyTorch on this device; auto: on a GPU if there is one, else as without the option",
        partial(one_of, choices=("auto", "cpu", "cuda")),
        chosen="the core of pantoum, on the processor",
        once=True,
    )
    seed: int = setting(0, "seed of all random numbers", partial(whole, least=0, most=2**63 - 1), metavar="S")
