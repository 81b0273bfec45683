"""Which weights are kept, and how the run's end scores them."""

import math
from itertools import pairwise

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.text.byte import ByteTokenizer
from pantoum.training.keep_best import KeepBest


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
