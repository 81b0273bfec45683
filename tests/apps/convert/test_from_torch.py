"""State_dicts of PyTorch: the imported model has the logits of the module."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.apps.convert import from_torch
from pantoum.apps.convert.import_model import convert_file, read_source
from pantoum.errors import FormatError, ModelFileError
from pantoum.formats import durable, model_file
from pantoum.inference.loaded_model import load

Alphabet = Callable[[Path, int], Path]
Imported = Callable[..., Any]


def state_dict(seed: int = 0, **shapes: tuple[int, ...]) -> dict[str, Any]:
    """Random arrays; ``__`` in a name is a dot."""
    random = np.random.default_rng(seed)
    return {
        name.replace("__", "."): random.standard_normal(shape).astype(np.float32) / 2
        for name, shape in shapes.items()
    }


LSTM: dict[str, tuple[int, ...]] = {
    "encoder__weight": (9, 3),
    "rnn__weight_ih_l0": (20, 3),
    "rnn__weight_hh_l0": (20, 5),
    "rnn__bias_ih_l0": (20,),
    "rnn__bias_hh_l0": (20,),
    "decoder__weight": (9, 5),
    "decoder__bias": (9,),
}
NUMBERS = np.random.default_rng(1).integers(0, 9, (1, 12))


def test_what_is_imported_is_what_the_file_means(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, losses: Imported
) -> None:
    safetensors.numpy.save_file(state_dict(**LSTM), tmp_path / "m", {"format": "pt"})
    logits = imported(tmp_path / "m", tmp_path, NUMBERS, alphabet(tmp_path, 9))
    nats = read_source(tmp_path / "m").nats(NUMBERS[0])
    np.testing.assert_allclose(losses(logits[0, :-1], NUMBERS[0, 1:]), nats, atol=1e-5)


def test_awd_lstm_has_layers_of_different_sizes_and_a_tied_head(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, losses: Imported
) -> None:
    arrays = state_dict(encoder__weight=(9, 3), decoder__bias=(9,))
    for layer, (inputs, units) in enumerate([(3, 7), (7, 6), (6, 3)]):
        parts = {"weight_ih_l0": (4 * units, inputs), "bias_ih_l0": (4 * units,), "bias_hh_l0": (4 * units,)}
        arrays |= {f"rnns.{layer}.module.{n}": a for n, a in state_dict(layer, **parts).items()}
        arrays[f"rnns.{layer}.weight_hh_l0_raw"] = state_dict(9, w=(4 * units, units))["w"]
        arrays[f"rnns.{layer}.module.weight_hh_l0"] = np.zeros((4 * units, units), np.float32)  # dropped
    arrays["decoder.weight"] = arrays["encoder.weight"].copy()
    safetensors.numpy.save_file(arrays, tmp_path / "m")
    logits = imported(tmp_path / "m", tmp_path, NUMBERS, alphabet(tmp_path, 9))
    source = read_source(tmp_path / "m")
    np.testing.assert_allclose(losses(logits[0, :-1], NUMBERS[0, 1:]), source.nats(NUMBERS[0]), atol=1e-5)
    shape = load(tmp_path / "imported.safetensors").config
    assert shape.tied and (shape.hidden_size, shape.embedding_size) == (7, 3)
    assert np.abs(source.layers[1].weight_hh).max() > 0


def test_halves_and_eleven_layers_are_read_in_order(
    tmp_path: Path, alphabet: Alphabet, imported: Imported
) -> None:
    parts = {f"rnn__weight_{part}_l{layer}": (4, 4) for layer in range(11) for part in ("ih", "hh")}
    arrays = state_dict(emb__weight=(9, 4), out__weight=(9, 4), **parts)
    arrays = {name: array.astype(np.float16) for name, array in arrays.items()}
    safetensors.numpy.save_file(arrays, tmp_path / "m")
    source = read_source(tmp_path / "m")
    expected = arrays["rnn.weight_ih_l10"]
    np.testing.assert_array_equal(source.layers[10].weight_ih, expected)
    np.testing.assert_array_equal(source.head_VH, arrays["out.weight"])
    imported(tmp_path / "m", tmp_path, NUMBERS, alphabet(tmp_path, 9))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"rnn__weight_ih_l0_reverse": (20, 3)}, "bidirectional"),
        ({"rnn__weight_hr_l0": (2, 5)}, "a projection"),
        ({"other__weight": (9, 5), "other__bias": (9,)}, "cannot be identified among"),
        ({"rnn__weight_hh_l0": (25, 5)}, "1, 3 or 4 times its columns"),
        ({"rnn__bias_hh_l0": (19,)}, "no lstm has"),
        ({"encoder__weight": (8, 3)}, "do not match: layers"),
    ],
)
def test_what_cannot_be_imported_is_refused_by_name(
    tmp_path: Path, alphabet: Alphabet, more: dict[str, tuple[int, ...]], words: str
) -> None:
    safetensors.numpy.save_file(state_dict(**{**LSTM, **more}), tmp_path / "m")
    with pytest.raises(ModelFileError, match=words):
        convert_file(tmp_path / "m", tmp_path / "n", alphabet(tmp_path, 9))
    assert not (tmp_path / "n").exists()


PLAIN = {"norm__weight": (5,), "norm__bias": (5,)}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (PLAIN, "norm.bias, norm.weight"),
        ({"conv__weight": (3, 3, 2), "conv__bias": (3,)}, "conv.bias, conv.weight"),
        ({"h0": (1, 1, 5)}, "h0"),
        ({"scale": ()}, "scale"),
        ({"rnn__weight_ih_l2": (20, 5), "rnn__weight_hh_l2": (20, 5)}, "rnn.bias_hh_l1 is missing"),
        ({"rnn__weight_ih_l1": (20, 5), "rnn__weight_hh_l1": (20, 5)}, "rnn.bias_hh_l1 is missing"),
        ({"rnn__weight_hh_l1": (20, 5)}, "rnn.bias_hh_l1 is missing"),
    ],
)
def test_every_array_that_is_left_over_or_missing_is_refused_by_name(
    tmp_path: Path, alphabet: Alphabet, more: dict[str, tuple[int, ...]], named: str
) -> None:
    arrays = {name: np.asarray(array) for name, array in state_dict(**{**LSTM, **more}).items()}
    safetensors.numpy.save_file(arrays, tmp_path / "m")
    with pytest.raises(ModelFileError, match=named):
        convert_file(tmp_path / "m", tmp_path / "n", alphabet(tmp_path, 9))
    assert not (tmp_path / "n").exists()


def test_arrays_that_are_no_floats_are_refused_too(tmp_path: Path, alphabet: Alphabet) -> None:
    arrays = {**state_dict(**LSTM), "bn.num_batches_tracked": np.array([7])}
    safetensors.numpy.save_file(arrays, tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"bn\.num_batches_tracked"):
        convert_file(tmp_path / "m", tmp_path / "n", alphabet(tmp_path, 9))


def test_compiled_names_and_shared_weights(tmp_path: Path, alphabet: Alphabet, imported: Imported) -> None:
    """As ``torch.compile`` names them, and as ``save_model`` leaves tied weights: it may be either name."""
    sizes = {**LSTM, "encoder__weight": (9, 5), "rnn__weight_ih_l0": (20, 5)}
    del sizes["decoder__weight"]
    arrays = state_dict(**sizes)
    whole = {**arrays, "decoder.weight": arrays["encoder.weight"].copy()}
    safetensors.numpy.save_file(whole, tmp_path / "whole")
    expected = imported(tmp_path / "whole", tmp_path, NUMBERS, alphabet(tmp_path, 9))
    for gone, there in (("decoder.weight", "encoder.weight"), ("encoder.weight", "decoder.weight")):
        left = {f"_orig_mod.{name}": array for name, array in whole.items() if name != gone}
        about = {"format": "pt", f"_orig_mod.{gone}": f"_orig_mod.{there}"}
        safetensors.numpy.save_file(left, tmp_path / "m", about)
        found = imported(tmp_path / "m", tmp_path, NUMBERS, alphabet(tmp_path, 9))
        np.testing.assert_array_equal(found, expected)
        assert load(tmp_path / "imported.safetensors").config.tied


def test_many_matrices_are_refused_at_once(tmp_path: Path, alphabet: Alphabet) -> None:
    arrays = state_dict(**LSTM, **{f"m{number}__weight": (1, 1) for number in range(2000)})
    safetensors.numpy.save_file(arrays, tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"m0\.weight.* more"):
        convert_file(tmp_path / "m", tmp_path / "n", alphabet(tmp_path, 9))


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"9": "a"}'.replace("9", "9" * 5000), "number its tokens"), ("[1, 2]", "a list of strings")],
)
def test_a_vocabulary_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    safetensors.numpy.save_file(state_dict(**LSTM), tmp_path / "m")
    (tmp_path / "v").write_text(text)
    with pytest.raises(FormatError, match=words):
        convert_file(tmp_path / "m", tmp_path / "n", tmp_path / "v")


def test_layers_that_would_become_far_larger_are_refused(tmp_path: Path, alphabet: Alphabet) -> None:
    sizes, parts = [3, 1000, *[1] * 30], dict[str, tuple[int, ...]]()
    for layer, (inputs, units) in enumerate(itertools.pairwise(sizes)):
        parts |= {f"r{layer}__weight_ih_l0": (units, inputs), f"r{layer}__weight_hh_l0": (units, units)}
    arrays = state_dict(**parts, emb__weight=(9, 3), out__weight=(9, 1), out__bias=(9,))
    safetensors.numpy.save_file(arrays, tmp_path / "m")
    with pytest.raises(ModelFileError, match="more than ten times as large"):
        convert_file(tmp_path / "m", tmp_path / "n", alphabet(tmp_path, 9))


def test_a_pickle_and_a_text_are_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:  # as torch.save has it
        made.writestr("m/data.pkl", b"\x80\x02}q\x00.")
    for data in (b"\x80\x02}q\x00.", archive.getvalue()):
        (tmp_path / "m.pt").write_bytes(data)
        with pytest.raises(ModelFileError, match=r"pantoum opens no pickles.* save its state_dict"):
            convert_file(tmp_path / "m.pt", tmp_path / "n")
    (tmp_path / "m").write_bytes(b"Once upon")
    with pytest.raises(ModelFileError, match="not a file that can be imported"):
        convert_file(tmp_path / "m", tmp_path / "n")


def test_the_card_says_where_it_comes_from_and_the_loss_is_measured(tmp_path: Path) -> None:
    safetensors.numpy.save_file(state_dict(**LSTM), tmp_path / "m")
    (tmp_path / "v").write_text("a\nb\nc\nd\n \n\\n\ne\nf\n<pad>\n")
    (tmp_path / "t").write_text("a bad cafe\nfeed bad\n" * 3)
    left = durable.temporary_beside(tmp_path / "n")  # by an import that was killed
    left.write_bytes(b"half")
    told = convert_file(tmp_path / "m", tmp_path / "n", tmp_path / "v", texts=[str(tmp_path / "t")])
    assert not left.exists()
    assert told["loss"]["tokens"] == 59 and told["vocab_size"] == 10
    assert told["notes"] == [from_torch.UNSAID]
    assert told["loss"]["before"] == pytest.approx(told["loss"]["after"], abs=1e-5)
    assert model_file.read(tmp_path / "n").card["imported"]["from"] == "PyTorch"


@st.composite
def drawn(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["RNN", "GRU", "LSTM"]))
    return {
        "kind": kind,
        "embedding": draw(st.none() | st.integers(1, 9)),
        "units": draw(st.integers(1, 17)),
        "layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "vocab": draw(st.integers(4, 30)),
        "seed": draw(st.integers(0, 99)),
    }


@pytest.mark.oracle
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn())
def test_drawn_modules_have_the_same_logits(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, model: dict[str, Any]
) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(model["seed"])
    V, E, H = model["vocab"], model["embedding"], model["units"]
    layers = getattr(torch.nn, model["kind"])(
        E or V, H, model["layers"], bias=model["bias"], batch_first=True
    )
    parts = {"rnn": layers, "out": torch.nn.Linear(H, V)}
    if E is not None:
        parts["emb"] = torch.nn.Embedding(V, E)
    module = torch.nn.ModuleDict(parts)
    arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    safetensors.numpy.save_file(arrays, tmp_path / "m")
    tokens = torch.randint(0, V, (2, 8))
    with torch.no_grad():
        x = torch.nn.functional.one_hot(tokens, V).float() if E is None else module["emb"](tokens)
        expected = module["out"](module["rnn"](x)[0]).numpy()
    found = imported(tmp_path / "m", tmp_path, tokens.numpy(), alphabet(tmp_path, V))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.oracle
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(4, 30), st.integers(1, 9), st.lists(st.integers(1, 14), max_size=3), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
def test_drawn_awd_lstms_have_the_same_logits(
    tmp_path: Path, alphabet: Alphabet, imported: Imported,
    V: int, E: int, between: list[int], tied: bool, seed: int,
) -> None:  # fmt: skip
    """Layers from the size of the embedding to others and back to it, each dropped weight beside its own."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    sizes = [E, *between, E]
    rnns = [torch.nn.LSTM(a, b, batch_first=True) for a, b in itertools.pairwise(sizes)]
    encoder, decoder = torch.nn.Embedding(V, E), torch.nn.Linear(E, V)
    if tied:
        decoder.weight = encoder.weight
    arrays = {
        "encoder.weight": encoder.weight,
        "decoder.bias": decoder.bias,
        "decoder.weight": decoder.weight,
    }
    for place, layer in enumerate(rnns):
        for name, tensor in layer.named_parameters():
            arrays[f"rnns.{place}.module.{name}"] = tensor
        arrays[f"rnns.{place}.weight_hh_l0_raw"] = layer.weight_hh_l0
        arrays[f"rnns.{place}.module.weight_hh_l0"] = layer.weight_hh_l0 * 0
    safetensors.numpy.save_file({n: a.detach().numpy().copy() for n, a in arrays.items()}, tmp_path / "m")
    tokens = torch.randint(0, V, (2, 8))
    with torch.no_grad():
        x = encoder(tokens)
        for layer in rnns:
            x, _ = layer(x)
        expected = decoder(x).numpy()
    found = imported(tmp_path / "m", tmp_path, tokens.numpy(), alphabet(tmp_path, V))
    np.testing.assert_allclose(found, expected, atol=1e-5)
