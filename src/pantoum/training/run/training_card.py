"""The training card in a model file: what it learned from, how, and how well, in units that compare.

With steps or epochs there is no time, host or path in it, so that the same command gives the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pantoum.config import VERSION
from pantoum.config.plain import Plain
from pantoum.inference.evaluation import Evaluation
from pantoum.inference.files.named_texts import named_texts
from pantoum.inference.scoring.protocols import SEGMENTS
from pantoum.training.run.run_state import Best, RunState

__all__ = ["card", "monitor_of"]

UNITS = "losses are mean nats per token over the targets scored; tokens are counted after tokenisation"


def card(
    state: RunState,
    best: Best | None,
    evaluation: Evaluation | None,
    facts: Mapping[str, Any],
    parameters: int,
    peaks: Mapping[str, Plain] | None = None,
) -> dict[str, Plain]:
    """The card of the weights that ``best`` names (``None``: the last ones, nothing was held out)."""
    valid = facts.get("valid_text")
    made = {
        "pantoum": VERSION,
        "units": UNITS,
        **named_texts(facts.get("texts", ())),
        "valid_text": named_texts([valid])["texts"][0] if valid else None,
        "tokens": {part: facts[part]["tokens"] for part in ("train", "valid") if facts.get(part)},
        "parameters": parameters,
        "settings": state.recipe.spec(),
        "batch": {"batch_size": state.batch_size, "seq_len": state.seq_len},
        "budget": state.budget_in_words,
        "step": state.step if best is None else best.step,
        "tokens_trained": state.tokens,
        "averaged": best is not None and best.averaged,
        "monitor": monitor_of(state, best),
        "validation": None if evaluation is None else evaluation.to_dict(),
        "peaks": None if evaluation is None or peaks is None else dict(peaks),
        "curve": [dict(point) for point in state.curve.points],
        "began_from": state.identity.get("began_from"),
    }
    if not state.timeless:
        made["seconds"] = round(state.seconds, 1)
    return made


def monitor_of(state: RunState, best: Best | None) -> dict[str, Plain] | None:
    """The best loss during training: of the first tokens of the held-out text."""
    if best is None:
        return None
    return {"protocol": SEGMENTS, "tokens": state.monitored - 1, "nats_per_token": best.loss}
