"""The module for browsers: which one is taken, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pantoum.errors import PantoumError
from pantoum.web import module as made


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """The installation and the cache, both empty."""
    own, cache = tmp_path / "web", tmp_path / "cache"
    own.mkdir()
    monkeypatch.setattr(made, "HERE", own)
    monkeypatch.setattr(made, "_cache", lambda: cache)
    monkeypatch.setattr(made, "compiled", lambda progress: b"new" + made._section())
    return own, cache


def test_it_tells_its_sources_and_its_structs() -> None:
    told = made.about(b"\0asm" + made._section())
    assert told["sources"] == made._fingerprint()
    assert told["structs"]["pack"]["weight"] == "p" and told["structs"]["pack"]["rows"] == "l"


def test_it_is_compiled_once_and_kept(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    data = made.module()
    assert data.startswith(b"new") and (places[0] / made.NAME).read_bytes() == data
    monkeypatch.setattr(made, "compiled", lambda progress: pytest.fail("compiled again"))
    assert made.module() == data


def test_one_of_other_sources_is_not_taken(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = b"old" + made._section()
    (places[0] / made.NAME).write_bytes(old)
    assert made.module() == old
    monkeypatch.setattr(made, "_fingerprint", lambda: "changed")
    assert made.module().startswith(b"new")


def test_where_the_installation_cannot_be_written_the_cache_keeps_it(places: tuple[Path, Path]) -> None:
    own, cache = places
    own.rmdir()
    own.write_text("not a folder")
    data = made.module()
    assert (cache / made.NAME).read_bytes() == data


def test_without_a_compiler_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PantoumError, match=r"pip install ziglang") as refused:
        made._clang([], "")
    assert "\n" not in str(refused.value)


def test_the_seconds_of_compiling_are_counted_file_by_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(made, "_clang", lambda arguments, folder: None)
    heard: list[tuple[int, int]] = []
    made._make(tmp_path / "out", ("wasm",), [], lambda done, total: heard.append((done, total)))
    files = len(heard)
    assert files > 20 and heard == [(done, files) for done in range(1, files + 1)]
