"""Several prompts at once, and the best of many texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pantoum
from pantoum import texts
from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.errors import SettingError
from pantoum.inference.after_prompts import write_after
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.writing.generation import completed
from pantoum.model import Model

PROMPTS = ["The cat", "A dog", "", "The cat"]


def test_each_prompt_gets_what_it_gets_alone(characters: LoadedModel) -> None:
    model = Model(characters)
    together = model.generate(PROMPTS, length=30, seed=4)
    assert together == [model.generate(prompt, length=30, seed=4) for prompt in PROMPTS]
    many = model.generate(tuple(PROMPTS), length=20, seed=4, count=3)
    assert many == [model.generate(prompt, length=20, seed=4, count=3) for prompt in PROMPTS]


def test_texts_are_chosen_for_each_prompt(characters: LoadedModel) -> None:
    model = Model(characters)
    unique = model.generate(PROMPTS, length=3, seed=4, count=5, unique=True)
    assert unique == [model.generate(prompt, length=3, seed=4, count=5, unique=True) for prompt in PROMPTS]
    how_much = GenerationConfig(length=3, seed=4, count=2, unique=True)
    writing = completed(write_after(characters, PROMPTS, how_much, SamplingConfig()))
    assert [text.prompt for text in writing.texts] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert writing.rejected["drawn"] >= 8


def test_the_n_best_are_the_most_probable_of_all(characters: LoadedModel) -> None:
    model = Model(characters)
    best = model.generate("The ", length=4, seed=2, count=50, n_best=5)
    assert len({one.text for one in best}) == 5
    assert [one.log_probability for one in best] == sorted((b.log_probability for b in best), reverse=True)
    everything = model.generate("The ", length=4, seed=2, count=50, unique=True, exact=True)
    assert {one.text for one in best} <= set(everything)
    session = model.session()
    session.feed("The ")
    for one in best[:2]:  # the figure is that of the text itself
        there, total = session.fork(), 0.0
        for token in characters.tokenizer.encode(one.text).tolist():
            total += np.log({p.token: p.probability for p in there.predict(characters.vocab_size)}[token])
            there.feed([token])
        assert abs(total - one.log_probability) < 1e-3
    assert len(model.generate("The ", length=4, seed=2, n_best=2)) == 2, "eight candidates for each"


def test_prompts_that_are_none_are_refused(characters: LoadedModel) -> None:
    model = Model(characters)
    for wrong in ([], [1], b"The", 5):
        with pytest.raises(SettingError, match="prompt"):
            model.generate(wrong)  # type: ignore[call-overload]
    with pytest.raises(SettingError, match="adapt"):
        model.generate(["a", "b"], adapt=True)
    with pytest.raises(SettingError, match="n_best"):
        model.generate("a", count=2, n_best=3)


def test_prompts_come_from_a_file(tmp_path: Path) -> None:
    lines, strings = tmp_path / "prompts.txt", tmp_path / "prompts.jsonl"
    lines.write_bytes("\ufeffOnce\r\n\n  Twice \n".encode())
    strings.write_text('"Once\\nupon"\n"a"\n')
    assert texts.lines(str(lines), "prompts", 100) == ["Once", "  Twice "]
    assert texts.lines(str(strings), "prompts", 100) == ["Once\nupon", "a"]
    strings.write_text('{"prompt": "a"}\n')
    with pytest.raises(SettingError, match="line 1"):
        texts.lines(str(strings), "prompts", 100)
    lines.write_text("\n\n")
    with pytest.raises(SettingError, match="no line that is not empty"):
        texts.lines(str(lines), "prompts", 100)
    assert issubclass(SettingError, pantoum.PantoumError)
