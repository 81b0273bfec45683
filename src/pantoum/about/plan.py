"""What a training run would choose, and why, before it is begun: ``pantoum train --plan``.

The text is read and tokenised into a folder that is removed again, and with minutes the machine is measured,
just as a run does; the plan says what the run would then choose. Nothing is trained or left behind.

The validation loss to expect is a rule of thumb, not a fit.

xz says how hard a text is: the bits per byte that it needs for the beginning of the validation text after the
end of the training text. A model reaches a share of that, which falls with the operations of its training:

    bits per byte = bits of xz * (FLOOR + FALL * (operations / 1e13) ** -POWER)

never more than a guess among all symbols, from which training begins: the distance to it falls with the
updates, as ``1 / (1 + updates / HALVED)``. A run that begins from a model begins at what that model needs for
the beginning of the validation text, and comes to ``TUNED`` of it at least. The constants were set by hand
after a few runs on tiny Shakespeare. Eight runs of December 2026 (``docs/log/quality.md``), of one to ten
minutes, came out 14 % below to 13 % above what it says: verse below, source code above, because xz finds the
long repeats of which it has many.
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pantoum.config import TrainSettings
from pantoum.config.model_config import GONE
from pantoum.config.plain import as_typed
from pantoum.data.prepared_file import Prepared
from pantoum.report.wording import HELD_OUT
from pantoum.training.begin import choose_recipe
from pantoum.training.memory import require_memory
from pantoum.training.pace import USABLE
from pantoum.training.run.budget import DEFAULT_MINUTES, Budget, Clock
from pantoum.training.source import SURPRISING_TOKENS, begun_from, needed

FLOOR, FALL, POWER = 0.80, 0.062, 0.5
"""Set by hand."""
HALVED = 14.0
"""Updates after which half of the way from a guess is done. By hand, from the validation losses of a run of
1.3 M parameters on source code: 4.45 after the first update, 2.76 after 10, 2.09 after 30, 1.47 after 60."""
TUNED = 0.95
"""By hand, from tiny Shakespeare: from a base of 1.61 nats per byte, 100 KB gave 1.526 in a minute."""
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

    def __str__(self) -> str:
        return (
            f"about {self.nats_per_token:.3g} nats per token, {self.bits_per_byte:.3g} bits per byte on the "
            f"validation text ({HELD_OUT}), within {self.error:.0%}; xz needs {self.xz_bits_per_byte:.3g} "
            "bits per byte after it has read the training text"
        )


@dataclass(frozen=True)
class Plan:
    """The choices, each with its reason."""

    budget: str
    kind: str
    """The tokenizer."""
    vocab_size: int
    training_tokens: int
    held_out_tokens: int
    parameters: int
    memory: int
    """Bytes that training needs, about."""
    chosen: Mapping[str, Any]
    reasons: tuple[str, ...]
    expected: Forecast | None
    """The expected validation loss; ``None`` if nothing is held out."""

    def to_dict(self) -> dict[str, Any]:
        """The answer of ``train --plan --json``."""
        return asdict(self)

    def __str__(self) -> str:
        model = {f"model.{name}": value for name, value in self.chosen["model"].items()}
        chosen = {name: value for name, value in self.chosen.items() if not isinstance(value, Mapping)}
        rows = [
            ("budget", self.budget),
            ("text", f"{self.training_tokens:,} tokens to train on, {self.held_out_tokens:,} held out"),
            ("tokens", f"{self.kind}, vocabulary {self.vocab_size:,}"),
            ("parameters", f"{self.parameters:,}"),
            ("memory", f"about {self.memory / 1e6:,.0f} MB"),
            *((name, as_typed(value)) for name, value in {**chosen, **model}.items()),
            *(("because", reason) for reason in self.reasons),
            (
                "expect",
                "no figure, because no text is held out" if self.expected is None else str(self.expected),
            ),
        ]
        return "\n".join(f"{name:<22}{value}" for name, value in rows)


def make_plan(settings: TrainSettings, texts: Sequence[str]) -> Plan:
    """What a run with these settings would choose on this machine."""
    clock, begun = Clock(), begun_from(settings, texts, None)
    budget = Budget.asked(settings) or Budget("minutes", DEFAULT_MINUTES)
    prepared = begun.prepared
    recipe, tokens_per_second = choose_recipe(settings, begun, budget, clock)
    vocab_size = prepared.tokenizer.vocab_size
    chosen: dict[str, Any] = recipe.spec()
    chosen["model"] = {name: value for name, value in chosen["model"].items() if name not in GONE}
    per_step = recipe.batch_size * recipe.seq_len
    per_unit = {
        "minutes": 60.0 * USABLE * tokens_per_second,
        "steps": per_step,
        "epochs": prepared.train.count,
    }
    tokens = budget.amount * per_unit[budget.kind]
    untuned = None
    if begun.source is not None and prepared.valid is not None and prepared.valid.count > 1:
        untuned = needed(
            begun.source,
            prepared.valid.read(0, min(SURPRISING_TOKENS, prepared.valid.count)),
            prepared.tokenizer,
        )
    return Plan(
        budget=str(budget),
        kind=prepared.tokenizer.kind,
        vocab_size=vocab_size,
        training_tokens=prepared.train.count,
        held_out_tokens=0 if prepared.valid is None else prepared.valid.count,
        parameters=recipe.num_parameters(vocab_size),
        memory=require_memory(recipe, vocab_size, prepared.train.count).all,
        chosen=chosen,
        reasons=recipe.reasons,
        expected=forecast(prepared, 6.0 * recipe.work(vocab_size) * tokens, tokens / per_step, untuned),
    )


def forecast(
    prepared: Prepared, operations: float, updates: float = math.inf, untuned: float | None = None
) -> Forecast | None:
    """The forecast for a run of so many operations in so many updates; ``None`` where nothing is held out.
    ``untuned``: the nats per token of the model that training begins from."""
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
    guess, least = math.log(prepared.tokenizer.vocab_size), 1.0
    if untuned is not None and untuned < guess:
        guess, least = untuned, TUNED
    trained = min(share * of_xz * math.log(2.0) * bytes_per_token, least * guess)
    nats = trained + (guess - trained) / (1.0 + updates / HALVED)
    return Forecast(nats, nats / bytes_per_token / math.log(2.0), of_xz)


def _packed(content: bytes) -> int:
    return len(lzma.compress(content, preset=6))
