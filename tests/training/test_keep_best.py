"""Which weights are kept, and how the run's end scores them."""

import math
from itertools import pairwise

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.data.prepare import open_prepared
from pantoum.errors import ModelFileError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.alert import held_out_peaks
from pantoum.inference.cache_settings import tuned
from pantoum.inference.evaluation import evaluate, held_out_loss
from pantoum.inference.files.precision import coded, halved, parts_of, row_codes
from pantoum.inference.loaded_model import load
from pantoum.inference.scoring.protocols import SEGMENTS, typical_spans
from pantoum.kernels import RowCodes
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.network.spec import TABLE
from pantoum.text.byte import ByteTokenizer
from pantoum.text.word import WordTokenizer
from pantoum.training import keep_best
from pantoum.training.keep_best import FittedCounts, KeepBest
from pantoum.training.run.run_state import Best

PARTS = _, _, CODES = parts_of(TABLE)


def keeping(precision, held_out=3001, monitored=1001):
    return KeepBest(
        ModelConfig("gru", 8, 1, 8),
        ByteTokenizer(),
        np.zeros(held_out, np.int32),
        monitored,
        None,
        precision=precision,
    )


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_where_there_is_time_the_end_scores_in_float32(precision):
    assert keeping(precision).at_the_end()[0] == "float32"
    assert keeping(precision).at_the_end(1e9)[0] == "float32"


def test_where_float32_takes_too_much_of_the_minutes_the_end_scores_in_the_runs_precision():
    assert keeping("bf16").at_the_end(5000)[0] == "bf16"
    assert keeping("float32").at_the_end(0)[0] == "float32"


def test_what_the_end_reads_has_no_jump_where_the_precision_changes():
    keep, affordable = keeping("bf16"), range(1000, 20000, 100)
    found = [keep.at_the_end(tokens) for tokens in affordable]
    reads = [read for _, read in found]
    assert {precision for precision, _ in found} == {"bf16", "float32"}
    assert all(0 <= later - before <= 100 for before, later in pairwise(reads))
    assert reads[-1] == keep.at_the_end(math.inf)[1] > reads[0] > keep.tokens_scored


def test_without_a_held_out_text_the_end_reads_nothing():
    keep = KeepBest(ModelConfig("gru", 8, 1, 8), ByteTokenizer(), None, 0, None)
    assert keep.at_the_end() == ("float32", 0) and keep.evaluate() is None


def test_a_finished_run_holds_its_weights_in_few_bits_and_its_figures_are_those_of_the_file(run, tmp_path):
    made = run(steps=12, ngrams="2,3", ngram_rows=256, keep_data=True)
    content, model = model_file.read(made.model), load(made.model)
    assert CODES in content.parameters and TABLE not in content.parameters
    assert isinstance(model.program.mixer("ngrams").weight_RV, RowCodes)
    matrices = {name: array for name, array in content.parameters.items() if array.ndim == 2}
    assert (
        matrices
        and len({array.dtype for array in matrices.values()} - {np.dtype("int8"), np.dtype("float16")}) == 0
    )
    coding = content.card["coding"]
    assert 0 < coding["tokens"] < 20_000 and abs(coding["nats_per_token"]) < 1e-3
    tokens = open_prepared(made.run / "data").valid.tokens
    found = evaluate(model.program, tokens, model.tokenizer, SEGMENTS)
    assert math.isclose(found.nats_per_token, made.validation["nats_per_token"], rel_tol=1e-6)
    assert run("longer", from_=str(made.model), steps=2).steps == 2


def test_a_finished_run_that_is_prolonged_and_finds_nothing_better_writes_the_same_table(run):
    made = run(steps=40, ngrams="2,3", ngram_rows=256, learning_rate=0.02)
    before = model_file.read(made.model)
    after = model_file.read(run(resume=True, steps=41, learning_rate=0.02).model)
    if after.card["step"] == before.card["step"]:
        assert all(np.array_equal(before.parameters[name], after.parameters[name]) for name in PARTS)
    else:
        assert CODES in after.parameters


