"""Words of like spelling learn from each other."""

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.errors import SettingError
from pantoum.formats import model_file
from pantoum.network import LanguageModel
from pantoum.network.gradient import Gradient
from pantoum.training.update.optimizer import EPSILON, AdamW, make_optimizer
from pantoum.training.update.spelling import EVERY, RATES, SELDOM_BETAS, SpellingOptimizer, parts_of

TEXTS = ["\n", "walking", " talking", "asking", "Baking", "42", "1,234", "a", "?", "1999", "7", "<unk>"]
NAME = "embedding.weight"


def shared(texts):
    """What parts each pair of symbols has in common, as a function of their numbers."""
    parts_VO = parts_of(texts)
    kept = [{part for part in row if part < parts_VO.max()} for row in parts_VO.tolist()]
    return lambda one, other: len(kept[one] & kept[other])


def test_words_share_beginnings_ends_capitals_and_digits():
    common = shared(TEXTS)
    assert np.array_equal(parts_of(TEXTS), parts_of(["", *map(str.strip, TEXTS[1:])]))
    assert common(1, 3) > common(1, 5)
    assert common(1, 4) == common(1, 3) - 1  # a capital
    assert common(5, 9) > common(5, 1)  # digits
    assert not any(common(0, symbol) for symbol in range(len(TEXTS)))


def test_a_word_of_capitals_has_the_letters_of_the_small_one():
    common = shared(["\n", "King", "KING", "king", "kinG", "x"])
    assert common(1, 3) == common(2, 3) > common(5, 3)


@pytest.mark.parametrize(
    "texts",
    [
        ["\n"],
        ["\n", "", " ", "\t"],
        ["\n", "a", "B7"],
        ["\n", *map(chr, range(0x4E00, 0x5000))],
        ["", *"bdBfghjk"],
    ],
)
def test_symbols_that_have_few_letters_in_common_have_no_parts(texts):
    assert parts_of(texts) is None


def made(spelled=True, own=0.2, seed=3, decay=0.1, **shape):
    config = ModelConfig("gru", 6, 1, embedding_size=4, **shape)
    model = LanguageModel(len(TEXTS), config=config, seed=seed)
    inner = AdamW(model.parameters, decay)
    parts_VO = parts_of(TEXTS)
    return model, SpellingOptimizer(inner, model, parts_VO, own) if spelled else inner


def gradients(model, step, rows=None):
    draw = np.random.default_rng(step)
    found = {
        name: Gradient(draw.standard_normal(array.shape).astype(np.float32))
        for name, array in model.parameters.items()
    }
    if rows is not None:
        values = found[NAME].values[rows]
        found[NAME] = Gradient(values, np.array(rows, np.int64))
    return found


class TwoTables:
    """The same with a table of own vectors and one of parts, each with an AdamW of its own."""

    def __init__(self, model):
        self.own = model.parameters[NAME].astype(np.float64)
        self.parts_VO = parts_of(TEXTS)
        self.parts = np.zeros((self.parts_VO.max(), self.own.shape[1]))
        self.moments = {table: np.zeros((2, *table_.shape)) for table, table_ in self.tables()}

    def tables(self):
        return ("own", self.own), ("parts", self.parts)

    def rows(self, word):
        return [part for part in self.parts_VO[word] if part < len(self.parts)]

    def step(self, gradient, rows, step, rate, factor):
        of_parts, used = np.zeros_like(self.parts), set()
        for word, values in zip(rows, gradient, strict=True):
            for part in self.rows(word):
                of_parts[part] += values.astype(np.float64) / np.sqrt(len(self.rows(word)))
                used.add(part)
        used = sorted(used)
        self.adamw("own", list(rows), gradient.astype(np.float64), step, 0.2 * rate, factor)
        self.adamw("parts", used, of_parts[used], step, RATES["adamw"] * rate, factor)

    def adamw(self, table, rows, values, step, rate, factor):
        first, second = self.moments[table]
        array = getattr(self, table)
        first[rows] = SELDOM_BETAS[0] * first[rows] + (1 - SELDOM_BETAS[0]) * factor * values
        second[rows] = SELDOM_BETAS[1] * second[rows] + (1 - SELDOM_BETAS[1]) * (factor * values) ** 2
        m, v = first[rows] / (1 - SELDOM_BETAS[0] ** step), second[rows] / (1 - SELDOM_BETAS[1] ** step)
        array[rows] -= rate * m / (np.sqrt(v) + EPSILON)

    def embedding(self):
        sums = [
            sum((self.parts[part] for part in self.rows(word)), np.zeros(4))
            / max(1, len(self.rows(word))) ** 0.5
            for word in range(len(self.own))
        ]
        return self.own + np.array(sums)


