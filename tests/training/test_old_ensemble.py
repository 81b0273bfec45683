"""A run of an ensemble that began before its members had names of their own is resumed to the bit.

Such a run kept the best weights as one wide model with zeros beside the blocks, and its checkpoints held the
last tokens, which n-grams look back on, once per member. Checked once against such a version itself
(docs/log/faults.md); here its files are made from those of today.
"""

import json

import numpy as np
import pytest

from pantoum.errors import CheckpointError
from pantoum.formats import checkpoint, model_file
from pantoum.formats.model_file import SCALE
from pantoum.inference.files.joined_file import taken_apart
from pantoum.inference.files.precision import plain

K, H, E = 2, 12, 6
SETTINGS = {"steps": 12, "members": K, "dropout": 0.2, "ngrams": "2,3", "ngram_rows": 64, "num_layers": 2}
LATER = ("shards", "kneser_ney", "samples")
"""Settings that recipes did not have then."""


def wide(arrays, columns):
    """Arrays [gates * H, ...] of the members, block by block on the diagonal of each gate."""
    gates = [array.reshape(-1, H, *array.shape[1:]) for array in arrays]
    found = np.zeros((len(gates[0]), K, H, *((K * columns,) if columns else ())), np.float32)
    for place, own in enumerate(gates):
        found[:, place, :, place * columns : (place + 1) * columns] = own
    return found.reshape(-1, *found.shape[3:])


def wide_arrays(arrays):
    found = {name: array for name, array in arrays.items() if not name.startswith("members.")}
    for name in (name.removeprefix("members.0.") for name in arrays if name.startswith("members.0.")):
        own = [arrays[f"members.{place}.{name}"] for place in range(K)]
        if name.startswith("embedding"):
            found[name] = np.concatenate(own, axis=1) if own[0].ndim == 2 else own[0]
        elif own[0].ndim == 2:
            found[name] = wide(own, own[0].shape[1])
        else:
            found[name] = np.concatenate([array.reshape(-1, H) for array in own], axis=1).reshape(-1)
    return found


def make_old(run):
    """Turn the files of a run into those that an older version would have written."""
    for step in checkpoint.steps(run):
        found = checkpoint.read(run, step)
        for name in LATER:
            found.state["recipe"].pop(name, None)
        names = sorted(name for name in found.arrays if name.startswith("carried."))
        layers = [found.arrays.pop(name) for name in names]
        recent, each = layers.pop(), len(layers) // K
        kept = [part for place in range(K) for part in (*layers[place * each : (place + 1) * each], recent)]
        carried = {f"carried.{place}": array for place, array in enumerate(kept)}
        checkpoint.commit(run, step, {**found.arrays, **carried}, found.state)
    path = run / "model.safetensors"
    now = plain(model_file.read(path))
    roots = {name[len(SCALE) :]: R for name, R in now.extras.items() if name.startswith(SCALE)}
    extras = {name: array for name, array in now.extras.items() if not name.startswith(SCALE)}
    extras |= {SCALE + name: array for name, array in wide_arrays(roots).items()}
    shape = {**now.config, "hidden_size": K * H, "embedding_size": K * E}
    del shape["members"]
    for name in LATER:
        now.card["settings"].pop(name, None)
    then = model_file.ModelFile(shape, wide_arrays(now.parameters), now.tokenizer, now.card, extras)
    model_file.write(path, then)
    return now, then


@pytest.fixture
def old(run, tmp_path):
    """The folder of a run that was cut after 5 of its 12 steps, as an older version would have left it."""
    run("old", **SETTINGS, stop_after=5)
    now, then = make_old(tmp_path / "old")
    again = taken_apart(then)
    assert again.config == now.config and again.parameters.keys() == now.parameters.keys()
    assert all(np.array_equal(again.parameters[name], array) for name, array in now.parameters.items())
    return tmp_path / "old"


def test_it_is_resumed_to_the_bit(run, old):
    whole = run("whole", **SETTINGS)
    again = run("old", resume=True)
    assert again.finished and again.notes == ("going on from step 5",)
    assert again.model.read_bytes() == whole.model.read_bytes()


def test_it_is_refused_where_a_member_is_missing(run, old):
    for step in checkpoint.steps(old):
        found = checkpoint.read(old, step)
        kept = {name: array for name, array in found.arrays.items() if not name.startswith("member1.weights")}
        checkpoint.commit(old, step, kept, found.state)
    before = (old / "model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="missing") as refused:
        run("old", resume=True)
    assert "\n" not in str(refused.value) and (old / "model.safetensors").read_bytes() == before


def test_it_is_refused_where_the_state_of_a_member_is_missing(run, old):
    newest = checkpoint.steps(old)[-1]
    found = checkpoint.read(old, newest)
    found.arrays.pop("carried.5")
    checkpoint.commit(old, newest, found.arrays, found.state)
    with pytest.raises(CheckpointError, match="lacks the carried state"):
        run("old", resume=True)
    assert json.loads((old / "config.json").read_text())["chosen"]["members"] == K
