"""Embeddings that are initialised from co-occurrence counts."""

import numpy as np
import pytest

from pantoum import kernels
from pantoum.config import ModelConfig
from pantoum.formats import model_file
from pantoum.kernels import native
from pantoum.network import LanguageModel
from pantoum.training import neighbours
from pantoum.training.neighbours import POWER, Neighbours, initial_vectors, initialise

V, WINDOW = 40, 3


def text(size=5_000, seed=0, most=V - 2):
    """Two symbols, V - 2 and V - 1, never occur; some are far more frequent than others."""
    return np.minimum(np.random.default_rng(seed).geometric(0.08, size) - 1, most - 1).astype(np.uint16)


def rows_of(tokens, window=WINDOW, contexts=neighbours.CONTEXTS):
    """M as it is defined, place by place."""
    counts_V = np.bincount(tokens, minlength=V)
    frequent_C = np.argsort(-counts_V, kind="stable")[:contexts].tolist()
    found = np.zeros((V, V))
    for place, word in enumerate(tokens.tolist()):
        for other in range(max(0, place - window), min(len(tokens), place + window + 1)):
            if other != place:
                found[word, tokens[other]] += 1 / abs(place - other)
    expected = 2 * sum(1 / distance for distance in range(1, window + 1)) * counts_V[:, None]
    expected = expected * counts_V**POWER / (counts_V**POWER).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        said = np.log(found / expected)
    return np.where(found > 0, np.maximum(said, 0), 0)[:, frequent_C]


@pytest.mark.parametrize("contexts", [7, 2048])
@pytest.mark.parametrize(("block", "places"), [(1024, 1 << 17), (3, 1 << 17), (1024, 200), (1, 1)])
def test_a_row_says_how_much_oftener_than_by_chance_contexts_stand_near(monkeypatch, contexts, block, places):
    monkeypatch.setattr(neighbours, "CONTEXTS", contexts)
    monkeypatch.setattr(neighbours, "BLOCK", block)
    monkeypatch.setattr(neighbours, "MOST_PLACES", places)
    tokens = text(1_000)
    blocks = list(Neighbours(tokens, V, WINDOW).blocks())
    assert [symbol for words, _ in blocks for symbol in range(words.start, words.stop)] == list(range(V))
    rows = np.concatenate([rows_WC for _, rows_WC in blocks])
    np.testing.assert_allclose(rows, rows_of(tokens, contexts=contexts), atol=0.0051)


def test_vectors_keep_of_the_rows_nearly_as_much_as_any_could(monkeypatch):
    monkeypatch.setattr(neighbours, "ITERATIONS", 6)
    tokens, size = text(), 8
    rows = rows_of(tokens)
    best = np.linalg.svd(rows)[2][:size]
    vectors = initial_vectors(tokens, V, size, WINDOW, seed=3)
    known = rows.any(axis=1)
    assert not vectors[~known].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[known], axis=1), 1.0, atol=1e-5)
    projected = rows @ best.T
    wanted = projected / np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-9)
    # Cosines do not depend on which directions span what is kept.
    gap = np.abs(vectors @ vectors.T - wanted @ wanted.T)[known][:, known]
    assert np.mean(gap) < 0.15 < np.mean(np.abs(wanted @ wanted.T)[known][:, known])


def test_words_with_the_same_neighbours_begin_alike():
    draw = np.random.default_rng(1)
    kinds = np.arange(V) % 5  # a word is followed by words of the next kind
    tokens = np.array([draw.choice(np.flatnonzero(kinds == place % 5)) for place in range(4_000)])
    vectors = initial_vectors(tokens, V, 16, 1, seed=0)
    cosines, same = vectors @ vectors.T, kinds[:, None] == kinds
    assert cosines[same].min() > cosines[~same].max() + 0.1


def test_what_never_occurs_keeps_its_random_vector_and_sizes_stay():
    for tied in (False, True):
        model = LanguageModel(V, config=ModelConfig("gru", 24, 1, embedding_size=24, tied=tied), seed=4)
        before = model.parameters["embedding.weight"].copy()
        initialise(model, initial_vectors(text(), V, 24, WINDOW, seed=4))
        after = model.parameters["embedding.weight"]
        assert np.array_equal(after[V - 2 :], before[V - 2 :])
        assert 0.7 < np.linalg.norm(after[: V - 10]) / np.linalg.norm(before[: V - 10]) < 1.4


def test_rare_words_begin_as_words_of_like_spelling_do():
    """Parts: none of symbol 0, one of the other even ones, one of the odd ones, one of all but 0."""
    parts_VO = np.array([[3, 3], *([symbol % 2, 2] for symbol in range(1, V))], np.int32)
    tokens = text(5_000)
    counts_V = np.bincount(tokens, minlength=V)
    alone, both = (initial_vectors(tokens, V, 16, WINDOW, 0, parts) for parts in (None, parts_VO))
    cosines_V = np.einsum("ve,ve->v", alone, both)
    assert cosines_V[0] > 0.9999 and cosines_V[counts_V > 200].min() > 0.999
    rare, never = int(np.argmin(np.where(counts_V > 0, counts_V, 1 << 40))), counts_V == 0
    assert counts_V[rare] < 50 and cosines_V[rare] < 0.99
    assert never.sum() >= 2 and not alone[never].any()
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1.0, atol=1e-5)
    # One that never occurs begins as a sum of what its parts have in common.
    weights_V = np.sqrt(counts_V)[:, None]
    sums = [
        (alone * weights_V)[own].sum(axis=0) for own in (slice(2, None, 2), slice(1, None, 2), slice(1, None))
    ]
    even, _, every = (each / np.linalg.norm(each) for each in sums)
    wanted = (even + every) / np.linalg.norm(even + every)
    np.testing.assert_allclose(both[V - 2], wanted, atol=1e-4)


@pytest.mark.parametrize("tokens", [[0], [3, 3], [1, 2, 1]])
def test_a_text_of_some_tokens_has_finite_vectors_of_fewer_directions(tokens):
    vectors = initial_vectors(np.array(tokens), 4, 9, 10, seed=0)
    assert vectors.shape == (4, 9) and np.isfinite(vectors).all() and not vectors[:, 4:].any()


@pytest.mark.skipif(kernels.without_core() is not None, reason="threads are those of the core")
def test_the_number_of_threads_does_not_matter():
    core, found = native.core(), []
    try:
        for threads in (1, 2, 3):
            core.set_own_threads(threads)
            found.append(initial_vectors(text(), V, 16, WINDOW, seed=0))
    finally:
        core.set_own_threads(0)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_a_run_that_begins_with_neighbours_is_resumed_to_the_bit(run):
    words = {"tokens": "words", "steps": 4, "precision": "float32", "neighbours": 4, "members": 2}
    whole = run("whole", **words)
    run("parted", stop_after=1, **words)
    parted, other = run("parted", resume=True), run("other", **{**words, "neighbours": None})
    found = [model_file.read(each.model).parameters for each in (whole, parted, other)]
    assert all(np.array_equal(array, found[1][name]) for name, array in found[0].items())
    assert set(found[2]) == set(found[0])
    assert not np.array_equal(found[0]["members.1.embedding.weight"], found[2]["members.1.embedding.weight"])
