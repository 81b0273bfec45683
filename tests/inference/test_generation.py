"""Writing: stop strings, the ends of documents, texts side by side, and what stays behind in the state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pantoum.config import GenerationConfig, ModelConfig, SamplingConfig
from pantoum.inference.after_prompts import Distinct
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Generation, completed, draw_seed
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.word import WordTokenizer

Make = Callable[..., LoadedModel]
WARM = SamplingConfig(temperature=1.0)


def written(
    model: LoadedModel,
    sampling: SamplingConfig = WARM,
    *,
    length: int = 40,
    seed: int = 1,
    count: int = 1,
    prompt: str = "The cat",
) -> tuple[Generation, list[list[str]]]:
    """A generation that has run, and the pieces that each text gave."""
    session = Session(model)
    session.feed(prompt)
    how_much = GenerationConfig(length=length, seed=seed, count=count, exact=True)
    generation = Generation(model, session.state, sampling, how_much)
    pieces: list[list[str]] = [[] for _ in range(count)]
    for piece in generation:
        assert piece.text != ""
        pieces[piece.index].append(piece.text)
    return generation, pieces


@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
def test_texts_side_by_side_are_streams_of_their_own(make: Make, kind: str) -> None:
    model = make(kind)
    many, pieces = written(model, count=5)
    single, _ = written(model)
    assert many.texts[0].text == single.texts[0].text
    assert len({text.text for text in many.texts}) == 5
    assert ["".join(p) for p in pieces] == [text.text for text in many.texts]


def test_every_text_has_its_length_and_its_nats(characters: LoadedModel) -> None:
    generation, _ = written(characters, count=3, length=25)
    assert [(t.tokens, t.stopped, len(t.text)) for t in generation.texts] == [(25, None, 25)] * 3
    assert all(0.0 < text.nats < 25 * 10 for text in generation.texts)


def test_nats_are_what_scoring_says_of_the_text(characters: LoadedModel) -> None:
    generation, _ = written(characters, SamplingConfig(temperature=0.3, top_k=5), length=12)
    session = Session(characters)
    session.feed("The cat")
    state = session.state
    total = 0.0
    layers, last = state.for_model(characters), state.last_token
    for token in characters.tokenizer.encode(generation.texts[0].text).tolist():
        logits, layers = characters.program.last_logits(np.array([[last]]), layers)
        total -= float(logits[0, token] - np.log(np.exp(logits[0].astype(np.float64)).sum()))
        last = token
    assert generation.texts[0].nats == pytest.approx(total, rel=1e-5)


@given(data=st.data())
@settings(max_examples=60)
def test_a_stop_string_cuts_the_text_before_it(make: Make, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["bytes", "characters", "words"]))
    model = make(kind)
    full = written(model)[0].texts[0].text
    starts = data.draw(
        st.lists(st.tuples(st.integers(0, len(full) - 1), st.integers(1, 6)), min_size=1, max_size=3)
    )
    stops = [full[at : at + size] for at, size in starts]
    assume("\ufffd" not in "".join(stops))
    generation, pieces = written(model, SamplingConfig(temperature=1.0, stop=tuple(stops)))
    _, cut = min((full.find(stop) + len(stop), full.find(stop)) for stop in stops)
    assert generation.texts[0].text == full[:cut]
    assert generation.texts[0].stopped == "stop"
    assert "".join(pieces[0]) == full[:cut]


def test_what_may_begin_a_stop_string_is_held_back_and_given_out_at_the_end(characters: LoadedModel) -> None:
    full = written(characters)[0].texts[0].text
    generation, pieces = written(characters, SamplingConfig(temperature=1.0, stop=(full[-2:] + "never",)))
    assert generation.texts[0].text == full == "".join(pieces[0])
    assert pieces[0][-1].endswith(full[-2:]) and len(pieces[0][-1]) >= 2


def test_documents_end_at_their_border(make: Make) -> None:
    model = make("characters", "lines")
    generation, _ = written(model, SamplingConfig(temperature=2.0), count=8, length=200, prompt="A")
    assert {text.stopped for text in generation.texts} == {"eos"}
    assert not any("\n" in text.text for text in generation.texts)
    assert all(text.tokens == len(text.text) + 1 for text in generation.texts)
    assert generation.state(3).last_token == model.eos


def test_after_a_documents_end_the_next_one_begins(make: Make) -> None:
    model = make("characters", "lines")
    generation, _ = written(model, SamplingConfig(temperature=2.0), length=200, prompt="A")
    ended = generation.state()
    fresh = State.start(model)
    greedy = SamplingConfig(greedy=True)
    texts = []
    for state in (ended, fresh):
        following = Generation(model, state, greedy, GenerationConfig(length=20, seed=0, exact=True))
        list(following)
        texts.append(following.texts[0].text)
    assert texts[0] == texts[1]


def test_neighbours_that_end_do_not_disturb_the_others(make: Make) -> None:
    model = make("characters", "lines")
    sampling = SamplingConfig(temperature=2.0)
    many, _ = written(model, sampling, count=12, length=60, prompt="A")
    few, _ = written(model, sampling, count=3, length=60, prompt="A")
    assert [t.text for t in few.texts] == [t.text for t in many.texts[:3]]


@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
def test_any_of_the_texts_can_be_gone_on_with(make: Make, kind: str) -> None:
    model = make(kind)
    whole, _ = written(model, length=30, count=3)
    half, _ = written(model, length=12, count=3)
    assert half.state(0).tokens_seen == half.state(2).tokens_seen
    rest = Generation(model, half.state(0), WARM, GenerationConfig(length=18, seed=1, exact=True))
    list(rest)
    assert half.texts[0].text + rest.texts[0].text == whole.texts[0].text
    assert rest.state().tokens_seen == whole.state().tokens_seen


def test_no_length_writes_nothing_and_changes_nothing(characters: LoadedModel) -> None:
    generation, _ = written(characters, length=0, count=2)
    session = Session(characters)
    session.feed("The cat")
    assert [t.text for t in generation.texts] == ["", ""]
    assert generation.state(1) == session.state


def test_the_repetition_penalty_makes_texts_repeat_less(characters: LoadedModel) -> None:
    plain, _ = written(characters, SamplingConfig(greedy=True), length=60)
    varied, _ = written(characters, SamplingConfig(greedy=True, repetition_penalty=5.0), length=60)
    assert len(set(varied.texts[0].text)) > len(set(plain.texts[0].text))


@pytest.mark.parametrize(
    ("kind", "never"), [("characters", {0, 1}), ("words", {0, 1}), ("bytes", {0}), ("words:whitespace", {1})]
)
def test_tokens_that_no_text_held_are_never_written(make: Make, kind: str, never: set[int]) -> None:
    assert set(make(kind).banned) == never
    assert set(make(kind, "lines").banned) == {t for t in never if t == 1}


def test_drawn_seeds_are_short_and_differ() -> None:
    seeds = {draw_seed() for _ in range(20)}
    assert len(seeds) > 15 and all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(
    "sampling",
    [SamplingConfig(), SamplingConfig(greedy=True), SamplingConfig(top_k=1, repetition_penalty=2.0)],
)
def test_unk_is_never_written_however_probable(make: Make, sampling: SamplingConfig) -> None:
    model = make("words:whitespace")
    model.network.parameters["head.bias"][1] += 1000.0
    certain = LoadedModel.of(model.network, model.tokenizer)
    found, _ = written(certain, sampling, length=60)
    assert found.texts[0].tokens == 60 and "<unk>" not in found.texts[0].text


PLAINLY = SamplingConfig(temperature=1.0, min_p=None)
PIECES = ["The", " cat", "cat", " dog", "dog", "s", "3", ".", " -", "'", "\n", "\u00e9", "_x"]


def of_words(pieces: list[str]) -> LoadedModel:
    """A model that likes all of these alike."""
    tokenizer = WordTokenizer("words", pieces)
    network = LanguageModel(tokenizer.vocab_size, config=ModelConfig("gru", 4, 1, 4))
    return LoadedModel(Program(network), tokenizer)


@pytest.mark.parametrize(
    "sampling",
    [PLAINLY, replace(PLAINLY, repetition_penalty=1.3), replace(PLAINLY, frequency_penalty=0.1)],
)
def test_two_words_are_never_written_as_one(sampling: SamplingConfig) -> None:
    model = of_words(PIECES)
    session = Session(model)
    session.feed("The cat")
    how_much = GenerationConfig(length=90, seed=1, count=5, exact=True)
    generation = completed(Generation(model, session.state, sampling, how_much))
    for text in generation.texts:
        ids_T = model.tokenizer.encode("The cat" + text.text).astype(np.int64)
        assert len(ids_T) == 2 + text.tokens == 92 and model.tokenizer.unk not in ids_T
        inputs_BT, targets_BT = ids_T[None, :-1], ids_T[None, 1:]
        start = model.program.initial_state(1)
        nats_BT, _, _ = model.program.losses(inputs_BT, targets_BT, start)
        assert text.nats == pytest.approx(nats_BT[0, 1:].sum(), rel=1e-4)
    assert len({text.text for text in generation.texts}) == 5


def test_a_word_that_is_drawn_again_has_the_probability_of_the_others() -> None:
    model = of_words(PIECES)
    session = Session(model)
    session.feed("The cat")
    how_much = GenerationConfig(length=1, seed=1, count=4000, exact=True)
    generation = completed(Generation(model, session.state, PLAINLY, how_much))
    found = Counter(text.text for text in generation.texts)
    expected = {each.text: each.probability for each in session.predict(len(PIECES) + 2)}
    rest = sum(expected[piece] for piece in found)
    assert set(found) == {" cat", " dog", ".", " -", "'", "\n"}
    assert all(found[piece] == pytest.approx(4000 * expected[piece] / rest, rel=0.2) for piece in found)


def spacious(share: float = 0.6) -> LoadedModel:
    """A model that gives this share to a single space, whatever it reads, and the rest to 20 words alike."""
    model = of_words([" ", *(f" w{number}" for number in range(20))])
    parameters = {name: np.zeros_like(array) for name, array in model.network.parameters.items()}
    logits_V = np.log(np.full(model.vocab_size, (1 - share) / 20))
    logits_V[2] = np.log(share)
    parameters["head.bias"] = logits_V.astype(np.float32)
    return LoadedModel(Program(model.network, parameters), model.tokenizer)


FILTERED = SamplingConfig(temperature=1.0, min_p=0.05)  # each word has 0.03 of the share of a space


@pytest.mark.parametrize("sampling", [FILTERED, replace(FILTERED, repetition_penalty=1.0001)])
def test_filters_do_not_keep_a_run_of_spaces_from_its_end(sampling: SamplingConfig) -> None:
    model = spacious()
    session = Session(model)
    session.feed(np.array([3, 2]))
    how_much = GenerationConfig(length=12, seed=1, count=3000, exact=True)
    generation = completed(Generation(model, session.state, sampling, how_much))
    firsts = Counter(model.tokenizer.encode(text.text)[0] for text in generation.texts)
    assert firsts[2] / 3000 == pytest.approx(0.6, abs=0.03)
    assert len(firsts) == 21 and min(firsts.values()) > 20
    own_V = np.log([0.6, *[0.02] * 20])
    for text in generation.texts[:50]:
        ids_T = model.tokenizer.encode(text.text)
        assert len(ids_T) == text.tokens == 12
        bare = own_V - np.log(np.exp(model.program.head.bias_V).sum())  # all tokens, those never drawn too
        assert text.nats == pytest.approx(-bare[ids_T - 2].sum(), rel=1e-4)


def shares_after(session: Session, sampling: SamplingConfig, before: int) -> np.ndarray:
    """The probability of each token after a piece of white space: the piece comes again as if there were no
    filters, the others share the rest by their own filtered distribution."""
    model = session.model
    shares_V = np.zeros(model.vocab_size)
    for each in session.predict(model.vocab_size):
        shares_V[each.token] = each.probability ** (1.0 / sampling.temperature)
    shares_V[list(model.banned)] = 0.0
    again = shares_V[before] / shares_V.sum()
    shares_V[before] = 0.0
    shares_V[np.argsort(-shares_V, kind="stable")[sampling.top_k or len(shares_V) :]] = 0.0
    shares_V[shares_V < (sampling.min_p or 0.0) * shares_V.max()] = 0.0
    shares_V *= (1.0 - again) / shares_V.sum()
    shares_V[before] = again
    return shares_V


@pytest.mark.parametrize("redraw", [False, True])
@pytest.mark.parametrize(
    "sampling",
    [PLAINLY, replace(PLAINLY, min_p=0.1), replace(PLAINLY, top_k=3), replace(PLAINLY, temperature=0.7)],
)
def test_white_space_comes_again_as_often_as_the_model_says(
    make: Make, sampling: SamplingConfig, redraw: bool
) -> None:
    """Chi-square over the tokens after white space, in seven contexts."""
    model, random = make("words"), np.random.default_rng(7)
    blanks = np.flatnonzero(model.tokenizer.word_edges[2])
    statistic, freedom, runs = 0.0, 0, 0
    for context in range(7):
        session, before = Session(model), int(blanks[context % len(blanks)])
        session.feed(np.append(random.integers(2, model.vocab_size, 3 + context), before))
        how_much = GenerationConfig(length=1, seed=context, count=2000, exact=True, redraw=redraw)
        if redraw:
            anything = replace(sampling, matching="(?s:.*)")
            texts = completed(Distinct(model, session.state, anything, how_much, "")).texts
        else:
            texts = completed(Generation(model, session.state, sampling, how_much)).texts
        tokens = [text.stream.state.last_token for text in texts]
        found_V = np.bincount(tokens, minlength=model.vocab_size)
        expected_V = 2000 * shares_after(session, sampling, before)
        many_V = expected_V > 5.0
        assert found_V[expected_V == 0.0].sum() == 0
        statistic += ((found_V - expected_V)[many_V] ** 2 / expected_V[many_V]).sum()
        freedom += int(many_V.sum()) - 1
        runs += bool(many_V[before])
    assert runs > 3 and statistic < freedom + 4.0 * np.sqrt(2.0 * freedom)


def test_the_most_probable_space_is_written_for_ever() -> None:
    model = spacious()
    session = Session(model)
    session.feed(np.array([3, 2]))
    how_much = GenerationConfig(length=9, seed=1, exact=True)
    generation = completed(Generation(model, session.state, SamplingConfig(greedy=True), how_much))
    assert generation.texts[0].text.strip() == ""


def test_a_vocabulary_of_nothing_but_letters_writes_on() -> None:
    model = of_words(["a", "b"])
    how_much = GenerationConfig(length=9, seed=1, exact=True)
    generation = completed(Generation(model, Session(model).state, PLAINLY, how_much))
    assert len(generation.texts[0].text) == 9
