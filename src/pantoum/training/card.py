"""The training card in a model file: what it learned from, how, and how well, in units that compare.

With steps or epochs there is no time, host or path in it, so that the same command gives the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from pantoum.config import VERSION
from pantoum.formats import plain_json
from pantoum.inference.evaluate import Evaluation
from pantoum.inference.protocols import SEGMENTS
from pantoum.training.run_state import Best, RunState

__all__ = ["card"]

MOST_TEXTS = 100
"""Texts that a card names."""
UNITS = "losses are mean nats a token over the targets scored; tokens are counted after tokenisation"


def card(
    state: RunState,
    best: Best | None,
    evaluation: Evaluation | None,
    facts: Mapping[str, Any],
    parameters: int,
    peaks: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The card of the weights that ``best`` names (``None``: the last ones, nothing was held out)."""
    made = {
        "pantoum": VERSION,
        "units": UNITS,
        **_texts(facts.get("texts", ())),
        "valid_text": _text(facts["valid_text"]) if facts.get("valid_text") else None,
        "tokens": {part: facts[part]["tokens"] for part in ("train", "valid") if facts.get(part)},
        "parameters": parameters,
        "settings": state.recipe.spec(),
        "batch": {"batch_size": state.batch_size, "seq_len": state.seq_len},
        "budget": str(state.budget),
        "step": state.step if best is None else best.step,
        "tokens_trained": state.tokens,
        "averaged": best is not None and best.averaged,
        "monitor": None
        if best is None
        else {"protocol": SEGMENTS, "tokens": state.monitored - 1, "nats_per_token": best.loss},
        "validation": None if evaluation is None else evaluation.to_dict(),
        "peaks": None if evaluation is None or peaks is None else dict(peaks),
        "curve": [dict(point) for point in state.curve.points],
        "began_from": state.identity.get("began_from"),
    }
    if not state.timeless:
        made["seconds"] = round(state.seconds, 1)
    return made


def _texts(texts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first texts one by one, and where there are more the number and a digest of all."""
    named: dict[str, Any] = {"texts": [_text(text) for text in texts[:MOST_TEXTS]]}
    if len(texts) > MOST_TEXTS:
        digest = sha256(plain_json.encode([text["sha256"] for text in texts])).hexdigest()
        named["all_texts"] = {
            "number": len(texts),
            "size": sum(text["size"] for text in texts),
            "sha256": digest,
        }
    return named


def _text(text: Mapping[str, Any]) -> dict[str, Any]:
    """A text's fingerprint: its name without the path, its size, its hash."""
    return {"name": PurePath(str(text["name"])).name, "size": text["size"], "sha256": text["sha256"]}
