"""``doctor``: rates that were measured, and advice that fits them."""

from __future__ import annotations

import json

import pytest

from pantoum.about.machine import advice, arithmetic, examine
from pantoum.config.processors import usable_processors


def test_the_machine_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = examine(0.01)
    assert min(*found.product_gflops.values(), found.writing_tokens_per_second) > 0
    assert len(found.training) == 2 and all(rate.tokens_per_second > 0 for rate in found.training)
    assert "OMP_NUM_THREADS=2" in found.threads and found.cores == usable_processors() >= 1
    assert all(rate.precision in found.fastest for rate in found.training) and found.fastest in str(found)
    assert found.python in str(found) and found.to_dict()["isa"] == found.isa
    assert json.loads(json.dumps(found.to_dict()))["training"][1]["shape"]["hidden_size"] == 256


def test_numpy_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    assert arithmetic() == ("numpy", False)


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert usable_processors() >= 1


def test_advice_fits_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    assert advice(True, 2, 100.0) == []
    assert "native core is not in use (PANTOUM_ISA is numpy)" in advice(False, 2, 100.0)[0]
    assert len(advice(False, 1, 1.0)) == 3
