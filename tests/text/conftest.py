from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pantoum.config.tokens import TOKEN_KINDS, TokenKind


@pytest.fixture(scope="module")
def runes() -> Iterator[None]:
    """A tokenizer that is not of the package: its row, the second of the two files that a new one needs."""
    found = importlib.util.spec_from_file_location("runes", Path(__file__).with_name("runes.py"))
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "runes", module)
        patch.setitem(TOKEN_KINDS, "runes", TokenKind("runes", "runes", unit="character", single=True))
        yield
