"""Runs made up for the views: records with the shape of real ones, the same in every test."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

HOSTILE = "</script><b>x</b> \x1b[2J\x1b]0;owned\x07 \u202egnp.exe \x00 \ud800 & \"'"
CONFIG = {
    "command": ["pantoum", "train", "book.txt", "--minutes", "5"],
    "settings": {
        "cell": "gru",
        "hidden_size": 512,
        "num_layers": 3,
        "tokens": "characters",
        "seed": 0,
        "tied": False,
        "clip": 1.0,
        "embedding_size": None,
    },
    "parameters": 4137570,
    "machine": {"processor": "a <fast> one", "cores": 2},
}
EVALUATION = {
    "protocol": "segments:64",
    "tokens": 10_000,
    "unknown_tokens": 0,
    "characters": 10_000,
    "bytes": 10_000,
    "nats_per_token": 1.348,
    "nats_per_character": 1.348,
    "bits_per_byte": 1.945,
    "perplexity": 3.85,
    "accuracy": 0.595,
    "xz_bits_per_byte": 2.94,
    "bz2_bits_per_byte": 2.58,
}


def record(step: int, steps: int, **changes: Any) -> dict[str, Any]:
    """One record of a run whose loss falls as such losses do."""
    done = step / steps
    loss = 1.2 + 2.0 / math.sqrt(step) + 0.02 * math.sin(step)
    plain = {
        "step": step,
        "tokens": 6400 * step,
        "seconds": 0.5 * step,
        "loss": loss,
        "accuracy": 0.8 - 0.15 * loss,
        "gradient_norm": 0.3 + 1 / step,
        "learning_rate": 2e-3 * min(1.0, 2 - 2 * done),
        "epoch": 0.1 * step,
        "tokens_per_second": 12_800.0,
        "progress": done,
        "time_left": 0.5 * (steps - step),
        "valid": loss + 0.2 if step % max(1, steps // 10) == 0 else None,
        "sample": None,
        "phases": {"training": 0.47 * step, "evaluation": 0.02 * step, "saving": 0.01 * step},
        "notes": [],
        "ended": "finished" if step == steps else None,
    }
    return {**plain, **changes}


@pytest.fixture
def make_records() -> Callable[..., list[dict[str, Any]]]:
    """``make_records(steps, upto=...)``: the records of a run, or of its beginning."""

    def make(steps: int = 60, upto: int | None = None, **changes: Any) -> list[dict[str, Any]]:
        found = [record(step, steps, **changes) for step in range(1, (upto or steps) + 1)]
        for each in found:
            if each["valid"] is not None and each["sample"] is None:
                each["sample"] = f"A line written at step {each['step']}.\nAnd one more."
        return found

    return make


@pytest.fixture
def config() -> dict[str, Any]:
    """A ``config.json``."""
    return dict(CONFIG)


@pytest.fixture
def evaluation() -> dict[str, Any]:
    """Validation figures with the keys of ``evaluate --json``."""
    return dict(EVALUATION)


@pytest.fixture
def hostile() -> str:
    """A text that wants to be obeyed: markup, escape sequences, direction marks, half a surrogate pair."""
    return HOSTILE


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.fixture
def contrast() -> Callable[[str, str], float]:
    """The contrast of two colours (WCAG 2.2): 4.5 is what text needs."""

    def ratio(one: str, other: str) -> float:
        light, dark = sorted((luminance(one), luminance(other)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    return ratio
