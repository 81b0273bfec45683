"""N steps, a restart and N more are 2 N steps, bit for bit: each cell, optimiser, precision, with dropout.

Float32 also over one and two threads, stopped with one and gone on with the other.
"""

import hashlib
from collections.abc import Iterator

import pytest

from pantoum.config import CELLS
from pantoum.errors import RunError
from pantoum.formats import checkpoint
from pantoum.kernels import native, precisions, without_core

# Streams and units enough that two threads share the work.
WIDE = {
    "hidden_size": 24,
    "num_layers": 2,
    "batch_size": 16,
    "seq_len": 8,
    "dropout": 0.25,
    "learning_rate": 0.01,
}
N = 4


@pytest.fixture
def threads() -> Iterator[object]:
    """Sets the core's threads, which are put back; without a core there is nothing to set."""
    if without_core() is not None:
        yield lambda count: None
        return
    before = native.core().threads
    yield native.core().set_threads
    native.core().set_threads(before)


def bits(folder) -> str:
    """A digest of the model file and of every array that a resumed run has."""
    newest, total = checkpoint.newest(folder), hashlib.sha256((folder / "model.safetensors").read_bytes())
    for name, array in sorted(newest.arrays.items()):
        total.update(name.encode() + array.tobytes())
    return f"{newest.step} {total.hexdigest()}"


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_restart_changes_no_bit(run, threads, tmp_path, cell, optimizer, precision):
    if precision not in precisions():
        pytest.skip(f"SKIP SKIP SKIP  this machine has no {precision}")
    threads(2)
    settings = {**WIDE, "cell": cell, "optimizer": optimizer, "precision": precision, "steps": 2 * N}
    run("whole", **settings)
    run("cut", **settings, stop_after=N)
    if precision == "float32":
        threads(1)
    run("cut", resume=True)
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")


@pytest.mark.parametrize("documents", [{}, {"documents": "lines"}])
def test_a_restart_within_a_later_epoch_changes_no_bit(run, tmp_path, documents):
    settings = {**documents, "steps": 40, "batch_size": 6, "seq_len": 64}
    run("whole", **settings)
    run("cut", **settings, stop_after=31)
    stood = checkpoint.newest(tmp_path / "cut").state["cursor"]
    assert stood["epoch"] > 0 < stood["batch"]
    run("cut", resume=True)
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_restart_changes_no_bit_of_n_grams(run, threads, tmp_path, optimizer):
    threads(2)
    settings = {**WIDE, "optimizer": optimizer, "ngrams": "2,3", "ngram_rows": 512, "steps": 2 * N}
    run("whole", **settings)
    run("cut", **settings, stop_after=N)
    threads(1)
    run("cut", resume=True)
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")


@pytest.mark.parametrize("cell", CELLS)
def test_one_thread_and_two_train_to_the_same_bits(run, threads, tmp_path, cell):
    for count in (1, 2):
        threads(count)
        run(f"threads-{count}", **WIDE, cell=cell, precision="float32", steps=N)
    assert bits(tmp_path / "threads-1") == bits(tmp_path / "threads-2")


@pytest.mark.parametrize("tied", [False, True])
def test_a_restart_draws_the_same_candidates(run, threads, tmp_path, tied):
    settings = {**WIDE, "softmax": "sampled:5", "tied": tied, "average": 0.9, "steps": 40}
    threads(2)
    run("whole", **settings)
    run("cut", **settings, stop_after=19)
    threads(1)
    with pytest.raises(RunError, match="softmax is sampled:6, the run has sampled:5"):
        run("cut", resume=True, softmax="sampled:6")
    run("cut", resume=True, softmax="sampled:5")
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")
