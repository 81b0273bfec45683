"""Runs whose network is mixed with counted n-grams."""

import math
import random

import numpy as np
import pytest

import pantoum
from pantoum.data.prepare import open_prepared
from pantoum.formats import model_file
from pantoum.inference.evaluation import evaluate
from pantoum.inference.loaded_model import load
from pantoum.inference.scoring.protocols import SEGMENTS
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
    assert made.validation["accuracy"] > 0.1 and model.program.counts.counts.kept == 3
    assert model.card["settings"]["kneser_ney"] == 4
    assert "n-grams of up to 4 tokens, modified Kneser-Ney" in str(pantoum.info(made.model))
    pantoum.export(str(made.model), "int8", str(made.run / "small"))
    small = load(made.run / "small")
    assert np.array_equal(small.program.counts.weights_C, model.program.counts.weights_C)


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
    model = load(made.model)
    counts = model.program.counts
    assert (None if counts is None else counts.counts.kept + 1) == order
    assert ("cache" in model.card) == (order is not None)


def test_a_run_over_words_tunes_a_cache_that_every_call_takes(run, tmp_path):
    many = tmp_path / "many.txt"
    draw = random.Random(1)
    topics = [[f"w{draw.randrange(991)}" for _ in range(15)] for _ in range(120)]
    many.write_text(" ".join(draw.choice(topic) for topic in topics for _ in range(60)))
    made = run("cached", texts=[str(many)], steps=8, tokens="words")
    model, text = pantoum.load(made.model), " " + " ".join(topics[3] * 3)
    assert 0.01 < model.card["cache"]["weight"] < 1 and model.card["cache"]["tokens"] > 500
    plain = model.evaluate(text=text).nats_per_token
    cached, both = (model.evaluate(text=text, cache=20, adapt=adapt) for adapt in (False, True))
    assert cached.cache == both.cache == 20 and both.accuracy is None
    assert cached.accuracy is not None and 0 <= cached.accuracy <= 1
    assert both.adapt and cached.nats_per_token != plain
    nats = {size: model.score(text, cache=size).nats for size in (None, 1, 20)}
    assert len(set(nats.values())) == 3
    again = model.score(text, cache=20, by="token").nats
    assert math.isclose(again, nats[20], rel_tol=1e-6)
    session = model.session(cache=20)
    session.feed(text)
    assert model.generate(text, length=9, seed=1, cache=20, exact=True) == session.generate(9, seed=1)
    with pytest.raises(pantoum.PantoumError, match="cache"):
        model.generate(text, cache=0)
