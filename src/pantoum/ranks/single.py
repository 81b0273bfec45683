"""The group of one process: it has nobody to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from pantoum.errors import RankError
from pantoum.ranks.interface import Array, Pending

__all__ = ["SingleRank"]


class SingleRank:
    """Rank 0 of 1."""

    rank, count, overlaps = 0, 1, False

    def place(self, rank: int) -> str:
        """This process."""
        return f"rank {rank}"

    def broadcast(self, message: bytes | None = None) -> bytes:
        """The message itself."""
        return message or b""

    def gather(self, message: bytes) -> list[bytes]:
        """The message itself."""
        return [message]

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Pending:
        """Nothing: there is no other rank."""
        return lambda: None

    def abort(self, why: str) -> NoReturn:
        """Raise the error: there is no other rank to end."""
        raise RankError(why)

    def close(self) -> None:
        """Nothing: nobody watches."""
