"""Files that once found a fault, their hashes made to match: each is answered, or refused in one line.

They come from `benchmarks/faults/forged_files.py`. A new finding is copied into `forged/`. `core/tests/run
forged` draws cases anew.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pantoum.apps.torch import torch_file
from pantoum.cli.main import main
from pantoum.config import ModelConfig
from pantoum.formats import checkpoint, model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.network import LanguageModel
from pantoum.text.word import WordTokenizer

FORGED = Path(__file__).parent / "forged"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped before its end."""
    folder = tmp_path_factory.mktemp("forged")
    (folder / "text.txt").write_text("The cat sat on the mat.\n" * 60)
    command = f"train {folder}/text.txt --run {folder}/run --steps 4 --stop-after 3 --hidden-size 8 --quiet"
    shape = "--num-layers 1 --batch-size 4 --seq-len 16 --seed 1 --ngrams 2 --checkpoint-every 1"
    assert main([*command.split(), *shape.split()]) == 0
    return folder / "run"


def require_manners(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An answer, or a refusal in one line."""
    code, said = main(command), capsys.readouterr()
    assert code in (0, 1) and "a bug in pantoum" not in said.err and "Traceback" not in said.err
    if code == 1:
        assert said.err.splitlines()[-1].startswith(f"pantoum {command[0]}: ")


@pytest.mark.parametrize("path", sorted(FORGED.glob("models/*")), ids=lambda path: path.stem)
def test_a_forged_model_in_every_command(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("The cat sat on the mat.\n" * 3)
    name, text, out = str(path), str(tmp_path / "text"), str(tmp_path / "out")
    for command in (
        ["info", name],
        ["info", name, "--verify"],
        ["generate", name, "--length", "3", "--seed", "1", "--prompt", "The"],
        ["score", name, text, "--alert", "auto:1%"],
        ["evaluate", name, text, "--adapt"],
        ["export", name, "--to", "int8", "--out", out],
        ["export", name, "--to", "torch", "--out", out],
        ["train", text, "--from", name, "--run", str(tmp_path / "run"), "--steps", "1", "--quiet"],
    ):
        require_manners(command, capsys)
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


@pytest.mark.parametrize("texts", [1, [2**64], [["a"]], {"a": "b"}, None])
def test_a_run_whose_texts_are_no_names_is_refused(
    run: Path, tmp_path: Path, texts: object, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "texts": texts}))
    require_manners(["train", "--resume", "--run", str(folder), "--quiet"], capsys)


@pytest.mark.parametrize("steps", [-1, -(2**62), 2**62])
def test_an_optimizer_of_impossible_age_is_refused(
    run: Path, tmp_path: Path, steps: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    found = checkpoint.newest(folder)
    assert found is not None
    arrays = {**found.arrays, "optimizer.steps": np.array([steps], np.int64)}
    checkpoint.commit(folder, found.step, arrays, found.state)
    command = ["train", "--resume", "--run", str(folder), "--quiet"]
    code, said = main(command), capsys.readouterr()
    assert code == 1 and "optimizer.steps is" in said.err


def test_a_vocabulary_that_does_not_fit_the_header_of_a_torch_file_is_left_out(tmp_path: Path) -> None:
    tokenizer = WordTokenizer("words", (f"w{number}" for number in range(70_000)))
    network = LanguageModel(tokenizer.vocab_size, config=ModelConfig("gru", 1, 1, 1), seed=0)
    content = ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {})
    model_file.write(tmp_path / "model", content)
    export(tmp_path / "model", "torch", tmp_path / "torch")
    assert torch_file.read(tmp_path / "torch")[0].config == network.config
