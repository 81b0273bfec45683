"""The modules for browsers: which ones are taken, and what is said where there are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pantoum.apps.web import module as made
from pantoum.errors import PantoumError


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """The installation and the cache, both empty."""
    own, cache = tmp_path / "web", tmp_path / "cache"
    own.mkdir()
    monkeypatch.setattr(made, "HERE", own)
    monkeypatch.setattr(made, "cache_folder", lambda: cache)
    new = {name: b"new" + made._section(name) for name in made.MODULES}
    monkeypatch.setattr(made, "compiled", lambda progress: new)
    return own, cache


def test_it_tells_its_sources_and_its_structs() -> None:
    told = made.about(b"\0asm" + made._section(made.PLAIN))
    assert told["sources"] == made._fingerprint()
    assert told["structs"]["pack"]["weight"] == "p" and told["structs"]["pack"]["rows"] == "l"


def test_the_hash_of_the_sources_is_the_same_in_every_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = made._fingerprint()
    assert made.CORE is not None
    copy = tmp_path / "tests" / "core"
    shutil.copytree(made.CORE, copy, ignore=lambda folder, names: {"tests"} & set(names))
    monkeypatch.setattr(made, "CORE", copy)
    assert made._fingerprint() == found
    (copy / "scratch.cpp").write_text("// changed")
    assert made._fingerprint() != found


def test_they_are_compiled_once_and_kept(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    found = made.modules()
    assert {name: (places[0] / name).read_bytes() for name in (made.PLAIN, made.FUSED)} == found
    monkeypatch.setattr(made, "compiled", lambda progress: pytest.fail("compiled again"))
    assert made.modules() == found


def test_those_of_other_sources_and_one_alone_are_not_taken(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = made.modules()
    old = {name: b"old" + made._section(name) for name in new}
    for name, data in old.items():
        (places[0] / name).write_bytes(data)
    assert made.modules() == old
    (places[0] / made.FUSED).unlink()
    assert made.modules() == new
    for name, data in old.items():
        (places[0] / name).write_bytes(data)
    monkeypatch.setattr(made, "_fingerprint", lambda: "changed")
    assert made.modules() == new


def test_where_the_installation_cannot_be_written_the_cache_keeps_them(places: tuple[Path, Path]) -> None:
    own, cache = places
    own.rmdir()
    own.write_text("not a folder")
    found = made.modules()
    assert {name: (cache / name).read_bytes() for name in found} == found


def test_make_pages_keeps_them_in_the_cache(places: tuple[Path, Path]) -> None:
    made.main()
    for name in made.MODULES:
        (places[0] / name).unlink()  # another environment
    assert made.modules() == {name: (places[1] / name).read_bytes() for name in made.MODULES}


def test_without_a_compiler_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PantoumError, match=r"pip install ziglang") as refused:
        made._clang([], Path())
    assert "\n" not in str(refused.value)


def test_the_seconds_of_compiling_are_counted_file_by_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(made, "_clang", lambda arguments, folder: None)
    heard: list[tuple[int, int]] = []
    made._objects(["wasm"], tmp_path, lambda done, total: heard.append((done, total)))
    files = len(heard)
    assert files > 20 and heard == [(done, files) for done in range(1, files + 1)]
