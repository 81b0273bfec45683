"""A model file for as long as it is loaded: a small one's copy, a large one's own pages, given back."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import ModelFileError
from pantoum.formats import mapped, model_file
from pantoum.formats.model_file import ModelFile


def write(path: Path, first: float = 0.0) -> Path:
    parameters = {"w": np.arange(first, first + 50_000, dtype=np.float32)}
    model_file.write(path, ModelFile({"cell": "gru"}, parameters, {"kind": "bytes"}, {}))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "m")


@pytest.fixture
def large(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mapped, "LARGEST_COPY", path.stat().st_size - 1)
    return path


def refuse(*_: Any, **__: Any) -> None:
    raise OSError("no maps here")


def read_back(path: Path) -> None:
    expected = model_file.read(path)
    with model_file.opened(path) as content:
        assert np.array_equal(content.parameters["w"], expected.parameters["w"])
        assert content.sha256 == expected.sha256


def test_the_same_comes_back_mapped_or_not(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_back(large)
    monkeypatch.setattr(mapped.mmap, "mmap", refuse)
    read_back(large)
    monkeypatch.setattr(mapped, "LARGEST_COPY", large.stat().st_size)
    read_back(large)


@pytest.mark.skipif(sys.platform == "win32", reason="there an open file cannot be cut")
def test_a_model_that_is_cut_in_place_while_it_is_loaded_stays_what_it_was(path: Path) -> None:
    with model_file.opened(path) as content:
        os.truncate(path, 0)  # a map would end the process at the next look
        assert content.parameters["w"].sum() == np.arange(50_000, dtype=np.float32).sum()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the system's list of maps")
def test_the_map_is_gone_afterwards(large: Path) -> None:
    with model_file.opened(large) as content:
        assert str(large) in Path("/proc/self/maps").read_text()
        del content
    assert str(large) not in Path("/proc/self/maps").read_text()


def test_a_file_that_is_replaced_meanwhile_stays_what_it_was(large: Path) -> None:
    with model_file.opened(large) as content:
        write(large, first=7.0)
        assert content.parameters["w"][0] == 0.0
    with model_file.opened(large) as content:
        assert content.parameters["w"][0] == 7.0


def test_damage_is_told(large: Path) -> None:
    path = large
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelFileError, match="SHA-256 does not match"), model_file.opened(path):
        raise AssertionError
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="too short"), model_file.opened(path):
        raise AssertionError


def test_a_file_that_is_cut_before_it_is_read_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped.bounded, "fill", lambda file, buffer: 5)
    with pytest.raises(ModelFileError, match="cut while being read"), model_file.opened(path):
        raise AssertionError


def test_what_the_reader_raises_comes_through(path: Path) -> None:
    with pytest.raises(ModelFileError, match="mine"), model_file.opened(path):
        raise ModelFileError("mine")
