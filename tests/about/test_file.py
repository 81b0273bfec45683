"""``info``: everything of ours is known by its content, everything else is refused."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pantoum
from pantoum.about.file import inspect
from pantoum.errors import PantoumError
from pantoum.formats import model_file

TEXT = "The cat sat on the mat.\n" * 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("info")
    (folder / "t.txt").write_text(TEXT)
    pantoum.train(
        folder / "t.txt",
        run=str(folder / "r"),
        keep_data=True,
        steps=6,
        hidden_size=8,
        num_layers=2,
        tied=True,
        embedding_size=4,
        ngrams=(2, 3),
        ngram_rows=64,
        progress=False,
    )
    session = pantoum.load(folder / "r").session()
    session.feed("The")
    session.state.write(folder / "r" / "a.state")
    pantoum.export(folder / "r", to="torch", out=folder / "r" / "for-torch")
    return folder / "r"


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("", "run", ["finished, step 6", "t.txt", "characters", "held out"]),
        (
            "model.safetensors",
            "model",
            [
                "2 x 8 gru, embedding 4, tied",
                "sha256",
                "trained on",
                "of 2, 3 tokens, 64 rows each: 1,920 of the parameters",
            ],
        ),
        ("data", "prepared", ["characters", "held out"]),
        ("data/prepared.safetensors", "prepared", ["characters", "held out"]),
        ("checkpoints/step-00000006.safetensors", "checkpoint", ["step          6", "all verified"]),
        ("a.state", "state", ["tokens seen   3", "8 + 8 + 2"]),
        ("for-torch", "torch", ["those of pantoum.apps.torch", "made from", "in PyTorch"]),
    ],
)
def test_each_kind_is_known_by_its_content(run: Path, name: str, kind: str, shown: list[str]) -> None:
    found = inspect(run / name)
    assert found.kind == kind
    assert all(words in str(found) for words in shown), str(found)
    plain = found.to_dict()
    assert plain["kind"] == kind and json.loads(json.dumps(plain)) == plain


def test_the_curve_is_drawn(run: Path) -> None:
    assert any(bar in str(inspect(run)) for bar in "▁▂▃▄▅▆▇█")


def test_a_folder_that_only_holds_a_model_is_that_model(run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    assert inspect(tmp_path).kind == "model"


def test_a_run_without_a_model_yet_can_be_looked_at(run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    found = inspect(tmp_path)
    assert (
        found.to_dict()["model"] is None
        and "none yet" in str(found)
        and "running or interrupted" in str(found)
    )
    checked = inspect(tmp_path, verify=True).rows[-1]
    assert checked == ("verified", "there is no model to load, every checkpoint")


@pytest.mark.parametrize("content", [b"", b"hello", b"PANTOUMS"])
def test_what_is_none_of_ours_or_damaged_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(PantoumError, match="x"):
        inspect(tmp_path / "x")
    with pytest.raises(PantoumError, match="not a file or folder of pantoum"):
        inspect(tmp_path)


def test_a_network_alone_says_nothing_of_n_grams(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    pantoum.train(
        tmp_path / "t.txt",
        run=str(tmp_path / "r"),
        steps=1,
        hidden_size=8,
        num_layers=1,
        ngrams=None,
        progress=False,
    )
    assert "n-grams" not in str(inspect(tmp_path / "r" / "model.safetensors"))


def forged(run: Path, target: Path, **changes: object) -> Path:
    content = model_file.read(run / "model.safetensors")
    model_file.write(target, replace(content, **changes))
    return target


def test_verify_says_of_a_file_what_loading_says(run: Path, tmp_path: Path) -> None:
    good = model_file.read(run / "model.safetensors")
    cases: list[dict[str, object]] = [
        {"config": {**good.config, "hidden_size": 9}},
        {"config": {**good.config, "residual": ""}},
        {"config": {**good.config, "cell": "x"}},
        {"config": {**good.config, "num_layers": 256, "hidden_size": 65_536}},
        {"tokenizer": {"kind": "runes"}},
        {"tokenizer": {**good.tokenizer, "characters": good.tokenizer["characters"][::-1] + "aa"}},
        {"tokenizer": {**good.tokenizer, "more": 1}},
        {"parameters": {**good.parameters, "stack.9.bias": np.zeros(3, np.float32)}},
    ]
    for number, changes in enumerate(cases):
        path = forged(run, tmp_path / f"m{number}", **changes)
        with pytest.raises(PantoumError) as loading:
            pantoum.load(path)
        with pytest.raises(PantoumError) as verifying:
            inspect(path, verify=True)
        assert str(verifying.value) == str(loading.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.safetensors", "it loads"),
        ("data", "every token, the tokenizer"),
        ("checkpoints/step-00000006.safetensors", "every byte"),
        ("a.state", "every byte"),
        ("", "its model loads, every checkpoint, every token"),
    ],
)
def test_what_is_good_is_said_to_be_verified(run: Path, name: str, words: str) -> None:
    assert inspect(run / name, verify=True).rows[-1] == ("verified", words)


def test_a_damaged_token_is_found(run: Path, tmp_path: Path) -> None:
    data = bytearray((run / "data" / "prepared.safetensors").read_bytes())
    data[1100] ^= 1
    (tmp_path / "prepared.safetensors").write_bytes(data)
    with pytest.raises(PantoumError, match="its SHA-256 does not match"):
        inspect(tmp_path / "prepared.safetensors")


def test_a_checkpoint_is_read_wherever_it_is(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkpoint,) = (run / "checkpoints").iterdir()
    shutil.copy(checkpoint, tmp_path / checkpoint.name)
    monkeypatch.chdir(tmp_path)
    assert inspect(Path(checkpoint.name)).facts["step"] == 6


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (inspect, pantoum.load):
        with pytest.raises(PantoumError, match="not a regular file"):
            read(tmp_path / "pipe")


def test_a_forged_table_of_ngrams_is_refused(run: Path, tmp_path: Path) -> None:
    found = model_file.read(run / "model.safetensors")
    (name,) = (name for name in found.parameters if name.endswith("weight.codes") and "ngrams" in name)
    parameters = {**found.parameters, name: np.zeros_like(found.parameters[name])}
    model_file.write(tmp_path / "forged", replace(found, parameters=parameters))
    with pytest.raises(PantoumError, match=r"table .* cannot be unpacked.*use another copy"):
        inspect(tmp_path / "forged")
