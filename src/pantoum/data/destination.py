"""Where the tokens of a text go: to the shards of a folder, or, where they are used once, into memory.

Until the text has been read and the final numbers of its tokens are known, provisional numbers are on disk
(``Spool``). Each block is kept in the width of the numbers that it came in, so an ASCII text costs one byte a
character. The file is ours alone, without a name where the system allows it, and nothing of it outlives the
process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from pantoum.config.plain import Plain
from pantoum.data import manifest
from pantoum.data.prepared_folder import SHARDS
from pantoum.formats import durable, token_shard
from pantoum.formats.refusal import translated
from pantoum.formats.token_shard import Shard
from pantoum.text.numbers import Numbers
from pantoum.text.tokenizer import Tokenizer

__all__ = ["Destination", "Spool"]


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


class Spool:
    """A list of blocks of numbers that is not held in memory; a context manager. ``folder``: where its file
    is (by default, where temporary files are)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        with translated("write in", self._folder):
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".", suffix=".pantoum-tmp")  # noqa: SIM115
        self._blocks: list[tuple[np.dtype[np.generic], int]] = []

    def append(self, block: Numbers) -> None:
        """Keep a block."""
        with translated("write in", self._folder):
            self._file.write(np.ascontiguousarray(block).tobytes())
        self._blocks.append((block.dtype, len(block)))

    def blocks(self) -> Iterator[Numbers]:
        """The blocks, in order."""
        with translated("write in", self._folder):
            self._file.seek(0)
        for dtype, count in self._blocks:
            yield np.frombuffer(self._file.read(count * dtype.itemsize), dtype)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
