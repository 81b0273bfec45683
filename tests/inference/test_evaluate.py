"""Loss in units that compare, against a loop that reads one token at a time."""

from __future__ import annotations

import bz2
import lzma
import math
from collections.abc import Callable

import numpy as np
import pytest

from pantoum import kernels
from pantoum.errors import SettingError, TextError
from pantoum.inference.evaluation import Evaluation, evaluate, held_out_loss
from pantoum.inference.loaded_model import LoadedModel
from pantoum.model import Model
from pantoum.network.program import Program

Make = Callable[..., LoadedModel]
TEXT = "The cat sat on the mat. A naïve dog ran and ran.\n\nThe end of the day.\n" * 22


def plain_losses(model: LoadedModel, tokens: list[int], first: int = 0) -> list[float]:
    """Nats of each target from ``first`` on, read one token at a time from a zero state."""
    state, found = model.program.initial_state(1), []
    for here, target in zip(tokens[first:], tokens[first + 1 :], strict=False):
        if here == model.eos:
            state = model.program.initial_state(1)
        logits, state = model.program.last_logits(np.array([[here]]), state)
        wide = logits[0].astype(np.float64)
        found.append(float(np.log(np.exp(wide - wide.max()).sum()) + wide.max() - wide[target]))
    return found


@pytest.mark.parametrize("precision", kernels.precisions())
def test_the_figure_says_in_what_precision_it_was_read(make: Make, precision: str) -> None:
    model = make("characters", None)
    tokens = np.array(model.tokenizer.encode(TEXT))
    exact = evaluate(model.program, tokens, model.tokenizer)
    found = evaluate(Program(model.network, precision=precision), tokens, model.tokenizer)
    assert (exact.precision, found.precision) == ("float32", precision)
    assert found.nats_per_token == pytest.approx(exact.nats_per_token, abs=0.003)
    assert ("read in" in str(found)) == (precision != "float32")


@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
@pytest.mark.parametrize("documents", [None, "lines"])
def test_carried_is_one_pass_with_the_state_carried(make: Make, kind: str, documents: str | None) -> None:
    model = make(kind, documents)
    tokens = model.tokenizer.encode(TEXT)
    found = evaluate(model.program, tokens, model.tokenizer)
    losses = plain_losses(model, tokens.tolist())
    assert found.protocol == "carried"
    assert found.tokens == len(tokens) - 1 == len(losses)
    assert found.nats_per_token == pytest.approx(np.mean(losses), rel=1e-4)
    assert found.perplexity == pytest.approx(math.exp(found.nats_per_token))


def test_segments_are_carried_but_for_their_beginnings(characters: LoadedModel) -> None:
    tokens = characters.tokenizer.encode(TEXT).tolist()
    targets = len(tokens) - 1
    assert targets // 512 == 3
    expected: list[float] = []
    for span in range(3):
        start, end = span * targets // 3, (span + 1) * targets // 3
        warm = max(0, start - 256)
        expected += plain_losses(characters, tokens[: end + 1], first=warm)[start - warm :]
    found = evaluate(characters.program, np.array(tokens), characters.tokenizer, "segments:64")
    assert found.tokens == targets
    assert found.nats_per_token == pytest.approx(np.mean(expected), rel=1e-4)
    assert held_out_loss(characters.program, np.array(tokens), characters.tokenizer) == found.nats_per_token


@pytest.mark.parametrize("size", [1, 100, 1_000_000])
def test_windows_each_begin_from_zero(characters: LoadedModel, size: int) -> None:
    tokens = characters.tokenizer.encode(TEXT[:250]).tolist()
    expected = [
        loss
        for start in range(0, len(tokens) - 1, size)
        for loss in plain_losses(characters, tokens[: start + size + 1], first=start)
    ]
    found = evaluate(characters.program, np.array(tokens), characters.tokenizer, f"windows:{size}")
    assert found.tokens == len(tokens) - 1
    assert found.nats_per_token == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
def test_units_are_those_of_the_targets(make: Make, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.inference.evaluation.DECODED", 7)  # many chunks, within characters too
    model = make(kind)
    tokens = model.tokenizer.encode(TEXT)
    whole = model.tokenizer.decode_bytes(tokens)
    targets = whole[len(model.tokenizer.decode_bytes(tokens[:1])) :]
    found = evaluate(model.program, tokens, model.tokenizer)
    assert (found.bytes, found.characters) == (len(targets), len(targets.decode()))
    nats = found.nats_per_token * found.tokens
    assert found.nats_per_character == pytest.approx(nats / found.characters)
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / found.bytes)


def test_xz_and_bz2_are_those_of_their_commands(characters: LoadedModel) -> None:
    tokens = characters.tokenizer.encode(TEXT)
    data = TEXT[1:].encode()
    found = evaluate(characters.program, tokens, characters.tokenizer)
    assert found.xz_bits_per_byte == 8 * len(lzma.compress(data, preset=9)) / len(data)
    assert found.bz2_bits_per_byte == 8 * len(bz2.compress(data, 9)) / len(data)
    assert found.compressed_bytes == len(data)


