"""Experiments on words: ten minutes on a tenth of WikiText-2."""

from __future__ import annotations

from typing import Any

__all__ = ["WORDS"]

TEN_MINUTES = {
    "embedding": 256,
    "tied": True,
    "samples": 2048,
    "layers": 1,
    "steps": 32,
    "dropout": "variational:0.22",
    "operations": 160e12,
}
"""What all have in common."""
WORDS: dict[str, dict[str, Any]] = {
    "base": {**TEN_MINUTES, "share": 0.1, "hidden": 128, "embedding": 128, "rate": 4.9e-3},
    "64 x 32, muon": {},
    "64 x 32, adamw, rate 0.004": {"optimizer": "adamw", "weight_decay": 0.01, "rate": 4e-3},
    "64 x 32, muon, dropout 0.1": {"dropout": "variational:0.1"},
    "64 x 32, muon, dropout 0.35": {"dropout": "variational:0.35"},
    "32 x 32, muon": {"batch": 32, "rate": 3.5e-3},
    "64 x 64, muon": {"steps": 64, "rate": 6.9e-3},
    "64 x 32, muon, rate 0.008": {"rate": 8e-3},
    "64 x 32, muon, untied": {"tied": False},
    "64 x 32, muon, 2 layers of 112": {"layers": 2, "hidden": 112},
    "64 x 32, muon, 192 units": {"hidden": 192},
    "64 x 32, muon, 80 units": {"hidden": 80, "embedding": 80},
    "2 members": {"members": 2, "tied": False},
}
"""Ten minutes on a tenth of WikiText-2's training part, as long as a hundredth of that takes."""
