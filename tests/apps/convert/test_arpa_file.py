"""ARPA files: what other programs read there is what the counts of the model say."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pantoum.apps.convert import arpa_file
from pantoum.errors import SettingError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.inference.files.counts_file import arrays_of, with_weights
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.network.mixers.counts import CountMixture, Counts, counted

Make = Callable[..., LoadedModel]
TEXT = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\nThe end of the day: 12 o'clock.\n" * 3
TEXT += "".join(
    f"The {a} {b} a {c} on the mat.\n" for a in ("cat", "dog") for b in ("saw", "ran") for c in "xyz"
)


class Arpa:
    """A reader that is as strict as KenLM's."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("\\data\\\n") and text.endswith("\n\\end\\\n")
        head, *sections = text.removesuffix("\n\\end\\\n").split("\n\\")
        sizes = [int(line.partition("=")[2]) for line in head.splitlines()[1:] if line]
        assert len(sections) == len(sizes)
        self.logs: dict[tuple[str, ...], float] = {}
        self.weights: dict[tuple[str, ...], float] = {}
        for order, (section, size) in enumerate(zip(sections, sizes, strict=True), start=1):
            title, *lines = section.rstrip("\n").split("\n")
            assert title == f"{order}-grams:" and len(lines) == size
            for line in lines:
                log, words, *weight = line.split("\t")
                key = tuple(words.split(" "))
                assert len(key) == order and all(key) and key not in self.logs
                assert float(log) <= 0.0 and math.isfinite(float(log))
                assert order == 1 or key[:-1] in self.logs, "a context is listed before what follows it"
                assert order == 1 or key[1:] in self.logs, "so is the shorter n-gram"
                assert not (weight and order == len(sizes))
                self.logs[key] = float(log)
                self.weights[key] = float(weight[0]) if weight else 0.0
        assert {("<s>",), ("</s>",), ("<unk>",)} <= set(self.logs)

    def log10(self, context: tuple[str, ...], word: str) -> float:
        """What a program that reads the file computes."""
        if (*context, word) in self.logs:
            return self.logs[(*context, word)]
        return self.weights.get(context, 0.0) + self.log10(context[1:], word)


def saved(model: LoadedModel, path: Path) -> LoadedModel:
    """A model file with counts, loaded."""
    ids_T = model.tokenizer.encode(TEXT)
    orders = counted(ids_T, model.vocab_size, 4, model.eos)
    counts = Counts(model.vocab_size, orders)
    extras = with_weights(
        arrays_of(model.vocab_size, orders), CountMixture(counts, np.full(counts.buckets, 0.5, np.float32))
    )
    network = model.network
    content = ModelFile(network.config.spec(), dict(network.parameters), model.tokenizer.spec(), {}, extras)
    model_file.write(path, content)
    return load(path)


@pytest.mark.parametrize("kind", ["characters", "words", "words:whitespace", "bytes", "bpe"])
@pytest.mark.parametrize("documents", [None, "lines"])
def test_the_file_gives_every_token_the_probability_of_the_counts(
    make: Make, kind: str, documents: str | None, tmp_path: Path
) -> None:
    model = saved(make(kind, documents=documents), tmp_path / "model.safetensors")
    counts = model.program.counts
    assert counts is not None
    found = export(tmp_path / "model.safetensors", "arpa", tmp_path / "model.arpa")
    read, words = Arpa(tmp_path / "model.arpa"), arpa_file.spelled(model.tokenizer)
    assert len(found["ngrams"]) == counts.counts.kept + 1
    ids_T = model.tokenizer.encode("A cat saw the naïve mat.\nThe dog ran, Zoë!\n").astype(np.int64)
    ends = documents is not None or kind == "words:whitespace"
    history: list[str] = ["<s>"] if ends else []
    first = [0] if ends else []
    for end in range(len(ids_T)):
        if ends and 0 in ids_T[:end].tolist():
            break  # a document, or a line, has ended: another program begins anew there
        context_TB = np.array([*first, *ids_T[:end]], np.int64)[:, None]
        if len(context_TB):
            contexts = counts.counts.find(context_TB, counts.counts.initial_state(1))
            last = type(contexts)(contexts.nodes_KN[:, -1:], contexts.buckets_N[-1:], contexts.recent_BK)
            own = float(counts.counts.probabilities(last, ids_T[end : end + 1])[0])
            context = tuple(history[-counts.counts.kept :])
            assert abs(read.log10(context, words[ids_T[end]]) - math.log10(own)) < 1e-5
        history.append(words[ids_T[end]])
    known = {word for key in read.logs for word in key[:1]}
    total = sum(10 ** read.log10(tuple(history[-2:]), word) for word in known - {"<s>"})
    assert abs(total - 1.0) < 1e-4, "the probabilities of what may follow sum to one"


def test_tokens_are_words_of_their_own(make: Make) -> None:
    for kind in ("characters", "words", "bytes", "bpe"):
        words = arpa_file.spelled(make(kind).tokenizer)
        assert len(set(words)) == len(words)
        assert all(word and not any(sign.isspace() for sign in word) for word in words)
    spelled = arpa_file.spelled(make("characters").tokenizer)
    assert "▁" in spelled and "<0x0A>" in spelled and spelled[:2] == ["</s>", "<unk>"]


def test_a_model_without_counts_is_refused(make: Make, tmp_path: Path) -> None:
    model = make("words")
    spec = model.network.config.spec()
    content = ModelFile(spec, dict(model.network.parameters), model.tokenizer.spec(), {})
    model_file.write(tmp_path / "plain.safetensors", content)
    with pytest.raises(SettingError, match="--kneser-ney"):
        export(tmp_path / "plain.safetensors", "arpa", tmp_path / "a.arpa")