def test_weights_from_a_finished_file_are_coded_to_the_same_bytes(run):
    made = run(steps=12, ngrams="2,3", ngram_rows=256, keep_data=True)
    content = model_file.read(made.model)
    config = ModelConfig.from_spec({key: content.config[key] for key in content.config})
    tokens = open_prepared(made.run / "data").valid.tokens
    keep = KeepBest(config, load(made.model).tokenizer, tokens, len(tokens), None)
    assert keep.recall(made.model) is None
    keep.compact()
    again = keep.model_file(content.card)
    assert again.card["coding"] == content.card["coding"]
    assert {name: array.tobytes() for name, array in again.parameters.items()} == {
        name: array.tobytes() for name, array in content.parameters.items()
    }


def test_while_a_run_goes_on_its_file_is_float32(run, tmp_path):
    stopped = run(steps=12, stop_after=6, ngrams="2,3", ngram_rows=256)
    assert TABLE in model_file.read(stopped.model).parameters
    assert CODES in model_file.read(run(resume=True).model).parameters


class Weights:
    """A backend that has weights and does nothing else."""

    def __init__(self, last, averaged=None):
        self.last, self.averaged = last, averaged

    def weights(self, averaged):
        return self.averaged if averaged else self.last

    def gradient_scale(self):
        return {name: np.full(len(array), 0.5, np.float32) for name, array in self.last.items()}


CONFIG = ModelConfig("gru", 8, 1, 8)
CARD = {"step": 7, "averaged": True, "monitor": {"nats_per_token": 5.0, "tokens": 600}}


def drawn(seed, size=1.0):
    """The weights of a model at random, ``size`` times as large as usual."""
    network = LanguageModel(257, config=CONFIG, seed=seed)
    return {name: np.float32(size) * array for name, array in network.parameters.items()}


