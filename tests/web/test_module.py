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
    monkeypatch.setattr(made, "compiled", lambda: b"new" + made._section())
    return own, cache


def test_it_tells_its_sources_and_its_structs() -> None:
    told = made.about(b"\0asm" + made._section())
    assert told["sources"] == made._fingerprint()
    assert told["structs"]["pack"]["weight"] == "p" and told["structs"]["pack"]["rows"] == "l"


def test_it_is_compiled_once_and_kept(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    data = made.module()
    assert data.startswith(b"new") and (places[0] / made.NAME).read_bytes() == data
    monkeypatch.setattr(made, "compiled", lambda: pytest.fail("compiled again"))
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
