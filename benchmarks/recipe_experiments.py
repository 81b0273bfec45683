"""What ``recipe_search.py`` begins from on a kind of text, and the experiments that are sets of their own.

Other experiments are given to the script (``--try``); those that decided something are in the log.
"""

from __future__ import annotations

from typing import Any

from pantoum.config import CELLS

__all__ = ["BASES", "SETS"]

Settings = dict[str, Any]

BASES: dict[str, Settings] = {
    "shakespeare": {},
    "works": {"operations": 47e12, "hidden": 272, "ngrams": (3, 4, 5), "ngram_rows": 32_768},
    "verse": {
        "operations": 1.2e12,
        "hidden": 128,
        "embedding": 48,
        "batch": 8,
        "rate": 0.004,
        "dropout": "variational:0.3",
        "rounds": 4,
        "weight_decay": 0.01,
    },
    "words": {
        "operations": 160e12,
        "share": 0.1,
        "hidden": 128,
        "embedding": 128,
        "tied": True,
        "samples": 2048,
        "layers": 1,
        "steps": 32,
        "rate": 11e-3,
        "dropout": "variational:0.22",
        "spelling": 0.4,
        "neighbours": 10,
    },
}
"""By the kind of text: tiny Shakespeare in a minute, all works in three, 20 KB of verse, ten minutes on
a tenth of WikiText-2."""


def cells(share: float) -> dict[str, Settings]:
    """Every cell for one, three and ten minutes, at the work per token that the recipe gives a GRU.

    A short likeness reads a share of the text, with as many parameters per character (``Experiment.share``).
    Cells without a product of the state run with two and with three layers: their first layer costs no more
    than a look-up."""
    found: dict[str, Settings] = {}
    for minutes, operations, gru_hidden in ((1, 14e12, 160), (3, 47e12, 208), (10, 160e12, 320)):
        goal = 9 * share * gru_hidden**2
        for name, cell in CELLS.items():
            gates, recurrent = len(cell.gates), sum(cell.products)
            for layers in (2,) if recurrent else (2, 3):
                cost = layers * recurrent + (layers - 1) * gates
                hidden = 16 * round((goal / cost) ** 0.5 / 16)
                sizes = {"operations": operations, "layers": layers, "hidden": hidden, "share": share}
                found[f"{minutes} min, {name}, {layers} x {hidden}"] = {**sizes, "cell": name}
    return found


SETS = {"cells": cells(1.0), "cells, short": cells(0.1)}
