"""A run that rolls back is the same run wherever it is stopped and resumed, however often it saves."""

import dataclasses
import math
import random
import zlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pantoum.config import TrainSettings
from pantoum.errors import DivergedError
from pantoum.formats import checkpoint
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train
from pantoum.training.update.backend import LocalBackend

TINY = {
    "tokens": "bytes",
    "valid_fraction": 0.0,
    "batch_size": 1,
    "seq_len": 16,
    "hidden_size": 8,
    "num_layers": 1,
    "embedding_size": 4,
    "schedule": "constant",
    "ngrams": None,
    "learning_rate": 0.02,
}
INTERVALS = st.sampled_from(["auto", 1, 5])


class KilledError(Exception):
    """Stands for the end of the process."""


def text_with_noise(path, noise=80):
    """Calm text that is soon known by heart, with two passages of noise in it."""
    draw = random.Random(3)
    passages = ("".join(chr(draw.randrange(33, 127)) for _ in range(noise)) for _ in range(2))
    path.write_text("ab" * 336 + next(passages) + "ab" * 208 + next(passages) + "ab" * 320)
    return str(path)


@pytest.fixture
def trouble(monkeypatch):
    """Losses go bad at drawn steps, as the weights there decide: the same weights meet the same trouble.
    ``trouble(seed, share, kill_after)``."""
    honest, drawn = LocalBackend.gradients, {"seed": 0, "share": 0.0, "calls": math.inf}

    def gradients(self, batch, state, step, streams):
        if drawn["calls"] <= 0:
            raise KilledError
        drawn["calls"] -= 1
        found = honest(self, batch, state, step, streams)
        place = step // 4  # trouble comes in spells, or it would only be skipped
        spell = zlib.crc32(f"{drawn['seed']} {place}".encode()) % 100 < drawn["share"]
        weights = b"".join(array.tobytes() for array in self.weights(averaged=False).values())
        loss = {0: math.nan, 1: 60.0, 2: 25.0}.get(zlib.crc32(weights) % 12)
        return dataclasses.replace(found, loss=loss) if spell and loss is not None else found

    def install(seed=0, share=0, kill_after=math.inf):
        drawn.update(seed=seed, share=share, calls=kill_after)

    monkeypatch.setattr(LocalBackend, "gradients", gradients)
    return install


def session(folder, text, **asked):
    """A session's result, ``None`` if it was killed, or its error's words. The disk is at rest then."""
    try:
        begins = {} if folder.exists() else {**TINY, "steps": 40}
        resumes = {"resume": True} if folder.exists() else {}
        return train(TrainingCommand(TrainSettings(run=str(folder), **begins, **resumes, **asked), [text]))
    except KilledError:
        return None
    except DivergedError as problem:
        return str(problem)


def outcome(result, folder):
    """What must not depend on stops: the model file and the plain state, or the error's words."""
    if isinstance(result, str):
        return result
    state = checkpoint.newest(folder).state
    own = ("seconds", "phases", "run")
    return result.model.read_bytes(), {name: state[name] for name in state if name not in own}


STOPS = st.lists(st.tuples(INTERVALS, st.integers(-40, 12).filter(bool)), max_size=6)
"""Sessions: the saving interval, and after how many updates it is killed, or (below zero) at which step it is
stopped."""
LAW = {"suppress_health_check": [HealthCheck.function_scoped_fixture]}
DRAWN = (st.integers(0, 10**6), st.sampled_from([20, 40, 60]), INTERVALS, STOPS)
IN_TROUBLE = [("auto", -24), ("auto", -25), ("auto", -26), (1, -30)]


@settings(max_examples=2, **LAW)
@given(*DRAWN)
@example(2, 20, "auto", IN_TROUBLE)
@example(10, 60, "auto", IN_TROUBLE)
def test_where_it_rolls_back_to_does_not_depend_on_stops_kills_and_intervals(
    tmp_path_factory, trouble, seed, share, interval, stops
):
    same_outcome(tmp_path_factory, trouble, seed, share, interval, stops)


@pytest.mark.slow
@settings(max_examples=30, **LAW)
@given(*DRAWN)
def test_nor_for_many_more(tmp_path_factory, trouble, seed, share, interval, stops):
    same_outcome(tmp_path_factory, trouble, seed, share, interval, stops)


def same_outcome(tmp_path_factory, trouble, seed, share, interval, stops):
    """Train a run at one go, and one with stops and kills, and compare."""
    place = tmp_path_factory.mktemp("runs")
    text = text_with_noise(place / "s.txt")
    trouble(seed, share)
    whole = session(place / "whole", text, checkpoint_every=interval)
    result = None
    for every, stop in stops:
        trouble(seed, share, kill_after=stop if stop > 0 else math.inf)
        asked = {} if stop > 0 else {"stop_after": -stop}
        result = session(place / "cut", text, checkpoint_every=every, **asked)
        if isinstance(result, str):
            break
    if not isinstance(result, str):
        trouble(seed, share)
        result = session(place / "cut", text, checkpoint_every=interval)
    assert outcome(result, place / "cut") == outcome(whole, place / "whole")


def test_noise_after_calm_text_is_the_texts_own_and_the_rate_is_kept(tmp_path):
    text, told = text_with_noise(tmp_path / "s.txt"), []
    asked = {**TINY, "hidden_size": 32, "embedding_size": None, "learning_rate": 0.025, "seed": 1}
    settings = TrainSettings(run=str(tmp_path / "run"), steps=100, **asked)
    result = train(TrainingCommand(settings, [text]), told.append)
    assert result.finished and sum("ROLLED BACK" in note for note in result.notes) == 1
    assert any("this part of the text is unusual" in note for note in result.notes)
    assert told[-1].learning_rate == pytest.approx(0.025)


def test_passages_of_noise_at_a_high_rate_do_not_end_a_run_that_recovers(tmp_path):
    draw, parts = random.Random("recover 0"), []
    for calm in (150, 400, 800):
        parts += [draw.choice(("ab", "abc", "a")) * draw.randrange(calm * 3 // 4, calm * 5 // 4)]
        parts += ["".join(chr(draw.randrange(33, 127)) for _ in range(draw.randrange(64, 120)))]
    text = tmp_path / "s.txt"
    text.write_text("".join(parts) + "ab" * 200)
    asked = {name: value for name, value in TINY.items() if name != "embedding_size"}
    asked |= {"hidden_size": 32, "valid_fraction": 0.1, "cell": "rnn", "optimizer": "adamw"}
    asked |= {"learning_rate": 0.025, "precision": "float32"}
    settings = TrainSettings(run=str(tmp_path / "run"), steps=3000, stop_after=230, **asked)
    result = train(TrainingCommand(settings, [str(text)]))
    assert result.stopped == "stop_after"
    assert any("ROLLED BACK" in note for note in result.notes)
    assert any("this part of the text is unusual" in note for note in result.notes)
