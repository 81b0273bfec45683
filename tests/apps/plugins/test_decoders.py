"""Decoders of speech: flashlight and pyctcdecode, each with a state per beam, find what words make likely.

The sound cannot tell ``cat`` from ``cad``; the words before and after can.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from pantoum.apps.plugins.rescoring import BeamModel, Model

SIGNS = ["", " ", *"acdehmnorst"]
WORDS = ["the", "cat", "cad", "sat", "ran", "on", "to", "mat", "hat"]
pytestmark = pytest.mark.filterwarnings("ignore")  # those of their imports


def heard(text: str) -> np.ndarray:
    """Logarithms [T,V] of the probabilities of signs, a blank first. What may be t or d sounds like both."""
    probability_TV = np.full((2 * len(text), len(SIGNS)), 1e-4)
    for place, sign in enumerate(text):
        for one in "td" if text[max(0, place - 2) : place + 1] in ("cat", "cad") else sign:
            probability_TV[2 * place, SIGNS.index(one)] = 0.5
        probability_TV[2 * place + 1, 0] = 1.0
    return np.log(probability_TV / probability_TV.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("text", ["the cat sat on the mat", "the cad ran to the hat"])
def test_pyctcdecode_tells_words_by_their_context(speaker: Path, text: str) -> None:
    pyctcdecode = pytest.importorskip("pyctcdecode")
    language = BeamModel(speaker, alpha=1.0, beta=0.0)
    decoder = pyctcdecode.BeamSearchDecoderCTC(pyctcdecode.Alphabet.build_alphabet(SIGNS), language)
    found = decoder.decode_beams(heard(text))
    assert found[0][0] == text
    assert found[0][-1] - found[0][-2] == pytest.approx(Model(speaker).score(text) * np.log(10), abs=1e-3)


@pytest.mark.parametrize("text", ["the cat sat on the mat", "the cad ran to the hat"])
def test_flashlight_tells_words_by_their_context(
    speaker: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding = pytest.importorskip("flashlight.lib.text.decoder")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "examples" / "plugins"))
    language = importlib.import_module("flashlight_lm").FlashlightModel(speaker, WORDS)
    trie, start = decoding.Trie(len(SIGNS), 1), language.start(False)
    for number, word in enumerate(WORDS):
        trie.insert([SIGNS.index(sign) for sign in word], number, language.score(start, number)[1])
    trie.smear(decoding.SmearingMode.MAX)
    options = decoding.LexiconDecoderOptions(
        beam_size=50, beam_size_token=len(SIGNS), beam_threshold=50.0, lm_weight=1.0, word_score=0.0,
        unk_score=-np.inf, sil_score=0.0, log_add=False, criterion_type=decoding.CriterionType.CTC,
    )  # fmt: skip
    decoder = decoding.LexiconDecoder(options, trie, language, 1, 0, -1, [], False)
    emissions = heard(text)
    best = decoder.decode(emissions.ctypes.data, *emissions.shape)[0]
    assert [WORDS[number] for number in best.words if number >= 0] == text.split()
    assert best.lmScore == pytest.approx(Model(speaker).score(text), abs=1e-3)
