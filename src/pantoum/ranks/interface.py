"""What a group of ranks can do: few operations, so that another engine is one more file.

All ranks call the same operations in the same order. An operation that waits for a rank which has died, or
which has not answered for the time limit, does not return: it raises ``RankError``, or the implementation
ends the job. Either way the rank is named.

``SingleRank`` is the group of one process: it has nobody to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from pantoum.errors import RankError

__all__ = ["Array", "Pending", "Ranks", "SingleRank"]

Array = npt.NDArray[np.generic]


Pending: TypeAlias = Callable[[], None]
"""An exchange that has begun: to call it is to wait until the arrays of this rank were sent and received."""


class Ranks(Protocol):
    """The ranks 0 to ``count - 1``, seen by one of them."""

    @property
    def rank(self) -> int:
        """The number of this rank."""
        ...

    @property
    def count(self) -> int:
        """How many ranks there are."""
        ...

    @property
    def overlaps(self) -> bool:
        """Whether to exchange beside other work, in another thread: ranks are on several machines, so that a
        network moves the bytes, and not the processors which do that work."""
        ...

    def place(self, rank: int) -> str:
        """Where a rank runs, for messages: ``rank 1 (host node7, process 1234)``."""
        ...

    def broadcast(self, message: bytes | None = None) -> bytes:
        """The message that rank 0 gives, on every rank."""
        ...

    def gather(self, message: bytes) -> list[bytes]:
        """The messages of all ranks, in their order, on rank 0; nothing on the others."""
        ...

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Pending:
        """Send arrays to ranks and receive into arrays from ranks, all at the same time.

        Between two ranks arrays arrive in the order in which they were sent; sizes and dtypes must agree.
        Arrays are C-contiguous. Until what it gives was called and has returned, none of them may be changed
        or read."""
        ...

    def abort(self, why: str) -> NoReturn:
        """End all ranks now; ``why`` is one line for the person who started them."""
        ...

    def close(self) -> None:
        """No sign of life is expected or sent any more."""


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
