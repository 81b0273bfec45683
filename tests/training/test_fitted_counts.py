"""Runs whose network is mixed with counted n-grams."""

import math

import numpy as np
import pytest

from pantoum.data.prepare import open_prepared
from pantoum.formats import model_file
from pantoum.inference.evaluate import evaluate
from pantoum.inference.loaded_model import load
from pantoum.inference.protocols import SEGMENTS
from pantoum.network.program import Program


def test_the_figures_of_a_run_are_those_of_the_mixture_in_its_file(run):
    made = run(steps=20, kneser_ney=4, keep_data=True)
    model = load(made.model)
    tokens = open_prepared(made.run / "data").valid.tokens
    mixed, alone = (
        evaluate(program, tokens, model.tokenizer, SEGMENTS).nats_per_token
        for program in (model.program, Program(model.network))
    )
    assert math.isclose(mixed, made.validation["nats_per_token"], rel_tol=1e-5) and mixed < alone - 0.1
    assert math.isclose(mixed, model.card["monitor"]["nats_per_token"], abs_tol=0.02)
    assert made.validation["accuracy"] is None and model.program.counts.counts.kept == 3
    assert model.card["settings"]["kneser_ney"] == 4


def test_a_resumed_run_writes_the_same_bytes(run):
    whole = run("whole", steps=12, kneser_ney=3, checkpoint_every=4)
    run("parted", steps=12, kneser_ney=3, checkpoint_every=4, stop_after=5)
    parted = run("parted", resume=True)
    assert whole.model.read_bytes() == parted.model.read_bytes()


def test_without_a_held_out_text_both_count_alike(run):
    made = run(steps=4, kneser_ney=2, valid_fraction=0.0)
    assert np.all(model_file.read(made.model).extras["counts.weights"] == 0.5)


@pytest.mark.parametrize(("tokens", "order"), [("words", 5), ("characters", None)])
def test_who_gets_counts_by_itself(run, tmp_path, tokens, order):
    many = tmp_path / "many.txt"
    many.write_text(" ".join(f"w{number * 7 % 991}" for number in range(4000)))
    made = run(tokens, texts=[str(many)], steps=2, tokens=tokens)
    counts = load(made.model).program.counts
    assert (None if counts is None else counts.counts.kept + 1) == order
