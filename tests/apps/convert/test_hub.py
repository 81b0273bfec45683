"""A model on the Hugging Face Hub, which here is a server of this machine, takes the place of a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import pantoum
from pantoum.cli.main import main
from pantoum.config import ModelConfig
from pantoum.errors import ModelFileError, SettingError
from pantoum.formats import durable, model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.inference.loaded_model import load
from pantoum.network import LanguageModel
from pantoum.text.character import CharacterTokenizer

pytest.importorskip("huggingface_hub")
COMMITS = {"main": "a" * 40, "v1": "b" * 40}


def written(path: Path, seed: int) -> Path:
    """A model file."""
    network = LanguageModel(9, config=ModelConfig("gru", 5, 1, 4), seed=seed)
    card = {"validation": {"protocol": "segments:64", "tokens": 99, "nats_per_token": 1.25}, "step": 3}
    tokenizer = CharacterTokenizer("abcdefg").spec()
    model_file.write(path, ModelFile(network.config.spec(), dict(network.parameters), tokenizer, card))
    return path


class Hub(BaseHTTPRequestHandler):
    """What the Hub answers for files of ``who/book`` at two revisions."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        parts = self.path.strip("/").split("/")
        known = dict(COMMITS) | {commit: commit for commit in COMMITS.values()}
        file = (
            self.folder / known.get(parts[3], "none") / parts[4] if len(parts) == 5 else self.folder / "none"
        )
        if parts[:3] != ["who", "book", "resolve"] or not file.is_file():
            self.send_response(404)
            self.send_header(
                "X-Error-Code", "RepoNotFound" if parts[:2] != ["who", "book"] else "EntryNotFound"
            )
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", known[parts[3]])
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the server; the cache is in another one."""
    folder = tmp_path / "hub"
    for seed, commit in enumerate(COMMITS.values()):
        export(written(tmp_path / "m", seed), "hub", place(folder, commit))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    yield folder
    server.shutdown()
    server.server_close()


def place(folder: Path, commit: str) -> Path:
    folder.mkdir(exist_ok=True)
    return folder / commit


def test_every_command_takes_the_address(
    hub: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = load("hf://who/book")
    assert first.sha256 == load(hub / COMMITS["main"] / "model.safetensors").sha256
    assert load("hf://who/book@v1").sha256 == load(hub / COMMITS["v1"] / "model.safetensors").sha256
    assert pantoum.load("hf://who/book").generate("a", length=3, seed=1)
    assert main(["generate", "hf://who/book@v1", "--length", "3", "--seed", "1", "--quiet"]) == 0
    assert main(["info", "hf://who/book", "--json"]) == 0
    out = capfd.readouterr().out
    assert f'"sha256": "{first.sha256}"' in out
    (tmp_path / "t.txt").write_text("abc abd\n" * 20)
    text, out = str(tmp_path / "t.txt"), str(tmp_path / "out")
    for command in (
        ["export", "hf://who/book", "--to", "int8", "--out", str(tmp_path / "n")],
        ["evaluate", "hf://who/book", text],
        ["score", "hf://who/book@v1", text],
        ["compress", text, "--model", "hf://who/book", "--out", out],
        ["decompress", out, "--model", "hf://who/book", "--out", str(tmp_path / "again.txt")],
        ["train", text, "--from", "hf://who/book", "--steps", "1", "--run", str(tmp_path / "run")],
    ):
        assert main([*command, "--quiet"]) == 0, command
    assert (tmp_path / "again.txt").read_text() == (tmp_path / "t.txt").read_text()


def test_a_model_in_the_cache_needs_no_network(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("hf://who/book").sha256
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert load("hf://who/book").sha256 == first


def test_a_damaged_model_of_the_hub_is_refused(hub: Path) -> None:
    file = hub / COMMITS["main"] / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelFileError, match="SHA-256 does not match"):
        load("hf://who/book")


@pytest.mark.parametrize("address", ["hf://who/nobody", "hf://who/book@v9"])
def test_what_is_not_there_is_said_in_a_line(hub: Path, address: str) -> None:
    with pytest.raises(ModelFileError, match=f"cannot read '{address}': .*check the name") as caught:
        load(address)
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingError, match="give hf://owner/name"):
        load("hf://book")


def test_the_folder_has_a_card_with_figures_and_is_never_overwritten(tmp_path: Path) -> None:
    first = written(tmp_path / "m", 0)
    left = durable.temporary_beside(tmp_path / "out")  # by an export that was killed
    left.mkdir()
    (left / "config.json").write_text("half")
    export(first, "hub", tmp_path / "out")
    assert not left.exists()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == first.read_bytes()
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["model_type"] == "pantoum" and config["hidden_size"] == 5
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: pantoum\n") and "license: " in card
    assert "1.2500 by `segments:64`" in card and "repeat private parts" in card
    assert "filter=lfs" in (tmp_path / "out" / ".gitattributes").read_text()
    with pytest.raises(SettingError, match="does not exist or is empty"):
        export(first, "hub", tmp_path / "out")
    assert np.isfinite(load(tmp_path / "out" / "model.safetensors").network.parameters["head.bias"]).all()
