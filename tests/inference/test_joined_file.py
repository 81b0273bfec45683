"""Model files of before ensembles were their members: taken apart exactly, or left as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.formats.model_file import ModelFile
from pantoum.inference.convert import to_int8
from pantoum.inference.files.joined_file import state_taken_apart, taken_apart
from pantoum.inference.files.precision import SCALE, plain
from pantoum.network import LanguageModel
from pantoum.network.ensemble import join, joined_config
from pantoum.network.program import Program

V, K = 7, 3


def blocks(config: ModelConfig, arrays: list[np.ndarray], wide_columns: bool) -> np.ndarray:
    """Maps of the members on the diagonals of each gate, as files held them."""
    gates, H = len(arrays[0]) // config.hidden_size, config.hidden_size
    columns = arrays[0].shape[1] if arrays[0].ndim == 2 else 0
    joined = np.zeros((gates, K, H, (K if wide_columns else 1) * max(columns, 1)), np.float32)
    for place, array in enumerate(arrays):
        start = place * columns if wide_columns else 0
        joined[:, place, :, start : start + max(columns, 1)] = array.reshape(gates, H, -1)
    return joined.reshape(gates * K * H, *((-1,) if columns else ()))


def old_file(config: ModelConfig) -> tuple[ModelFile, dict[str, np.ndarray]]:
    """A file of K members joined as one wide model, and the parameters that it stands for."""
    members = [LanguageModel(V, config=config, seed=seed) for seed in range(K)]
    expected = join(config, [each.parameters for each in members])
    found = {}
    for name in members[0].parameters:
        arrays = [each.parameters[name] for each in members]
        if name == "embedding.weight":
            found[name] = np.concatenate(arrays, axis=1)
        elif name.startswith("stack."):
            one_hot = name == "stack.0.weight_ih" and config.embedding_size is None
            found[name] = blocks(config, arrays, arrays[0].ndim == 2 and not one_hot)
        else:
            found[name] = expected[name]
    E = config.embedding_size
    wide = replace(config, hidden_size=K * config.hidden_size, embedding_size=None if E is None else K * E)
    extras = {"adapt." + name: np.arange(len(array), dtype=np.float32) for name, array in found.items()}
    extras["other"] = found["head.bias"]
    return ModelFile(wide.spec(), found, {}, {"settings": {"members": K}}, extras), expected


@pytest.mark.parametrize("embedding", [None, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_an_old_file_is_taken_apart_exactly(cell: str, embedding: int | None) -> None:
    config = ModelConfig(cell, 5, 2, embedding, ngrams=(2,), ngram_rows=16)
    old, expected = old_file(config)
    found = taken_apart(old)
    assert ModelConfig.from_spec(found.config) == joined_config(config, K)
    assert found.parameters.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found.parameters[name], array)
    assert set(found.extras) == {"other", *("adapt." + name for name in expected)}
    assert all(len(found.extras["adapt." + name]) == len(array) for name, array in expected.items())
    assert taken_apart(found) is found
    wide = LanguageModel(V, config=ModelConfig.from_spec(old.config), seed=None)
    whole = LanguageModel(V, config=ModelConfig.from_spec(found.config), seed=None)
    read = [
        Program(model, content.parameters).logits(np.array([[1, 2, 3, 4]]), model.initial_state(1))
        for model, content in ((wide, old), (whole, found))
    ]
    np.testing.assert_allclose(read[0][0], read[1][0], atol=1e-6)
    apart = state_taken_apart(whole.config, read[0][1])
    assert apart.shapes == read[1][1].shapes and state_taken_apart(whole.config, apart) is apart
    for one, other in zip(apart.arrays, read[1][1].arrays, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_codes_and_their_scales_are_taken_apart_too() -> None:
    old, _ = old_file(ModelConfig("gru", 5, 2, 4))
    coded, exact = taken_apart(to_int8(old)), plain(to_int8(old))
    assert coded.config["precision"] == "int8" and coded.config["members"] == K
    assert coded.parameters["members.1.stack.0.weight_ih" + SCALE].shape == (15,)
    wide_GC = exact.parameters["stack.0.weight_ih"].reshape(3, K, 5, K, 4)
    np.testing.assert_array_equal(
        plain(coded).parameters["members.1.stack.0.weight_ih"], wide_GC[:, 1, :, 1].reshape(15, 4)
    )


def test_a_wide_model_that_only_resembles_one_stays_wide() -> None:
    old, _ = old_file(ModelConfig("gru", 5, 2, 4))
    old.parameters["stack.1.weight_hh"][0, 7] = 1e-9  # beside the blocks
    assert taken_apart(old) is old
    other, _ = old_file(ModelConfig("gru", 5, 2, 4))
    for card in ({}, {"settings": None}, {"settings": {"members": "3"}}, {"settings": {"members": 1}}):
        changed = replace(other, card=card)
        assert taken_apart(changed) is changed
    for name in ("stack.0.bias_ih", "stack.1.weight_hh", "embedding.weight"):
        cut = replace(other, parameters={**other.parameters, name: other.parameters[name][:2, ...]})
        taken_apart(cut)  # what does not fit is refused by whoever builds the network
