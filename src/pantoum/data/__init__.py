"""From text files to token shards (``prepare``), and from shards to stateful batches (``batches``)."""

from __future__ import annotations

from pantoum.data.batches import Batch, StatefulBatches

__all__ = ["Batch", "StatefulBatches"]
