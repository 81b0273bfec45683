"""Biases, penalties by count, and recorded tokens: the others of a batch notice nothing of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.config.tokens import TOKEN_KINDS
from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.adjusted import SORTED, log_probabilities, most_probable
from pantoum.inference.writing.generation import Ending, Generation, tolerance
from pantoum.inference.writing.stream_batch import StreamBatch
from pantoum.network import LanguageModel
from pantoum.text.character import CharacterLearner


def begun(model: LoadedModel) -> State:
    session = Session(model)
    session.feed("The cat")
    return session.state


def finish(batch: StreamBatch) -> None:
    while len(batch):
        batch.round()


def test_a_greedy_text_with_penalties_is_what_the_rule_says(characters: LoadedModel) -> None:
    sampling = SamplingConfig(
        greedy=True, frequency_penalty=1.5, presence_penalty=0.25, logit_bias={5: 1.0, 7: -2.0}
    )
    batch = StreamBatch(characters)
    stream = batch.join(begun(characters), length=40, sampling=sampling, alternatives=0)
    finish(batch)

    state, counts, expected = begun(characters), Counter[int](), []
    layers, last = state.for_model(characters), int(state.last_token or 0)
    for _ in range(40):
        logits_BV, layers = characters.program.last_logits(np.array([[last]]), layers)
        changed_V = logits_BV[0].copy()
        changed_V[5] += 1.0
        changed_V[7] -= 2.0
        for token, count in counts.items():
            changed_V[token] -= 1.5 * count + 0.25
        changed_V[list(characters.banned)] = -np.inf
        last = int(changed_V.argmax())
        counts[last] += 1
        expected.append((last, float(log_probabilities(logits_BV)[0, last])))
    found = [(one.token, one.log_probability) for one in stream.drawn()]
    assert [token for token, _ in found] == [token for token, _ in expected]
    assert [nats for _, nats in found] == pytest.approx([nats for _, nats in expected])
    assert stream.nats == pytest.approx(-sum(nats for _, nats in expected))


def test_neighbours_write_what_they_write_without_it(characters: LoadedModel) -> None:
    def written(beside: SamplingConfig | None) -> tuple[int, float]:
        batch = StreamBatch(characters)
        if beside is not None:
            batch.join(begun(characters), length=9, sampling=beside, alternatives=3)
        stream = batch.join(begun(characters), length=30, seed=3)
        finish(batch)
        return stream.state.last_token or 0, stream.nats

    assert written(None) == written(SamplingConfig(presence_penalty=2.0, logit_bias={1: 9.0}))


def test_recording_alone_changes_nothing_and_holds_every_token(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    plain = batch.join(begun(characters), length=25, seed=4)
    recorded = batch.join(begun(characters), length=25, seed=4, alternatives=4)
    finish(batch)
    drawn = recorded.drawn()
    assert plain.state == recorded.state and plain.nats == recorded.nats and plain.drawn() == []
    assert len(drawn) == 25 and recorded.drawn() == []
    assert -sum(one.log_probability for one in drawn) == pytest.approx(plain.nats)
    for one in drawn:
        values = [nats for _, nats in one.alternatives]
        assert len(values) == 4 and values == sorted(values, reverse=True)
        assert all(nats == one.log_probability for token, nats in one.alternatives if token == one.token)


def test_the_most_probable_come_best_first_and_the_smaller_token_first() -> None:
    own_NV = np.log(np.array([[0.1, 0.2, 0.2, 0.4, 0.1], [0.3, 0.1, 0.3, 0.2, 0.1]]))
    wide_NV = np.concatenate([own_NV, np.full((2, SORTED), -99.0)], axis=1)
    for values_NV in (own_NV, wide_NV):
        found = [[token for token, _ in row] for row in most_probable(values_NV, 4)]
        assert found == [[3, 1, 2, 0], [0, 2, 3, 1]]
        assert [row[0][0] for row in most_probable(values_NV, 1)] == [3, 0]
    assert most_probable(own_NV, 0) == [(), ()] and len(most_probable(own_NV, 9)[0]) == 5


@pytest.mark.parametrize(
    "settings",
    [
        {"frequency_penalty": 2.1},
        {"presence_penalty": float("nan")},
        {"logit_bias": {-1: 1.0}},
        {"logit_bias": {1: 101.0}},
    ],
)
def test_settings_beyond_their_bounds_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        SamplingConfig(**settings)  # type: ignore[arg-type]


def test_a_bias_for_a_token_that_is_none_is_refused(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    with pytest.raises(SettingError, match="logit_bias is 99"):
        batch.join(sampling=SamplingConfig(logit_bias={99: 1.0}))
    assert len(batch) == 0


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