@pytest.mark.parametrize("tied", [False, True])
def test_a_word_is_the_sum_of_its_own_vector_and_those_of_its_parts(tied):
    model, optimizer = made(tied=tied)  # which has weight decay, but not of words
    plain = TwoTables(model)
    for step in range(1, 2 * EVERY + 1):
        rows = None if step % 5 == 0 else sorted({step % 11, (7 * step) % 12, 3})
        given = gradients(model, step, rows)
        words, values = given[NAME].by_rows()
        plain.step(values, words.tolist(), step, 0.01, 0.5)
        optimizer.step(given, 0.01, 0.5)
    np.testing.assert_allclose(model.parameters[NAME], plain.embedding(), atol=1e-5)


def test_a_word_that_was_never_read_goes_where_words_of_like_spelling_go():
    model, optimizer = made()
    before, direction = model.parameters[NAME].copy(), np.array([3, -1, 2, -2], np.float32)
    given = gradients(model, 1)
    for _ in range(EVERY):
        optimizer.step({**given, NAME: Gradient(np.stack([-direction] * 2), np.array([1, 2]))}, 0.01, 1.0)
    moves_V = (model.parameters[NAME] - before) @ direction
    assert moves_V[3] > moves_V[4] > 2 * max(moves_V[5], moves_V[9], 0.0) and moves_V[0] == 0


def test_between_the_moves_only_the_words_in_use_move():
    model, optimizer = made()
    before = model.parameters[NAME].copy()
    for step in range(1, EVERY):
        optimizer.step(gradients(model, step, [1, 5]), 0.01, 1.0)
    moved = (model.parameters[NAME] != before).any(axis=1)
    assert moved.nonzero()[0].tolist() == [1, 5]
    optimizer.step(gradients(model, EVERY, [1, 5]), 0.01, 1.0)
    moved = (model.parameters[NAME] != before).any(axis=1)
    assert moved[[2, 3, 9]].all() and not moved[0]


@pytest.mark.parametrize("stop", [1, EVERY - 1, EVERY, EVERY + 5])
def test_what_is_kept_of_it_is_all_of_it(stop):
    (one, first), (other, second) = made(), made(seed=8)
    for step in range(1, stop + 1):
        first.step(gradients(one, step, [1, 2, 4]), 0.01, 1.0)
    for name, array in second.arrays().items():
        array[...] = first.arrays()[name]
    for name, array in other.parameters.items():
        array[...] = one.parameters[name]
    second.steps = first.steps
    for step in range(stop + 1, 3 * EVERY):
        for optimizer, model in ((first, one), (second, other)):
            optimizer.step(gradients(model, step, [2, 5, 9]), 0.01, 1.0)
    assert all(np.array_equal(array, other.parameters[name]) for name, array in one.parameters.items())


def test_everything_but_the_embedding_moves_as_without_it():
    (model, optimizer), (twin, alone) = made(), made(spelled=False)
    alone.betas = SELDOM_BETAS
    for step in range(1, EVERY + 2):
        optimizer.step(gradients(model, step), 0.01, 1.0)
        alone.step(gradients(twin, step), 0.01, 1.0)
    differs = {
        name for name, array in twin.parameters.items() if not np.array_equal(model.parameters[name], array)
    }
    assert differs == {NAME}


def test_words_that_learn_at_the_full_rate_decay_as_without_parts():
    (model, optimizer), (twin, alone) = made(own=1.0, decay=0.5), made(spelled=False, decay=0.5)
    gradient = {name: Gradient(np.zeros_like(array)) for name, array in model.parameters.items()}
    for each in (optimizer, alone):
        each.step(gradient, 0.1, 1.0)
    assert np.array_equal(model.parameters[NAME], twin.parameters[NAME])
    assert abs(model.parameters[NAME]).sum() < abs(made()[0].parameters[NAME]).sum()


def test_parts_move_half_as_far_beside_muon_whose_learning_rate_is_twice_as_high():
    (model, optimizer), twin = made(), made()[0]
    beside = SpellingOptimizer(make_optimizer("muon", twin, 0.1), twin, parts_of(TEXTS), 0.2)
    for each in (optimizer, beside):
        each.step(gradients(model, 1), 0.01, 1.0)
    moves, halves = (each.arrays()["parts.moves"] for each in (optimizer, beside))
    assert moves.any()
    np.testing.assert_allclose(halves, moves / 2, rtol=1e-5)


WORDS = {"tokens": "words", "steps": 40, "precision": "float32"}


def test_a_run_that_is_stopped_and_resumed_is_the_same_to_the_bit(run, tmp_path):
    whole = run("whole", spelling=0.3, **WORDS)
    run("parted", spelling=0.3, stop_after=21, **WORDS)
    parted = run("parted", resume=True)
    one, other = (model_file.read(each.model).parameters for each in (whole, parted))
    assert all(np.array_equal(array, other[name]) for name, array in one.items())


def test_the_model_file_knows_nothing_of_parts(run):
    names = [
        set(model_file.read(run(f"r{rate}", spelling=rate, **WORDS).model).parameters) for rate in (None, 1)
    ]
    assert names[0] == names[1]


def test_inputs_without_an_embedding_have_no_spelling(run):
    with pytest.raises(SettingError, match=r"spelling is 0\.5: it needs an embedding"):
        run(embedding_size=None, spelling=0.5, **WORDS)
