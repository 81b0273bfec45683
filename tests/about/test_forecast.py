"""The loss that a plan expects: less for more work and for a simpler text, never above a guess."""

import math
import random

import pytest

from pantoum.about.plan import TUNED, forecast
from pantoum.data.prepare import prepare


@pytest.fixture
def prepared(tmp_path):
    def go(name, content, **settings):
        path = tmp_path / f"{name}.txt"
        path.write_text(content)
        return prepare([str(path)], out=tmp_path / name, **settings)

    return go


def test_more_work_and_a_simpler_text_are_expected_to_do_better(prepared):
    draw = random.Random(1)
    words = prepared("words", " ".join(draw.choices(["one", "two", "three", "four"], k=4000)))
    noise = prepared("noise", "".join(draw.choices("abcdefghijklmnop", k=16000)))
    little, much = forecast(words, 1e13), forecast(words, 1e14)
    assert much.nats_per_token < little.nats_per_token < forecast(noise, 1e13).nats_per_token
    assert little.xz_bits_per_byte == much.xz_bits_per_byte > 0.0
    assert math.isclose(little.bits_per_byte, little.nats_per_token / math.log(2.0))


def test_never_above_a_guess(prepared):
    found = forecast(prepared("text", "to be or not to be " * 50), 1.0)
    assert found.nats_per_token <= math.log(20)
    assert "nats per token" in str(found) and found.error > 0.0


def test_in_bytes_a_token_may_be_several(prepared):
    found = forecast(prepared("text", "the cat sat on a mat and the dog ran " * 400, tokens="words"), 1e13)
    assert found.nats_per_token > 2 * math.log(2.0) * found.bits_per_byte


def test_nothing_held_out_nothing_expected(prepared):
    assert forecast(prepared("text", "to be or not to be " * 50, valid_fraction=0.0), 1e13) is None


def test_a_few_updates_are_expected_to_leave_it_near_a_guess(prepared):
    words = prepared("words", "the cat sat on a mat and the dog ran " * 400)
    guess = math.log(words.tokenizer.vocab_size)
    one, some, many = (forecast(words, 1e13, updates).nats_per_token for updates in (1, 100, 10_000))
    assert 0.85 * guess < one < guess and many < some < 0.3 * guess
    assert many == pytest.approx(forecast(words, 1e13).nats_per_token, abs=0.01)


def test_a_run_from_a_model_is_expected_to_begin_at_what_the_model_needs(prepared):
    words = prepared("words", "the cat sat on a mat and the dog ran " * 400)
    few, many = (forecast(words, 1.0, updates, untuned=0.5).nats_per_token for updates in (0.01, 1e9))
    assert many < few <= 0.5 and many == pytest.approx(TUNED * 0.5)
    assert forecast(words, 1.0, untuned=50.0) == forecast(words, 1.0)
