"""Texts at addresses: the texts of files here, errors in one line, and no fsspec without an address."""

from __future__ import annotations

import bz2
import gzip
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.apps.documents import remote
from pantoum.apps.documents.remote import shown
from pantoum.data import text_reader
from pantoum.data.forms import is_address
from pantoum.data.prepare import differences, prepare
from pantoum.data.prepared_file import Prepared
from pantoum.data.sources import found
from pantoum.errors import TextError

fsspec = pytest.importorskip("fsspec", reason="SKIP SKIP SKIP: fsspec is missing, no address was read")
POEM = "The rose is red — the sky is blué,\nAnd so on, line by line.\n" * 20


@pytest.fixture
def memory() -> Iterator[Any]:
    """The in-memory file system of fsspec, empty before and after."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def text_of(prepared: Prepared) -> str:
    return prepared.tokenizer.decode(np.asarray(prepared.train.tokens))


def prepared(tmp_path: Path, *texts: str, **asked: Any) -> Prepared:
    return prepare(texts, out=tmp_path / "out", **{"valid_fraction": 0, "tokens": "characters", **asked})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://bucket/a.txt", True),
        ("memory://a", True),
        ("gs://b/c/", True),
        ("zip://a.txt::file:///b.zip", True),
        ("simplecache::s3://a/b", True),
        ("book.txt", False),
        ("a/b:c", False),
        ("C:\\book.txt", False),
        ("C://book.txt", False),
        ("\\\\server\\share\\book.txt", False),
        ("./s3://x", False),
        ("-", False),
        ("", False),
    ],
)
def test_an_address_is_known_by_its_form(text: str, address: bool) -> None:
    assert is_address(text) is address


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress])
def test_a_file_is_read_as_one_here(memory: Any, tmp_path: Path, packed: Any) -> None:
    memory.pipe("/corpus/poem", packed(POEM.encode()))
    (tmp_path / "poem").write_bytes(packed(POEM.encode()))
    far = prepared(tmp_path, "memory://corpus/poem")
    here = prepare([tmp_path / "poem"], out=tmp_path / "here", valid_fraction=0, tokens="characters")
    assert text_of(far) == text_of(here) == POEM
    for name in ("name", "size", "sha256"):
        assert far.facts["texts"][0][name] == here.facts["texts"][0][name]
    assert far.train.tokens.tobytes() == here.train.tokens.tobytes()
    assert far.train.text_fingerprint == here.train.text_fingerprint


def test_zstd_at_an_address(memory: Any, tmp_path: Path) -> None:
    zstd = pytest.importorskip("backports.zstd")
    memory.pipe("/poem.zst", zstd.compress(POEM.encode()))
    assert text_of(prepared(tmp_path, "memory://poem.zst")) == POEM


def test_a_folder_is_its_files_in_order_without_hidden_ones(memory: Any, tmp_path: Path) -> None:
    for name in ("b", "a/z", "a.txt", ".hidden", "c/.d/e", "é"):
        memory.pipe(f"/corpus/{name}", f"text of {name}\n".encode())
    memory.pipe("/corpus/picture", b"\x89PNG\r\n\x1a\n...")
    found = prepared(tmp_path, "memory://corpus/")
    names = [text["name"] for text in found.facts["texts"]]
    assert names == ["a.txt", "a/z", "b", "é"]
    assert text_of(found) == "".join(f"text of {name}\n" for name in names)
    assert any("left out of memory://corpus/" in note and "picture" in note for note in found.notes)


def test_addresses_paths_and_a_validation_file_may_be_mixed(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/corpus/one", b"one one one ")
    memory.pipe("/corpus/two", b"eno ")
    (tmp_path / "three").write_text("three")
    made = prepared(tmp_path, "memory://corpus", str(tmp_path / "three"), valid="memory://corpus/two")
    assert text_of(made) == "one one one three"
    assert made.valid is not None and made.facts["valid_text"]["name"] == "two"
    assert any("memory://corpus/two is the validation text" in note for note in made.notes)
    with pytest.raises(TextError, match="it is a folder; name a file"):
        prepared(tmp_path, "memory://corpus/one", valid="memory://corpus")


def test_a_document_is_copied_and_the_copy_is_gone(memory: Any, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", POEM)
    memory.pipe("/poems.zip", archive.getvalue())
    assert text_of(prepared(tmp_path, "memory://poems.zip")) == POEM
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["prepared.safetensors"]


def test_a_local_address_and_a_chain_of_addresses(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("in/poem.txt", POEM)
    (tmp_path / "poem.txt").write_text(POEM)
    assert text_of(prepared(tmp_path, f"file://{tmp_path}/poem.txt")) == POEM
    assert text_of(prepared(tmp_path, f"zip://in/poem.txt::file://{tmp_path}/a.zip")) == POEM


def test_the_same_text_is_known_again_by_its_hash_and_another_is_not(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/poem", POEM.encode())
    before = prepared(tmp_path, "memory://poem")
    memory.pipe("/poem", POEM.encode())
    assert differences(before, ["memory://poem"]) == []
    memory.pipe("/poem", POEM.encode().swapcase())
    (found,) = differences(before, ["memory://poem"])
    assert "'memory://poem' is not the text 'poem' that was used before" in found


class Breaking(fsspec.AbstractFileSystem):
    """A network that fails: at the n-th read, when it opens, or when it lists."""

    protocol = "breaking"
    cachable = False
    at, error, size, told_size = 2, OSError("connection reset by peer"), 3 << 20, 3 << 20

    def info(self, path: str, **given: Any) -> dict[str, Any]:
        if self.at == -1:
            raise self.error
        return {"name": path, "size": self.told_size, "type": "file"}

    def open(self, path: str, mode: str = "rb", **given: Any) -> Any:
        if self.at == 0:
            raise self.error
        return Stream(self)


class Stream(io.RawIOBase):
    def __init__(self, system: Breaking) -> None:
        self.system, self.left, self.reads = system, system.size, 0

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        if self.reads == self.system.at:
            raise self.system.error
        data = b"ab c\n" * (min(size, self.left) // 5 + 1)
        data = data[: min(size, self.left)]
        self.left -= len(data)
        return data


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> type[Breaking]:
    fsspec.register_implementation("breaking", Breaking, clobber=True)
    monkeypatch.setattr(Breaking, "at", 0)
    for name in ("error", "size", "told_size"):
        monkeypatch.setattr(Breaking, name, getattr(Breaking, name))
    return Breaking


class ClientError(Exception):
    """As the libraries of stores raise them: of no family that we know."""


@pytest.mark.parametrize("at", [-1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError("connection\nreset by peer"),
            "OSError: connection reset by peer; check the address and the",
        ),
        (
            ClientError("403 for breaking://u:secret@host/a?sig=XY"),
            "ClientError: 403 for breaking://host/a; ch",
        ),
        (TimeoutError(), "TimeoutError: no reason is given; check the address"),
        (FileNotFoundError("a"), "there is no such file; check the address"),
        (PermissionError("a"), "permission denied; check the credentials"),
        (
            ImportError("Install s3fs to access S3"),
            "this kind of address needs a package that is missing (Install s3fs to access S3); install it",
        ),
    ],
)
def test_a_network_that_fails_is_one_line_and_leaves_nothing(
    tmp_path: Path, breaking: type[Breaking], at: int, error: Exception, words: str
) -> None:
    breaking.at, breaking.error = at, error
    with pytest.raises(TextError) as told:
        prepared(tmp_path, "breaking://u:secret@host/a?sig=XY")
    line = str(told.value)
    assert line.startswith(f"cannot read 'breaking://host/a': {words}")
    assert "secret" not in line and "XY" not in line and "\n" not in line
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_of_another_size_than_was_told_is_an_error(tmp_path: Path, breaking: type[Breaking]) -> None:
    breaking.at = 99
    assert prepared(tmp_path, "breaking://a").train.count == 3 << 20
    breaking.told_size = 17
    with pytest.raises(TextError, match="'breaking://a' had 17 bytes, but 3,145,728 were read: it changed"):
        prepared(tmp_path, "breaking://a", tokens="bytes")


def test_a_server_that_does_not_tell_the_size_is_read_as_a_stream(
    tmp_path: Path, breaking: type[Breaking]
) -> None:
    breaking.at, breaking.size, breaking.told_size = 99, 500, None  # type: ignore[assignment]
    made = prepared(tmp_path, "breaking://a")
    assert made.train.count == 500 and made.facts["texts"][0]["size"] == 500
    assert made.facts["texts"][0]["name"] == "a"


def test_missing_files_protocols_and_packages(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TextError, match="cannot read 'memory://no': there is no such file"):
        prepared(tmp_path, "memory://no")
    with pytest.raises(TextError, match=r"'nowhere://a': ValueError: Protocol not known.*check the address"):
        prepared(tmp_path, "nowhere://a")
    memory.mkdir("/empty")
    with pytest.raises(TextError, match="has no files, or only hidden ones"):
        prepared(tmp_path, "memory://empty")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(TextError, match=r"needs fsspec; pip install 'pantoum\[remote\]'"):
        prepared(tmp_path, "memory://no")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("s3://bucket/a.txt", "s3://bucket/a.txt"),
        ("ftp://me:word@host/a?b#c", "ftp://host/a"),
        ("https://host:80/a.txt?sig=1", "https://host:80/a.txt"),
        ("zip://a::https://u@h/b?x", "zip://a::https://h/b"),
        ("https://[broken?x", "https://[broken"),
    ],
)
def test_secrets_of_an_address_are_not_shown(address: str, public: str) -> None:
    assert shown(address) == public


def test_without_an_address_fsspec_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(POEM)
    code = (
        "import sys, pantoum, pantoum.cli.main\n"
        "pantoum.prepare(sys.argv[1], sys.argv[2], tokens='words')\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('fsspec', 'joblib', 'dask')])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "t.txt"), str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_model_trains_evaluates_and_scores_at_addresses(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    memory.pipe("/corpus/poem.txt.gz", gzip.compress(POEM.encode()))
    (tmp_path / "poem.txt").write_text(POEM)
    small: Any = {"steps": 2, "hidden_size": 8, "num_layers": 1, "progress": False}
    run = pantoum.train("memory://corpus/poem.txt.gz", **small)
    assert run.folder == Path("runs/poem.txt") and (run.folder / "data" / "prepared.safetensors").exists()
    model = run.model
    memory.pipe("/corpus/poem.txt", POEM.encode())
    address = "memory://corpus/poem.txt"
    assert model.evaluate(address).nats_per_token == model.evaluate("poem.txt").nats_per_token
    parts = list(text_reader.parts(address))
    assert b"".join(parts) == b"".join(text_reader.parts(f"{address}.gz")) == POEM.encode()
    assert [s.nats for s in model.score_stream(parts)] == [s.nats for s in model.score(POEM)]
    with pytest.raises(TextError, match="there is no such file"):
        text_reader.parts("memory://missing")


def test_names_and_labels_of_sources(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/c/a/b.txt", b"abc")
    with found(["memory://c", "memory://c/a/b.txt"], keep_in=tmp_path) as sources:
        assert [source.name for source in sources.texts] == ["a/b.txt", "b.txt"]
        assert [source.label for source in sources.texts] == ["memory://c/a/b.txt"] * 2
        assert text_reader.file_hash(sources.texts[0]) == text_reader.file_hash(sources.texts[1])
        assert isinstance(sources.texts[0].remote, remote.RemoteFile)


def test_a_run_goes_on_without_its_address_and_opens_none_that_stands_in_a_file(
    memory: Any, tmp_path: Path
) -> None:
    memory.pipe("/poem.txt", POEM.encode())
    small: Any = {"steps": 4, "hidden_size": 8, "num_layers": 1, "progress": False}
    run = pantoum.train("memory://poem.txt", run=tmp_path / "run", stop_after=2, **small)
    memory.store.clear()
    assert pantoum.train(run=run.folder, resume=True, progress=False).result.steps == 4
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((run.folder / "config.json").read_bytes())
    memory.pipe("/poem.txt", POEM.encode())
    with pytest.raises(TextError, match="an address from a file is not opened; give TEXT"):
        pantoum.train(run=begun, resume=True, progress=False)
    again = pantoum.train("memory://poem.txt", run=begun, resume=True, progress=False)
    assert again.result.steps == 4


def test_an_address_of_a_validation_text_in_a_file_is_not_opened(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/valid.txt", POEM.encode())
    (tmp_path / "poem.txt").write_text(POEM)
    small: Any = {"steps": 4, "hidden_size": 8, "num_layers": 1, "progress": False, "stop_after": 2}
    run = pantoum.train(tmp_path / "poem.txt", run=tmp_path / "run", valid="memory://valid.txt", **small)
    memory.store.clear()
    assert pantoum.train(run=run.folder, resume=True, progress=False).result.steps == 4
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((run.folder / "config.json").read_bytes())
    with pytest.raises(TextError, match="give TEXT again, and --valid if there was one"):
        pantoum.train(run=begun, resume=True, progress=False)