def keeper(best=None, held_out=1500, monitored=601, **more):
    """Keeps the better of what it is shown, by a text of two letters."""
    valid = None if held_out is None else (70 + np.arange(held_out) // 3 % 2).astype(np.int32)
    return KeepBest(CONFIG, ByteTokenizer(), valid, monitored, best, **more)


def loss_of(weights, tokens, part=None):
    program = Program(LanguageModel(257, config=CONFIG, seed=None), weights)
    return held_out_loss(program, tokens, ByteTokenizer(), part=part)


def same(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(array, other[name]) for name, array in one.items()
    )


def test_what_the_end_reads_is_counted():
    # 601 tokens are one span, 1,001 too; 3,001 are 5 spans, 4 of which are warmed with 256 tokens each.
    assert keeping("float32").tokens_scored == 2 * 1001 and keeper().tokens_scored == 2 * 601
    read = 3001 + 4 * 256
    assert keeping("float32").at_the_end() == ("float32", 5 * 1001 + read)
    assert keeping("bf16").at_the_end() == ("float32", 5 * 1001 + 2 * read)
    assert keeping("bf16").at_the_end(2 * read) == ("float32", 5 * 1001 + 2 * read)
    assert keeping("bf16").at_the_end(2 * read - 1) == ("bf16", 5 * 1001 + 2 * read - 1)
    assert keeping("bf16").at_the_end(0) == ("bf16", 5 * 1001 + read)
    large = keeping("float32", held_out=200_001, monitored=100_001)
    monitored, coded = 100_001 + 63 * 256, 20_000 + 38 * 256
    assert large.tokens_scored == 2 * monitored
    assert large.at_the_end()[1] == 2 * monitored + 3 * coded + 200_001 + 63 * 256


@pytest.mark.parametrize(("mixed", "times"), [(0.3, 3.0), (0.05, 1.0), (0.9, 5.0)])
def test_what_mixing_costs_is_measured_and_counts_for_the_whole_text(monkeypatch, mixed, times):
    tokenizer, tokens = WordTokenizer("words", [f"w{number}" for number in range(600)]), 20_001
    text = np.random.default_rng(0).integers(2, 600, tokens).astype(np.int32)
    counts = FittedCounts(text, text, tokenizer.vocab_size, 3, None)
    keep = KeepBest(CONFIG, tokenizer, text, 1001, None, counts=counts)
    assert keep.tunes_a_cache and not keeping("float32").tunes_a_cache
    read, guessed = tokens + 256 * 38, keep.at_the_end()[1]
    network = LanguageModel(tokenizer.vocab_size, config=CONFIG)
    keep._better, keep._better_mixture = network.parameters, counts.unfitted()
    seconds = iter([0.0, mixed, 5.0, 5.1])
    monkeypatch.setattr("pantoum.training.keep_best.time.perf_counter", lambda: next(seconds))
    keep.measure_mixing()
    keep.measure_mixing()  # once is enough
    # Instead of twice; a figure out of 1 to 5, measured on so few tokens, is not believed.
    assert keep.at_the_end()[1] - guessed == pytest.approx((times - 2.0) * read, abs=2)


def test_the_better_weights_are_kept_and_only_if_they_are_the_best_so_far():
    keep, poor, good = keeper(), drawn(1, 20.0), drawn(2)
    assert keep.kept_model() is None and keep.model_file({}) is None
    loss, improved = keep.monitor(3, Weights(poor, good))
    monitored = keep._valid, typical_spans(keep._valid, 600, keep._valid)
    assert improved and loss == loss_of(good, *monitored) < loss_of(poor, *monitored)
    assert keep.best == Best(3, True, loss) and same(keep.model_file({}).parameters, good)
    assert keep.monitor(4, Weights(good)) == (loss, False) and keep.best.step == 3
    assert keep.monitor(5, Weights(poor)) == (loss_of(poor, *monitored), False) and keep.best.step == 3
    better = drawn(2, 0.5)
    loss, improved = keep.monitor(6, Weights(better, poor))
    assert improved is (loss < loss_of(good, *monitored)) and keep.best.averaged is not improved


def test_what_is_kept_is_a_copy_with_the_sizes_of_gradients():
    keep, weights = keeper(beside={"filter": np.ones(3, np.uint8)}), drawn(2)
    keep.monitor(3, Weights(weights))
    before = {name: array.copy() for name, array in weights.items()}
    for array in weights.values():
        array += 1
    content = keep.model_file({"step": 3})
    assert same(content.parameters, before) and content.card == {"step": 3}
    assert set(content.extras) == {"filter", *(f"adapt.{name}" for name in weights)}
    assert content.extras["adapt.head.bias"].tolist() == [0.5] * 257
    assert content.config == CONFIG.spec() and content.tokenizer == ByteTokenizer().spec()


def test_weights_that_are_not_finite_are_never_kept():
    keep, bad = keeper(), drawn(1)
    bad["head.bias"][3] = np.nan
    assert keep.monitor(3, Weights(bad, bad)) == (None, False) and keep.best is None
    assert keep.kept_model() is None
    loss, improved = keep.monitor(4, Weights(drawn(2), bad))
    assert improved and math.isfinite(loss) and keep.best.averaged is False


def test_without_a_held_out_text_the_last_weights_are_kept_and_nothing_is_claimed():
    keep, weights = keeper(held_out=None), drawn(2)
    assert keep.judges_nothing and not keeper().judges_nothing and keep.tokens_scored == 0
    assert keep.monitor(3, Weights(weights, drawn(1))) == (None, False) and keep.best is None
    keep.keep_last(Weights(weights, drawn(1)))
    assert same(keep.model_file({}).parameters, weights) and keep.evaluate() is None
    keep.compact()
    content = keep.model_file({"step": 1})
    assert content.card == {"step": 1, "coding": {"tokens": 0, "nats_per_token": None}}
    assert content.parameters["head.weight"].dtype == np.float16


@pytest.mark.parametrize(("most", "form", "dtype"), [(1.0, coded, "int8"), (-1.0, halved, "float16")])
def test_the_file_is_in_the_fewest_bits_that_cost_little_and_its_card_says_what(
    monkeypatch, most, form, dtype
):
    monkeypatch.setattr(keep_best, "MOST_COST", most)
    keep, weights = keeper(), drawn(2, 3.0)
    assert keep.compact() is None and keep.coding is None
    keep.monitor(3, Weights(weights))
    keep.compact()
    _, after = form(weights)
    tokens = keep._valid[:601]
    assert keep.coding == {"tokens": 600, "nats_per_token": loss_of(after, tokens) - loss_of(weights, tokens)}
    assert keep.coding["nats_per_token"] != 0.0
    content = keep.model_file({})
    assert content.card == {"coding": keep.coding} and content.parameters["head.weight"].dtype == dtype
    found = keep.evaluate()
    assert found.nats_per_token == pytest.approx(loss_of(after, keep._valid), rel=1e-6)
    keep.coding = {"tokens": 600, "nats_per_token": 0.5}  # as a file said
    for again in (1.0, -1.0):
        monkeypatch.setattr(keep_best, "MOST_COST", again)
        keep.compact()
        assert keep.coding["nats_per_token"] == 0.5, "weights in few bits already cost nothing again"
        assert same(keep.model_file({}).parameters, content.parameters)
    keep.best = None
    keep.monitor(4, Weights(drawn(2, 0.1)))
    assert keep.coding is None and keep.model_file({}).parameters["head.weight"].dtype == np.float32


@pytest.mark.parametrize(
    ("costs", "greatest", "dtype"),
    [([0.0004], 31, "int8"), ([0.0006, 0.0004], 127, "int8"), ([0.0006, 0.0006, 0.0006], 127, "float16")],
)
def test_a_table_of_logits_gets_finer_codes_before_matrices_get_more_bits(
    monkeypatch, costs, greatest, dtype
):
    config = ModelConfig("gru", 8, 1, 8, ngrams=(2,), ngram_rows=64)
    valid = (70 + np.arange(1500) // 3 % 2).astype(np.int32)
    keep = KeepBest(config, ByteTokenizer(), valid, 601, None)
    weights = dict(LanguageModel(257, config=config, seed=2).parameters)
    weights[TABLE] = np.random.default_rng(0).standard_normal(weights[TABLE].shape).astype(np.float32)
    keep.monitor(3, Weights(weights))
    losses = iter([2.0, *(2.0 + cost for cost in costs)])
    monkeypatch.setattr(keep, "_loss_alone", lambda weights, tokens: next(losses))
    keep.compact()
    assert keep.coding["nats_per_token"] == pytest.approx(costs[-1])
    content = keep.model_file({})
    table = row_codes(content.parameters, TABLE, weights[TABLE].shape)
    assert greatest / 2 < np.abs(table.codes_UV).max() <= greatest
    assert content.parameters["head.weight"].dtype == dtype
    held = {name: array.copy() for name, array in content.parameters.items()}
    keep.compact()  # of weights that were coded before
    assert same(keep.model_file({}).parameters, held)


def test_the_end_scores_all_of_the_held_out_text_and_its_most_surprising_places():
    encoded = {"unknown": 5, "characters": 1500, "bytes": 1500}
    keep = keeper(encoded=encoded)
    keep.monitor(3, Weights(drawn(2)))
    found = keep.evaluate()
    nats_T = np.empty(1499, np.float32)
    program = Program(LanguageModel(257, config=CONFIG, seed=None), drawn(2))
    expected = evaluate(program, keep._valid, ByteTokenizer(), SEGMENTS, nats_T=nats_T, encoded=encoded)
    assert found == expected and found.tokens == 1499 and found.precision == "float32"
    assert keep.peaks == held_out_peaks(ByteTokenizer(), keep._valid[1:], nats_T)
    assert keep.model_file({}).card == {}


def written(path, **card):
    content = ModelFile(CONFIG.spec(), drawn(2), ByteTokenizer().spec(), {**CARD, **card}, {})
    model_file.write(path, content)
    return path


@pytest.mark.parametrize(
    ("card", "best", "taken"),
    [
        ({}, None, True),
        ({}, Best(3, False, 5.0), True),
        ({}, Best(3, False, 5.5), True),
        ({}, Best(3, False, 4.9), False),
        ({"monitor": None}, Best(3, False, 9.0), False),
        ({"monitor": {"nats_per_token": 5.0, "tokens": 601}}, Best(3, False, 9.0), False),
    ],
)
def test_the_best_of_earlier_sessions_is_taken_up_from_the_file(tmp_path, card, best, taken):
    keep = keeper(best)
    assert keep.recall(written(tmp_path / "m", coding={"tokens": 3}, **card)) is None
    assert keep.best == (Best(7, True, 5.0) if taken else best)
    assert (keep.kept_model() is not None) is taken and keep.coding == ({"tokens": 3} if taken else None)
    if taken:
        assert same(keep.model_file({}).parameters, drawn(2))


def test_nothing_is_compared_with_a_run_that_judges_nothing(tmp_path):
    keep = keeper(held_out=None)
    assert keep.recall(written(tmp_path / "m")) is None and keep.best is None and keep.kept_model() is None


@pytest.mark.parametrize("best", [None, Best(3, False, 5.0)])
def test_a_file_that_is_gone_or_says_too_little_is_told(tmp_path, best):
    keep = keeper(best)
    note = keep.recall(tmp_path / "none")
    assert note == (
        None
        if best is None
        else f"{tmp_path / 'none'} is missing: the search for the best model starts again"
    )
    assert keep.best is None
    for card, words in (({"step": "x"}, "invalid literal"), ({"monitor": {}}, "nats_per_token")):
        keep = keeper(best)
        note = keep.recall(written(tmp_path / "m", **card))
        assert (
            words in note
            and note.endswith(": the search for the best model starts again")
            and keep.best is None
        )


def test_whether_the_model_can_be_written_is_asked_before_training():
    keep = keeper(beside={"filter": np.ones(3, np.uint8)})
    keep.require_writable({"x": "y" * 800_000})
    with pytest.raises(ModelFileError, match="cannot be written: its header would have"):
        keep.require_writable({"x": "y" * 900_000})
    with pytest.raises(ModelFileError, match=r"'extras\.a b' is not plain"):
        keeper(beside={"a b": np.ones(3, np.uint8)}).require_writable({})


@pytest.mark.parametrize("documents", [None, "lines"])
def test_a_model_of_words_says_what_is_unknown_and_tunes_its_cache(documents):
    tokenizer = WordTokenizer("words", [f"w{number}" for number in range(600)], documents)
    valid = np.random.default_rng(1).choice([0, 1, 5, 70, 71], 900).astype(np.int32)
    network = LanguageModel(tokenizer.vocab_size, config=CONFIG, seed=2)
    encoded = {"unknown": 7, "characters": 3000, "bytes": 3100}
    keep = KeepBest(CONFIG, tokenizer, valid, 601, None, encoded=encoded)
    keep.monitor(3, Weights(dict(network.parameters)))
    assert keep.evaluate().note.startswith("7 of 899 targets are unknown to the tokenizer")
    expected = tuned(Program(network), valid, tokenizer.eos if documents else None)
    assert keep.model_file({"step": 3}).card == {"step": 3, "cache": expected}


def test_a_model_of_now_and_the_kept_one_are_mixed_with_the_counts_of_the_text():
    tokenizer = WordTokenizer("words", [f"w{number}" for number in range(600)])
    text = np.random.default_rng(1).choice([5, 70, 71, 99], 2000).astype(np.int32)
    counts = FittedCounts(text, text[:900], tokenizer.vocab_size, 3, None)
    keep = KeepBest(CONFIG, tokenizer, text[:900], 601, None, counts=counts)
    network = LanguageModel(tokenizer.vocab_size, config=CONFIG, seed=2)
    loss, improved = keep.monitor(3, Weights(dict(network.parameters)))
    part = typical_spans(text[:900], 600, text[:900])
    alone = held_out_loss(Program(network), text[:900], tokenizer, part=part)
    assert improved and loss < alone - 1.0
    for model in (keep.model(), keep.kept_model()):
        assert held_out_loss(model.program, text[:900], tokenizer, part=part) == pytest.approx(loss, rel=1e-4)
