"""What a training run would choose, and why, before it is begun: ``pantoum train --plan``.

The text is read and tokenised into a folder that is removed again, and with minutes the machine is measured,
just as a run does; what the run would then choose is told. Nothing is trained, nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pantoum.config import TrainSettings
from pantoum.config.model_config import GONE
from pantoum.config.plain import as_typed
from pantoum.training.begin import choose_recipe, prepare_texts, read_source
from pantoum.training.memory import require_memory
from pantoum.training.pace import USABLE
from pantoum.training.recipe.forecast import Forecast, forecast
from pantoum.training.run.budget import DEFAULT_MINUTES, Budget, Clock

__all__ = ["Plan", "make_plan"]


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
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **plain,
            "chosen": dict(self.chosen),
            "reasons": list(self.reasons),
            "expected": None if self.expected is None else self.expected.to_dict(),
        }

    def __str__(self) -> str:
        rows = [
            ("budget", self.budget),
            ("text", f"{self.training_tokens:,} tokens to train on, {self.held_out_tokens:,} held out"),
            ("tokens", f"{self.kind}, vocabulary {self.vocab_size:,}"),
            ("parameters", f"{self.parameters:,}"),
            ("memory", f"about {self.memory / 1e6:,.0f} MB"),
            *(
                (name, as_typed(value))
                for name, value in self.chosen.items()
                if not isinstance(value, Mapping)
            ),
            *(("model." + name, as_typed(value)) for name, value in self.chosen["model"].items()),
            *(("because", reason) for reason in self.reasons),
            ("expect", "no figure: nothing is held out" if self.expected is None else str(self.expected)),
        ]
        return "\n".join(f"{name:<22}{value}" for name, value in rows)


def make_plan(settings: TrainSettings, texts: Sequence[str]) -> Plan:
    """What a run with these settings would choose on this machine."""
    clock, source = Clock(), read_source(settings)
    budget = Budget.asked(settings) or Budget("minutes", DEFAULT_MINUTES)
    prepared = prepare_texts(settings, texts, None, source)
    recipe, tokens_per_second = choose_recipe(settings, prepared, budget, clock, source)
    vocab_size = prepared.tokenizer.vocab_size
    chosen: dict[str, Any] = recipe.spec()
    chosen["model"] = {name: value for name, value in chosen["model"].items() if name not in GONE}
    need = require_memory(recipe, vocab_size, prepared.train.count)
    tokens = {
        "minutes": 60.0 * USABLE * tokens_per_second,
        "steps": recipe.batch_size * recipe.seq_len,
        "epochs": prepared.train.count,
    }[budget.kind] * budget.amount
    return Plan(
        budget=str(budget),
        kind=prepared.tokenizer.kind,
        vocab_size=vocab_size,
        training_tokens=prepared.train.count,
        held_out_tokens=0 if prepared.valid is None else prepared.valid.count,
        parameters=recipe.num_parameters(vocab_size),
        memory=need.all,
        chosen=chosen,
        reasons=recipe.reasons,
        expected=forecast(
            prepared,
            6.0 * recipe.work(vocab_size) * tokens,
            tokens / (recipe.batch_size * recipe.seq_len),
        ),
    )
