"""A text ends at the end of a line or sentence near its length, at the same place however it is written."""

from __future__ import annotations

import pytest

from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.config.tokens import TOKEN_KINDS
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Ending, Generation, tolerance
from pantoum.network import LanguageModel
from pantoum.text.character import CharacterLearner

TEXT = "A b. C d!\nE f, g h?\n"


@pytest.mark.parametrize(
    ("kind", "pieces", "reached"),
    [
        ("characters", list("It rains. "), [False] * 9 + [True]),
        ("characters", list("3.14, 'No!' \n"), [False] * 11 + [True, True]),
        ("bytes", ["so…", '"', " "], [False, False, True]),
        ("words", ["It", " rains", ".", " So"], [False, False, True, False]),
        ("bpe", [" rains.”", " So\n"], [True, True]),
        ("characters", ["a\n", "b"], [True, False]),
    ],
)
def test_ends_of_lines_and_sentences_are_known(kind: str, pieces: list[str], reached: list[bool]) -> None:
    ending = Ending(TOKEN_KINDS[kind].single)
    assert [ending.reached(piece) for piece in pieces] == reached


def test_the_tolerance_is_a_fifth_and_bounded() -> None:
    assert [tolerance(length) for length in (0, 4, 5, 100, 500, 5000)] == [0, 0, 1, 20, 100, 200]


def model(documents: str | None = None) -> LoadedModel:
    learner = CharacterLearner(None, documents)
    learner.feed(TEXT * 9)
    tokenizer = learner.learn()
    network = LanguageModel(tokenizer.vocab_size, embedding_size=4, hidden_size=8, num_layers=1, seed=3)
    return LoadedModel.of(network, tokenizer)


def written(made: LoadedModel, length: int, count: int, exact: bool, **sampling: object) -> Generation:
    how_much = GenerationConfig(length=length, seed=5, count=count, exact=exact)
    generation = Generation(made, State.start(made), SamplingConfig(**sampling), how_much)
    for _ in generation:
        pass
    return generation


def test_texts_end_early_alone_as_in_a_batch_and_never_late() -> None:
    made = model()
    several, exact = written(made, 100, 20, False), written(made, 100, 20, True)
    early = 0
    for text, whole in zip(several.texts, exact.texts, strict=True):
        assert whole.text.startswith(text.text) and whole.tokens == 100 and 80 <= text.tokens <= 100
        assert text.stopped is None and len(text.text) == text.tokens
        early += text.tokens < 100
        assert text.tokens == 100 or Ending(True).reached(text.text)
    assert early >= 10
    assert written(made, 100, 1, False).texts[0].text == several.texts[0].text


def test_the_state_goes_on_where_the_text_ended() -> None:
    made = model()
    first = written(made, 100, 1, False)
    left = GenerationConfig(length=100 - first.texts[0].tokens, seed=5, exact=True)
    rest = Generation(made, first.state(), SamplingConfig(), left)
    pieces = "".join(piece.text for piece in rest)
    assert first.texts[0].text + pieces == written(made, 100, 1, True).texts[0].text


def test_documents_and_stop_strings_have_ends_of_their_own() -> None:
    names = model("lines")
    lengths = [text.tokens for text in written(names, 40, 9, False).texts]
    assert lengths == [text.tokens for text in written(names, 40, 9, True).texts]
    stopped = written(model(), 60, 9, False, stop=("zz",))
    assert all(text.tokens == 60 for text in stopped.texts)