def test_only_the_first_bytes_are_compressed(
    characters: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pantoum.inference.evaluation.COMPRESSED_BYTES", 100)
    found = evaluate(characters.program, characters.tokenizer.encode(TEXT), characters.tokenizer)
    assert found.compressed_bytes == 100
    assert found.bz2_bits_per_byte == 8 * len(bz2.compress(TEXT[1:].encode()[:100], 9)) / 100


def test_compression_can_be_left_out(characters: LoadedModel) -> None:
    found = evaluate(
        characters.program, characters.tokenizer.encode(TEXT), characters.tokenizer, compress=False
    )
    assert (found.xz_bits_per_byte, found.bz2_bits_per_byte, found.compressed_bytes) == (None, None, 0)


def test_accuracy_is_the_share_of_best_guesses(characters: LoadedModel) -> None:
    tokens = characters.tokenizer.encode("The cat sat")
    logits, _ = characters.program.logits(
        tokens[None, :-1].astype(np.int64), characters.program.initial_state(1)
    )
    expected = float((logits[0].argmax(axis=1) == tokens[1:]).mean())
    assert evaluate(characters.program, tokens, characters.tokenizer).accuracy == pytest.approx(expected)


def test_unknown_tokens_are_counted_and_said(characters: LoadedModel) -> None:
    tokens = characters.tokenizer.encode("Цat sat on Цhe mat")
    found = evaluate(characters.program, tokens, characters.tokenizer)
    assert found.unknown_tokens == 1  # the first is no target
    assert found.note is not None and "cannot be compared" in found.note
    assert "cannot be compared" in str(found)


def test_targets_without_text_have_no_figure_a_byte(make: Make) -> None:
    model = make("characters", "files")
    found = evaluate(model.program, np.array([0, 0, 0]), model.tokenizer)
    assert (found.characters, found.bytes) == (0, 0)
    assert (found.nats_per_character, found.bits_per_byte, found.xz_bits_per_byte) == (None, None, None)
    assert "nats per token" in str(found)


def test_a_text_of_one_token_is_refused(characters: LoadedModel) -> None:
    with pytest.raises(TextError, match="must have at least 2"):
        evaluate(characters.program, np.array([3]), characters.tokenizer)
    with pytest.raises(SettingError, match="protocol"):
        evaluate(characters.program, np.array([3, 4]), characters.tokenizer, "all")


def test_progress_counts_up_to_all_targets(characters: LoadedModel) -> None:
    seen: list[tuple[int, int]] = []
    tokens = np.tile(characters.tokenizer.encode(TEXT), 4)
    evaluate(
        characters.program, tokens, characters.tokenizer, compress=False, progress=lambda *at: seen.append(at)
    )
    assert len(seen) > 1 and seen == sorted(seen)
    assert seen[-1] == (len(tokens) - 1,) * 2


def test_an_evaluation_survives_json_and_newer_keys(characters: LoadedModel) -> None:
    found = evaluate(characters.program, characters.tokenizer.encode(TEXT), characters.tokenizer)
    assert Evaluation.from_dict({**found.to_dict(), "of the future": 1}) == found


@pytest.mark.parametrize(("kind", "unit"), [("words", "word"), ("characters", "character")])
def test_figures_of_words_are_per_word(make: Make, kind: str, unit: str) -> None:
    model = make(kind)
    found = evaluate(model.program, model.tokenizer.encode(TEXT), model.tokenizer)
    assert found.unit == unit and Evaluation.from_dict(found.to_dict()) == found
    assert (
        ("nats per word" in str(found))
        == (f"{found.perplexity:.4g} per word" in str(found))
        == (unit == "word")
    )
    assert ("perplexity per word" in repr(found)) == (unit == "word")


def test_unknown_words_are_those_counted_while_the_text_was_encoded(make: Make) -> None:
    model = make("words:whitespace")
    tokens = model.tokenizer.encode("The <unk> zut sat <unk>")
    told = [{"unknown": unknown, "characters": 23, "bytes": 23} for unknown in (1, 0, 9)]
    found = [
        evaluate(model.program, tokens, model.tokenizer, encoded=encoded).unknown_tokens
        for encoded in (None, *told)
    ]
    assert found == [3, 1, 0, 3]


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_the_bytes_are_those_of_the_text_also_where_it_is_unknown(make: Make, kind: str) -> None:
    text = "The zut§§§§§ sat €."
    found = Model(make(kind)).evaluate(text=text)
    assert found.unknown_tokens > 0
    first = {"words": 3, "characters": 1}[kind]
    assert (found.characters, found.bytes) == (len(text) - first, len(text.encode()) - first)
    assert found.bits_per_byte == pytest.approx(
        found.nats_per_token * found.tokens / np.log(2) / found.bytes, rel=1e-9
    )


@pytest.mark.parametrize("text", ["Цat", "Ц", "ЦЦ", "Ц" * 9 + "a"])
def test_characters_and_bytes_are_those_of_the_text_also_where_its_first_character_is_unknown(
    characters: LoadedModel, text: str
) -> None:
    for unknown in ("Ц", "é", "☃", "z"):
        told = text.replace("Ц", unknown) + "at"
        tokens = characters.tokenizer.encode(told)
        lacking = {"unknown": int((tokens == characters.tokenizer.unk).sum())}
        encoded = {**lacking, "characters": len(told), "bytes": len(told.encode())}
        found = evaluate(characters.program, tokens, characters.tokenizer, encoded=encoded)
        assert (found.characters, found.bytes) == (len(told) - 1, len(told[1:].encode()))
        assert found.bits_per_byte is not None and found.bits_per_byte > 0
