"""A model that is trained under Node is, byte for byte, the file of the command that the page shows."""

from __future__ import annotations

import base64
import json
import random
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum import extensions, kernels
from pantoum.apps.web.html_page import HERE as WEB
from pantoum.cli.main import main
from pantoum.config import TrainSettings
from pantoum.formats import model_file
from pantoum.inference.loaded_model import load
from pantoum.training.source import BaseChoice

HERE = Path(__file__).parent
MULTIPLIER, WORD = (2549297995355413924 << 64) | 4865540595714422341, 1 << 128
"""The constants of the generator PCG64."""
WORDS = ["the", "a", "cat", "dog", "sat", "ran and", "mat, naïve", "– end.", "Once upon", "time\n", "\n"]
Train = Callable[..., list[dict[str, Any]]]


def drawn(words: int, seed: int) -> bytes:
    """A text."""
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(words)).encode()


@pytest.fixture
def train(wasm: Path, node: list[str]) -> Train:
    """``train((text, settings[, more]), ...)``: what Node made of each."""

    def given(settings: dict[str, Any]) -> dict[str, Any]:
        base = settings.get("from")
        return settings if base is None else settings | {"from": base64.b64encode(base.read_bytes()).decode()}

    def trained(*cases: tuple[Any, ...]) -> list[dict[str, Any]]:
        asked = [
            {"text": base64.b64encode(text).decode(), "settings": given(settings)} | (more[0] if more else {})
            for text, settings, *more in cases
        ]
        ran = subprocess.run(
            [*node, str(HERE / "trained.mjs"), str(wasm)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert ran.returncode == 0, ran.stderr
        found: list[dict[str, Any]] = json.loads(ran.stdout)
        return found

    return trained


@pytest.fixture
def compare(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Trains each case in Node and by its command, and compares the files."""
    if kernels.native.missing() is not None:
        pytest.skip("SKIP SKIP SKIP: NumPy adds in another order than the core")

    def compared(*cases: tuple[Any, ...]) -> None:
        for place, ((text, settings, *more), found) in enumerate(zip(cases, train(*cases), strict=True)):
            folder = tmp_path / str(place)
            folder.mkdir()
            monkeypatch.chdir(folder)
            Path(settings.get("name", "text.txt")).write_bytes(text)
            stopped = ["--stop-after", str(more[0]["stop_after"])] if more else []
            if base := settings.get("from"):
                shutil.copy(base, settings.get("fromName", "base.safetensors"))
            assert "error" not in found, found
            assert main([*shlex.split(found["command"])[1:], "--quiet", "--run", "r", *stopped]) == 0
            assert Path("r/model.safetensors").read_bytes() == base64.b64decode(found["file"]), settings

    return compared


def test_of_characters_over_an_epoch(compare: Callable[..., None]) -> None:
    compare((drawn(400, 1), {"steps": 36, "units": 24, "layers": 2, "seed": 3}))


def test_with_either_optimizer(compare: Callable[..., None]) -> None:
    cases = [(drawn(900, 2), {"steps": 5, "units": units, "layers": 2}) for units in (16, 48)]
    compare(*cases)


def test_with_dropout_of_a_short_text(compare: Callable[..., None]) -> None:
    compare((drawn(60, 3), {"steps": 199, "units": 16, "layers": 2, "seed": 2**40}))


def test_of_bytes_and_of_odd_names(compare: Callable[..., None]) -> None:
    compare(
        (drawn(500, 4), {"steps": 9, "units": 48, "kind": "bytes", "name": "a 'b' é 😀.txt"}),
        (b"\xef\xbb\xbf" + drawn(300, 5), {"steps": 5, "units": 16}),
        (b"ab", {"steps": 1, "units": 16}),
    )


def test_a_run_that_is_stopped(compare: Callable[..., None]) -> None:
    compare((drawn(400, 6), {"steps": 20, "units": 32}, {"stop_after": 7}))


def test_from_a_base_of_bytes(compare: Callable[..., None], write: Callable[..., Path]) -> None:
    sizes = {"hidden_size": 27, "num_layers": 3, "embedding_size": 5}
    base, small = write("bytes", form="coded", **sizes), write("bytes", form="halved", num_layers=1)
    compare(
        (drawn(400, 1), {"steps": 30, "seed": 3, "from": base}),  # read often: with dropout
        (b"\xef\xbb\xbf" + drawn(4000, 2), {"steps": 6, "from": small, "fromName": "a base.safetensors"}),
        (drawn(900, 3), {"steps": 20, "from": base}, {"stop_after": 7}),
    )


def test_from_a_base_of_characters_that_learns_more_of_them(
    compare: Callable[..., None], write: Callable[..., Path]
) -> None:
    base = write("characters", form="coded", hidden_size=13)
    more = "ǎ😀ß😀".encode()
    compare(
        (drawn(400, 4) + more, {"steps": 9, "from": base}),
        (drawn(5000, 5), {"steps": 4, "from": write("characters", form="int8")}),
    )


def test_the_pull_of_a_text_that_lies_between_two_figures(
    compare: Callable[..., None], write: Callable[..., Path]
) -> None:
    base = write("bytes", hidden_size=16, num_layers=1)
    compare((b"abcdefgh" * 32_000, {"steps": 1, "from": base}))  # 12.5


def test_a_base_is_judged_as_pantoum_train_judges_it(
    train: Train, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, base = drawn(3000, 6), write("bytes")
    monkeypatch.setattr(extensions, "names", lambda group: ["it"])
    monkeypatch.setattr("pantoum.training.source.load", lambda name: load(base))
    choice = BaseChoice(TrainSettings())
    assert choice.tokenizer(text.decode()) is None
    expected = float(choice.reasons[0].split()[2])
    unread, found, known = train(
        (b"\xe9" + text, {"from": base}, {"judge": True}),
        (text, {"from": base}, {"judge": True}),
        (b"a" * 20_000, {"from": sure(write("bytes"), ord("a"))}, {"judge": True}),
    )
    assert unread == {"base": None, "reason": ""}
    nats = float(found["reason"].split()[2])
    assert found["base"] is None and abs(nats / expected - 1) < 0.02 and "from nothing" in found["reason"]
    assert known["base"] and known["reason"].endswith("training begins from it.")


def sure(path: Path, byte: int) -> Path:
    """The same model, certain of a byte."""
    content = model_file.read(path)
    bias = content.parameters["head.bias"].copy()
    bias[byte + 1] += 50
    model_file.write(path, replace(content, parameters={**content.parameters, "head.bias": bias}))
    return path


@pytest.mark.slow
def test_at_the_sizes_of_the_page(compare: Callable[..., None]) -> None:
    compare(
        (drawn(40_000, 7), {"steps": 5, "units": 128, "layers": 2, "seed": 7}),
        (drawn(30_000, 8), {"steps": 5, "units": 128, "layers": 1, "kind": "bytes"}),
    )


def test_what_cannot_be_learned_from_is_refused(train: Train, write: Callable[..., Path]) -> None:
    base, characters = write("bytes"), write("characters")
    wrong = [
        (b"text", {"from": base, "units": 16}, "leave units, layers and kind out"),
        (b"text", {"from": base, "kind": "characters"}, "leave units, layers and kind out"),
        (b"\xff\xfe text", {"from": base}, "begin from nothing and choose bytes"),
        ("".join(map(chr, range(300, 900))).encode(), {"from": characters}, "; begin from nothing"),
        (b"text", {"from": write("words")}, "cannot begin from base.safetensors"),
        (b"text", {"from": write("bytes", cell="lstm")}, "cannot begin from base.safetensors"),
        (b"text", {"from": write("bytes", ngrams=(2,))}, "cannot begin from base.safetensors"),
        (b"text", {"from": write("bytes", members=2)}, "cannot begin from base.safetensors"),
        (b"text", {"from": write("bytes", "lines")}, "cannot begin from base.safetensors"),
        (b"", {}, "empty"),
        (b"a", {}, "too short"),
        (b"\xff\xfe text", {}, "not UTF-8"),
        (b"%PDF-1.7 ...", {}, "plain text"),
        (b"a\0b", {}, "plain text"),
        (b"<p>text</p>", {"name": "page.html"}, "HTML"),
        ("".join(map(chr, range(300, 900))).encode(), {"kind": "characters"}, "600 different characters"),
        (b"text", {"steps": 0}, "steps is 0"),
        (b"text", {"units": 2.5}, "units is 2.5"),
        (b"text", {"seed": 2.5}, "seed is 2.5"),
        (b"text", {"seed": -1}, "seed is -1"),
    ]
    for (_, _, words), found in zip(
        wrong, train(*((text, settings) for text, settings, _ in wrong)), strict=True
    ):
        assert found["kind"] == "PantoumError" and words in found["error"], found


def test_a_text_of_many_characters_is_read_as_bytes(train: Train, tmp_path: Path) -> None:
    text = "".join(map(chr, range(300, 900))).encode()
    (found,) = train((text, {"steps": 1, "units": 16}))
    assert "--tokens bytes" in found["command"] and "510 different" in found["notes"][0]
    file = tmp_path / "model.safetensors"
    file.write_bytes(base64.b64decode(found["file"]))
    assert pantoum.load(file).generate("a", length=5, seed=1)


def test_the_normal_numbers_are_those_of_numpy() -> None:
    text = (WEB / "training" / "ziggurat.js").read_text("utf-8")
    widths = np.frombuffer(base64.b64decode("".join(re.findall(r'"([\w+/=]+)"', text))), "<f8")
    bits, back = np.random.PCG64(0), pow(MULTIPLIER, -1, WORD)
    state = bits.state
    increment = state["state"]["inc"]
    for layer, width in enumerate(widths):
        drawn = layer | 1 << 40 + 9  # the layer, and how far from the middle, far within it
        bits.state = {**state, "state": {"state": (drawn - increment) * back % WORD, "inc": increment}}
        assert np.random.Generator(bits).standard_normal() == width * 2.0**40
