"""Memory that is free goes back to the system.

Large arrays are mapped by themselves and go back at once. What a thread took in small pieces stays with the
allocator, in an arena of that thread: after a crowd some tens of megabytes, and a model that is replaced
every hour has another thread each time. glibc gives all of it back when it is asked to; other allocators do
it by themselves.
"""

from __future__ import annotations

import ctypes
import gc

__all__ = ["give_back", "trim"]


def give_back() -> None:
    """Collect what nobody uses any more, and give its memory back. It takes some tens of milliseconds."""
    gc.unfreeze()  # what the server began with may be among it
    gc.collect()
    gc.freeze()
    trim()


def trim() -> None:
    """Give free memory back. It takes some milliseconds, in which other threads run."""
    try:
        asked = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # no glibc; Windows has no library without a name
        return
    asked(0)
