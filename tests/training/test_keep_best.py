"""Which weights are kept, and how the run's end scores them."""

import math
from itertools import pairwise

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.data.prepare import open_prepared
from pantoum.formats import model_file
from pantoum.inference.compact_table import parts_of
from pantoum.inference.evaluate import evaluate
from pantoum.inference.loaded_model import load
from pantoum.inference.protocols import SEGMENTS
from pantoum.kernels import RowCodes
from pantoum.network.ngrams import TABLE
from pantoum.text.byte import ByteTokenizer
from pantoum.training.keep_best import KeepBest

PARTS = _, _, CODES = parts_of(TABLE)


def keeping(precision, held_out=3001, monitored=1001):
    return KeepBest(
        ModelConfig("gru", 8, 1, 8),
        ByteTokenizer(),
        np.zeros(held_out, np.int32),
        monitored,
        None,
        precision=precision,
    )


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_where_there_is_time_the_end_scores_in_float32(precision):
    assert keeping(precision).at_the_end()[0] == "float32"
    assert keeping(precision).at_the_end(1e9)[0] == "float32"


def test_where_float32_takes_too_much_of_the_minutes_the_end_scores_in_the_runs_precision():
    assert keeping("bf16").at_the_end(5000)[0] == "bf16"
    assert keeping("float32").at_the_end(0)[0] == "float32"


def test_what_the_end_reads_has_no_jump_where_the_precision_changes():
    keep, affordable = keeping("bf16"), range(1000, 20000, 100)
    found = [keep.at_the_end(tokens) for tokens in affordable]
    reads = [read for _, read in found]
    assert {precision for precision, _ in found} == {"bf16", "float32"}
    assert all(0 <= later - before <= 100 for before, later in pairwise(reads))
    assert reads[-1] == keep.at_the_end(math.inf)[1] > reads[0] > keep.tokens_scored


def test_without_a_held_out_text_the_end_reads_nothing():
    keep = KeepBest(ModelConfig("gru", 8, 1, 8), ByteTokenizer(), None, 0, None)
    assert keep.at_the_end() == ("float32", 0) and keep.evaluate() is None


def test_a_finished_run_holds_its_weights_in_few_bits_and_its_figures_are_those_of_the_file(run, tmp_path):
    made = run(steps=12, ngrams="2,3", ngram_rows=256, keep_data=True)
    content, model = model_file.read(made.model), load(made.model)
    assert CODES in content.parameters and TABLE not in content.parameters
    assert isinstance(model.program.table.weight_RV, RowCodes)
    matrices = {name: array for name, array in content.parameters.items() if array.ndim == 2}
    assert matrices and all(array.dtype == np.float16 for array in matrices.values())
    coding = content.card["coding"]
    assert 0 < coding["tokens"] < 20_000 and abs(coding["nats_per_token"]) < 1e-3
    tokens = open_prepared(made.run / "data").valid.tokens
    found = evaluate(model.program, tokens, model.tokenizer, SEGMENTS)
    assert math.isclose(found.nats_per_token, made.validation["nats_per_token"], rel_tol=1e-6)
    assert run("longer", from_=str(made.model), steps=2).steps == 2


def test_a_finished_run_that_is_prolonged_and_finds_nothing_better_writes_the_same_table(run):
    made = run(steps=40, ngrams="2,3", ngram_rows=256, learning_rate=0.02)
    before = model_file.read(made.model)
    after = model_file.read(run(resume=True, steps=41, learning_rate=0.02).model)
    if after.card["step"] == before.card["step"]:
        assert all(np.array_equal(before.parameters[name], after.parameters[name]) for name in PARTS)
    else:
        assert CODES in after.parameters


def test_weights_from_a_finished_file_are_coded_to_the_same_bytes(run):
    made = run(steps=12, ngrams="2,3", ngram_rows=256, keep_data=True)
    content = model_file.read(made.model)
    config = ModelConfig.from_spec({key: content.config[key] for key in content.config})
    tokens = open_prepared(made.run / "data").valid.tokens
    keep = KeepBest(config, load(made.model).tokenizer, tokens, len(tokens), None)
    assert keep.recall(made.model) is None
    keep.compact()
    again = keep.model_file(content.card)
    assert again.card["coding"] == content.card["coding"]
    assert {name: array.tobytes() for name, array in again.parameters.items()} == {
        name: array.tobytes() for name, array in content.parameters.items()
    }


def test_while_a_run_goes_on_its_file_is_float32(run, tmp_path):
    stopped = run(steps=12, stop_after=6, ngrams="2,3", ngram_rows=256)
    assert TABLE in model_file.read(stopped.model).parameters
    assert CODES in model_file.read(run(resume=True).model).parameters
