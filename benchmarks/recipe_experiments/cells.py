"""Every cell at the sizes of the recipe."""

from __future__ import annotations

from typing import Any

from pantoum.config import CELLS

__all__ = ["cells"]


def cells(share: float) -> dict[str, dict[str, Any]]:
    """Every cell for one, three and ten minutes, at the work per token that the recipe gives a GRU.

    A short likeness reads a share of the text, with as many parameters per character (``Experiment.share``).
    Cells without a product of the state run with two and with three layers: their first layer costs no more
    than a look-up."""
    found: dict[str, dict[str, Any]] = {}
    for minutes, operations, gru_hidden in ((1, 14e12, 160), (3, 47e12, 208), (10, 160e12, 320)):
        goal = 9 * share * gru_hidden**2
        for name, cell in CELLS.items():
            gates, recurrent = len(cell.gates), sum(cell.products)
            for layers in (2,) if recurrent else (2, 3):
                cost = layers * recurrent + (layers - 1) * gates
                hidden = 16 * round((goal / cost) ** 0.5 / 16)
                found[f"{minutes} min, {name}, {layers} x {hidden}"] = {
                    "operations": operations,
                    "cell": name,
                    "layers": layers,
                    "hidden": hidden,
                    "share": share,
                }
    return found
