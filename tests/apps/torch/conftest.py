"""PyTorch's side of a comparison; a loud skip where it is missing."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="SKIP SKIP SKIP: no PyTorch here to test")
