"""Where the tokens of a text go: to the shards of a folder, or, where they are used once, into memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pantoum.config.plain import Plain
from pantoum.data import manifest
from pantoum.data.prepared_folder import SHARDS
from pantoum.formats import durable, token_shard
from pantoum.formats.token_shard import Shard
from pantoum.text.numbers import Numbers
from pantoum.text.tokenizer import Tokenizer

__all__ = ["Destination"]


class Destination:
    """A folder, or memory."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.held: dict[str, Shard] = {}
        """The tokens of ``train`` and ``valid``, where no folder holds them."""

    def write(
        self, part: str, blocks: Iterable[Numbers], tokenizer: Tokenizer, facts: dict[str, Plain]
    ) -> None:
        """Take the tokens of a part. ``facts`` must be those of the text when the last block was given."""
        if self.folder is None:
            self.held[part] = token_shard.held(blocks, tokenizer.vocab_size)
            return
        token_shard.write(
            self.folder / SHARDS[part],
            blocks,
            tokenizer.vocab_size,
            manifest.tokenizer_fingerprint(tokenizer),
            lambda: manifest.text_fingerprint(facts, part),
        )

    def discard(self, part: str) -> None:
        """Forget the tokens of a part."""
        self.held.pop(part, None)
        if self.folder is not None:
            durable.discard(self.folder / SHARDS[part])

    def describe(
        self, tokenizer: Tokenizer, facts: dict[str, Plain], request: dict[str, Plain], notes: list[str]
    ) -> None:
        """Write what the folder was made from."""
        if self.folder is not None:
            manifest.write(self.folder, tokenizer, facts, request, notes)
