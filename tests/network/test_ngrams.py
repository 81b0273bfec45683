"""N-grams beside the network: what they add, what they remember, and what flows back into their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import DropoutConfig, ModelConfig
from pantoum.errors import SettingError
from pantoum.kernels import reference
from pantoum.network import LanguageModel
from pantoum.network.mixers.ngrams import MULTIPLIER, FoundRows, Ngrams
from pantoum.network.network_state import NetworkState
from pantoum.network.program import BatchResult, Program, Wanted
from pantoum.network.spec import TABLE

V, B, T, ORDERS, ROWS = 7, 3, 9, (2, 3, 5), 16
Array = np.ndarray[Any, Any]


def learned(model: LanguageModel, *batch: Any, **options: Any) -> BatchResult:
    return Program(model, purpose="train").gradients(*batch, **options)


def build(orders: tuple[int, ...] = ORDERS, **options: Any) -> LanguageModel:
    """A model whose table is not zero; with 16 rows for each order some n-grams share one."""
    sizes = {"hidden_size": 5, "num_layers": 2, "embedding_size": 4, "dtype": np.float64}
    shape = {**sizes, **options}
    dtype, dropout = shape.pop("dtype"), DropoutConfig.parse(shape.pop("dropout", 0.0))
    config = ModelConfig(**shape, dropout=dropout, ngrams=orders, ngram_rows=ROWS)
    model = LanguageModel(V, config=config, dtype=dtype)
    if orders:
        model.parameters[TABLE] = np.random.default_rng(8).standard_normal(model.parameters[TABLE].shape)
    return model


def texts(seed: int = 0, steps: int = T) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    return random.integers(0, V, (B, steps)), random.random((B, steps)) < 0.2


def begun(model: LanguageModel, seed: int = 1) -> Any:
    """A state after some tokens."""
    tokens, reset = texts(seed)
    return Program(model).logits(tokens, model.initial_state(B), reset_BT=reset)[1]


def slow_rows(texts_BT: Array, reset_BT: Array, known: int) -> dict[tuple[int, int], Any]:
    """By (row, step): the table's rows of the n-grams that end there, each spelled out and then hashed."""
    found = {}
    for b in range(B):
        begin = 0
        for t, token in enumerate(texts_BT[b]):
            begin = t if reset_BT[b, t] else begin
            rows = []
            for place, order in enumerate(ORDERS):
                spelled = [
                    int(texts_BT[b, back]) + 1 if back >= begin else 0 for back in range(t, t - order, -1)
                ]
                assert spelled[0] == token + 1
                key = sum(symbol * (V + 1) ** power for power, symbol in enumerate(spelled)) % 2**64
                rows.append(place * ROWS + (key * MULTIPLIER % 2**64) * ROWS // 2**64)
            if t >= known:
                found[b, t - known] = rows
    return found


def same(one: NetworkState, other: NetworkState) -> bool:
    return all(np.allclose(a, b, atol=1e-12) for a, b in zip(one.arrays, other.arrays, strict=True))


def test_logits_are_the_heads_and_the_rows_of_each_n_gram() -> None:
    model, plain = build(), build(())
    plain.parameters.update({name: a for name, a in model.parameters.items() if name != TABLE})
    before_BT, early_BT = texts(1)
    tokens_BT, reset_BT = texts(2)
    state, own = (
        Program(each).logits(before_BT, each.initial_state(B), reset_BT=early_BT)[1]
        for each in (model, plain)
    )
    logits, _ = Program(model).logits(tokens_BT, state, reset_BT=reset_BT)
    expected, _ = Program(plain).logits(tokens_BT, own, reset_BT=reset_BT)
    rows = slow_rows(np.hstack([before_BT, tokens_BT]), np.hstack([early_BT, reset_BT]), T)
    for place, which in rows.items():
        expected[place] += sum(model.parameters[TABLE][row] for row in which)
    np.testing.assert_allclose(logits, expected, atol=1e-12)


def test_the_state_is_the_last_tokens_and_begins_as_none() -> None:
    model = build()
    assert np.array_equal(model.initial_state(2).arrays[-1], np.zeros((2, 4)))
    tokens = np.array([[1, 2, 3, 4, 5, 6]])
    assert Program(model).logits(tokens, model.initial_state(1))[1].arrays[-1].tolist() == [[4, 5, 6, 7]]
    reset = np.array([[False, False, False, False, True, False]])
    assert Program(model).logits(tokens, model.initial_state(1), reset_BT=reset)[1].arrays[-1].tolist() == [
        [0, 0, 6, 7]
    ]


@pytest.mark.parametrize(
    "options",
    [{}, {"embedding_size": None}, {"tied": True}, {"cell": "lstm", "dropout": 0.3}],
    ids=str,
)
def test_gradients_are_the_central_differences(options: dict[str, Any]) -> None:
    model, random = build(**options), np.random.default_rng(0)
    inputs, targets = random.integers(0, V, (2, B, T))
    state, reset = begun(model), random.random((B, T)) < 0.2

    def gradients() -> Any:
        return learned(model, inputs, targets, state, Wanted(dropout_key=(3, 4)), reset_BT=reset)

    result = gradients()
    own = result.gradients[TABLE]
    assert own.rows_U is not None and len(own.rows_U) < len(ORDERS) * B * T  # some share a row
    dense = {
        name: gradient.whole(model.parameters[name].shape) for name, gradient in result.gradients.items()
    }
    assert list(dense) == list(model.parameters)
    for name, parameter in model.parameters.items():
        for _ in range(12 if name == TABLE else 2):
            place = tuple(random.integers(0, size) for size in parameter.shape)
            kept = parameter[place]
            parameter[place] = kept + 1e-6
            above = gradients().loss
            parameter[place] = kept - 1e-6
            below = gradients().loss
            parameter[place] = kept
            assert dense[name][place] == pytest.approx((above - below) / 2e-6, abs=1e-8), name


def test_the_tables_gradient_is_that_of_the_logits_added_up_by_row() -> None:
    model = build()
    ngrams = Ngrams(V, ORDERS, ROWS, TABLE, model.parameters, reference)
    tokens, reset = texts(3, 40)
    rows_NO, _ = ngrams.rows_of(tokens.T, np.zeros((B, 4)), reset.T)
    d_NV = np.random.default_rng(4).standard_normal((len(rows_NO), V))
    expected = np.zeros_like(model.parameters[TABLE])
    for place in range(len(ORDERS)):
        assert set(rows_NO[:, place] // ROWS) == {place}  # each order has rows of its own
        np.add.at(expected, rows_NO[:, place], d_NV)
    found = FoundRows(ngrams, rows_NO, (np.zeros((B, 4)),)).gradients(d_NV)[TABLE]
    assert np.array_equal(found.rows_U, np.flatnonzero(expected.any(axis=1)))
    np.testing.assert_allclose(found.values, expected[found.rows_U], atol=1e-12)


def test_ways_of_reading_agree() -> None:
    model = build()
    tokens, reset = texts(5)
    targets = texts(6)[0]
    logits, after = Program(model).logits(tokens, begun(model), reset_BT=reset)
    nats, predictions, own = Program(model).losses(tokens, targets, begun(model), reset_BT=reset)
    log_sums = np.log(np.exp(logits).sum(axis=-1))
    np.testing.assert_allclose(nats, log_sums - np.take_along_axis(logits, targets[..., None], 2)[..., 0])
    assert np.array_equal(predictions, logits.argmax(axis=-1)) and same(own, after)
    trained = learned(model, tokens, targets, begun(model), reset_BT=reset)
    np.testing.assert_allclose(trained.nats_BT, nats)
    assert same(trained.state, after) and same(
        Program(model).hidden(tokens, begun(model), reset_BT=reset)[1], after
    )
    lengths = np.array([1, 4, T])
    every, after = Program(model).logits(tokens, begun(model), lengths=lengths)
    for row, length in enumerate(lengths):
        begin = begun(model).select([row])
        last, own = Program(model).last_logits(tokens[[row], :length], begin)
        np.testing.assert_allclose(last[0], every[row, length - 1], atol=1e-12)
        assert same(own, after.select([row]))


def test_losses_with_the_n_grams_of_some_rows_at_a_time_are_those_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, (tokens, reset), targets = build(), texts(5), texts(6)[0]
    state = begun(model)
    nats, predictions, after = Program(model).losses(tokens, targets, state, reset_BT=reset)
    honest, rows = FoundRows.added, []

    def counted(self: FoundRows, of: Any = None) -> Any:
        logits_CV = honest(self, of)
        rows.append(len(logits_CV))
        return logits_CV

    monkeypatch.setattr(FoundRows, "added", counted)
    monkeypatch.setattr("pantoum.network.outputs.ADDED_LOGITS", 1)
    monkeypatch.setattr("pantoum.network.outputs.FEWEST_ROWS", 4)
    found = Program(model).losses(tokens, targets, state, reset_BT=reset)
    np.testing.assert_allclose(found[0], nats, atol=1e-12)
    assert np.array_equal(found[1], predictions) and same(found[2], after)
    assert max(rows) == 4 and sum(rows) == tokens.size


def test_a_table_begins_at_nothing_and_none_is_no_table() -> None:
    with_table, without = (
        LanguageModel(V, config=ModelConfig("gru", 5, ngrams=orders, ngram_rows=16)) for orders in ((2,), ())
    )
    assert not with_table.parameters[TABLE].any()
    assert with_table.num_parameters == without.num_parameters + 16 * V
    assert TABLE not in without.parameters
    for name, array in without.parameters.items():  # and leaves the others as they were
        assert np.array_equal(array, with_table.parameters[name])


def test_n_grams_spread_over_the_rows() -> None:
    ngrams = Ngrams(50, (2,), 4096, TABLE, {TABLE: np.zeros((4096, 50))}, reference)
    pairs = np.array([(a, b) for a in range(50) for b in range(50)]).T
    rows = ngrams.rows_of(pairs, np.zeros((2500, 1)))[0].reshape(2, 2500)[1]
    # 2,500 thrown into 4,096 at random fill 1,870 of them.
    assert len(np.unique(rows)) > 1700 and rows.max() < 4096


def test_a_model_with_n_grams_is_rebuilt_from_its_configuration() -> None:
    config = ModelConfig("gru", 5, 1, 4, ngrams=(2, 4), ngram_rows=32)
    assert ModelConfig.from_spec(config.spec()) == config
    assert config.spec()["ngrams"] == [2, 4] and "ngrams" not in ModelConfig().spec()
    assert LanguageModel(V, config=config).config == config


def test_a_table_larger_than_a_gibibyte_is_refused_before_it_is_made() -> None:
    with pytest.raises(
        SettingError,
        match=r"3 x 16,384 rows of 20,000 symbols are 983,040,000; give fewer "
        r"--ngram-rows, or --ngrams none",
    ):
        LanguageModel(20_000, config=ModelConfig("gru", 4, 1, 2, ngrams=(2, 3, 4)))
