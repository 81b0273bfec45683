"""From text files to tokens (``prepare``), and from tokens to stateful batches (``batches``)."""

from __future__ import annotations

from pantoum.data.batches import Batch, StatefulBatches

__all__ = ["Batch", "StatefulBatches"]
