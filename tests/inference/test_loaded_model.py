"""A model file, or a run folder, becomes a model that answers as the one that was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import ModelFileError, SettingError
from pantoum.formats import model_file, plain_json
from pantoum.formats.model_file import MOST, ModelFile, named_texts
from pantoum.inference.loaded_model import LoadedModel, load, model_path
from pantoum.inference.session import Session


def write(path: Path, model: LoadedModel, **changes: object) -> Path:
    content = {
        "config": model.config.spec(),
        "parameters": dict(model.network.parameters),
        "tokenizer": model.tokenizer.spec(),
        "card": dict(model.card),
        **changes,
    }
    model_file.write(path, ModelFile(**content))  # type: ignore[arg-type]
    return path


def test_a_file_gives_the_same_model(characters: LoadedModel, tmp_path: Path) -> None:
    found = load(write(tmp_path / "m.safetensors", characters))
    assert Session(found).generate(30, seed=1) == Session(characters).generate(30, seed=1)
    assert found.card == characters.card
    assert len(found.sha256) == 64 and found.path == tmp_path / "m.safetensors"


def test_a_file_gives_the_same_ngrams(make: Callable[..., LoadedModel], tmp_path: Path) -> None:
    model = make("characters", ngrams=(2, 4))
    found = load(write(tmp_path / "m.safetensors", model))
    assert found.config == model.config
    assert Session(found).generate(30, seed=1) == Session(model).generate(30, seed=1)
    assert Session(make("characters")).generate(30, seed=1) != Session(model).generate(30, seed=1)


def test_a_run_folder_means_its_best_model(characters: LoadedModel, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", characters)
    assert model_path(tmp_path) == path and load(str(tmp_path)).path == path


def test_a_folder_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"is a folder without model\.safetensors: MODEL must be .*pantoum train"
    ):
        load(tmp_path)


@pytest.mark.parametrize("change", ["missing", "misshapen", "extra"])
def test_arrays_that_are_not_the_networks_are_refused(
    characters: LoadedModel, tmp_path: Path, change: str
) -> None:
    arrays = dict(characters.network.parameters)
    if change == "missing":
        del arrays["head.bias"]
    elif change == "misshapen":
        arrays["head.bias"] = np.zeros(3, np.float32)
    else:
        arrays["head.more"] = np.zeros(3, np.float32)
    name = "head.more" if change == "extra" else "head.bias"
    with pytest.raises(ModelFileError, match=f"parameter {name} is"):
        load(write(tmp_path / "m.safetensors", characters, parameters=arrays))


def test_parameters_come_from_the_same_file_or_not_at_all(characters: LoadedModel, tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", characters)
    found, other = load(path), load(path)
    expected = characters.network.parameters
    assert all(np.array_equal(array, expected[name]) for name, array in found.network.parameters.items())
    write(path, characters, card={"made": "later"})
    with pytest.raises(ModelFileError, match="has changed since the model was loaded"):
        _ = other.network.parameters
    assert Session(other).generate(30, seed=1) == Session(characters).generate(30, seed=1)


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        ({"ngrams": [2, 3], "ngram_rows": 64}, ModelFileError, "parameter ngrams.weight is missing"),
        ({"ngrams": [2], "ngram_rows": 1 << 24, "hidden_size": 4}, SettingError, "1 GiB"),
        ({"ngrams": [[2]]}, SettingError, "ngrams is"),
        ({"ngrams": 1}, SettingError, "ngrams is 1"),
        ({"ngrams": None}, SettingError, "ngrams is None"),
        ({"ngram_rows": "x"}, SettingError, "ngram_rows is 'x'"),
    ],
)
def test_a_configuration_that_asks_for_another_table_is_refused(
    characters: LoadedModel, tmp_path: Path, config: dict[str, object], error: type[Exception], words: str
) -> None:
    path = write(tmp_path / "m", characters, config={**characters.config.spec(), **config})
    with pytest.raises(error, match=words):
        load(path)


def test_parameters_of_another_dtype_are_refused(characters: LoadedModel, tmp_path: Path) -> None:
    arrays = dict(characters.network.parameters)
    arrays["head.weight"] = arrays["head.weight"].astype(np.int8)
    with pytest.raises(ModelFileError, match="int8"):
        load(write(tmp_path / "m.safetensors", characters, parameters=arrays))


def texts(number: int) -> list[dict[str, Any]]:
    return [{"name": f"a/{n}.txt", "size": n, "sha256": f"{n:064x}"} for n in range(number)]


def test_few_texts_are_all_named() -> None:
    found = named_texts(texts(MOST))
    assert set(found) == {"texts"} and len(found["texts"]) == MOST
    assert found["texts"][3] == {"name": "3.txt", "size": 3, "sha256": f"{3:064x}"}


def test_of_very_many_texts_the_first_and_a_digest_are_kept() -> None:
    many = texts(100_000)
    found = named_texts(many)
    assert len(found["texts"]) == MOST and len(plain_json.encode(found)) < 20_000
    assert found["all_texts"]["number"] == 100_000
    assert found["all_texts"]["size"] == sum(range(100_000))
    changed = [*many[:99_999], {**many[-1], "sha256": "0" * 64}]
    assert named_texts(changed)["all_texts"]["sha256"] != found["all_texts"]["sha256"]


def test_what_is_not_known_of_a_text_is_left_out() -> None:
    assert named_texts([{"name": "a prompt"}]) == {"texts": [{"name": "a prompt"}]}
