"""The judges of language (``benchmarks/judges``) on made-up items: same words and same protocol for all."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum

JUDGES = Path(__file__).parents[1] / "benchmarks" / "judges"
sys.path.insert(0, str(JUDGES))

import agreement  # noqa: E402
import blimp  # noqa: E402
import lambada  # noqa: E402
import syntaxgym  # noqa: E402
import word_models  # noqa: E402

TEXT = "".join(f"the cat sees {n} dogs .\nthe dogs see {n} cats .\nshe don 't <unk> .\n" for n in range(20))
WORDS = ["<eos>", "<unk>", *dict.fromkeys(TEXT.split())]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A text and what was trained on it."""
    folder = tmp_path_factory.mktemp("models")
    text, valid, run = (folder / name for name in ("train.txt", "valid.txt", "run"))
    text.write_text(TEXT)
    valid.write_text(TEXT[:300])
    size: dict[str, Any] = {"hidden_size": 8, "num_layers": 1, "progress": False}
    pantoum.train(text, run=str(run), steps=4, valid=valid, tokens="words:whitespace", **size)
    if find_spec("torch") is None:
        return ["--train", str(text), "--pantoum", str(run)]
    import torch
    from quality_peers import ByHand

    torch.manual_seed(0)
    torch.save(ByHand(len(dict.fromkeys(WORDS))).state_dict(), folder / "lstm.pt")
    return ["--train", str(text), "--pantoum", str(run), "--lstm", str(folder / "lstm.pt")]


def table(judge: Any, data: Path, asked: list[str], monkeypatch: Any, capsys: Any) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["judge", str(data), *asked, "--json"])
    judge.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["table"]
    return found


def test_every_contestant_has_one_distribution_of_the_next_word(asked: list[str]) -> None:
    known, models = word_models.contestants(word_models.parser_of("", "").parse_args(["data", *asked]))
    assert known == set(WORDS) - {"<eos>", "<unk>"}
    for model in models:
        for beginning in ([], ["the"], ["the", "dogs", "see"], ["zebra", "the"], ["she", "don", "'t"]):
            ways = [[*beginning, word] for word in (*known, "zebra")]
            base, *nats = model.nats([beginning, *ways, ["cat"]])[:-1]
            p = dict(zip((*known, "zebra"), np.exp(base - np.array(nats)), strict=True))
            # The rest is that of the end of the line.
            assert 0.3 < sum(p.values()) < 1 + 1e-5, model.name
            for word in (best := max(known, key=lambda one: p[one]), "the"):
                ((found, own),) = model.guesses([[*beginning, word]])
                assert p[found] == pytest.approx(p[best]), model.name
                assert np.exp(-own) == pytest.approx(p[word], rel=1e-4), model.name


def test_pairs_are_compared_as_evaluate_does(
    asked: list[str], tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    words, pairs = ["the cats see.", "the dogs see cats.", "she doesn't see it.", "Dogs!"], []
    for good in words:
        for bad in words:
            if good != bad:
                about = {"linguistics_term": good[:3]}
                pairs.append(json.dumps({"sentence_good": good, "sentence_bad": bad, **about}))
    (tmp_path / "a.jsonl").write_text("\n".join(pairs) + "\n")
    out = tmp_path / "in-words"
    found = table(blimp, tmp_path, [*asked, "--out", str(out)], monkeypatch, capsys)
    of_command = pantoum.load(asked[3]).pairs(str(out))
    assert found["all items"][0] == of_command.pairs == 12
    assert found["all items"][1][0] == pytest.approx(of_command.accuracy)
    assert found["of known words"][0] == 2, "only the first two sentences have no other words"


def test_a_formula_holds_or_not() -> None:
    surprisals = {("1", "a"): 1.0, ("2", "a"): 2.0, ("1", "b"): 4.0}
    assert syntaxgym.holds("[(1;%a%) < (2;%a%)] & [(1;%b%) > (2;%a%) ]", surprisals)
    assert not syntaxgym.holds("[ (1;%a%) + (2;%a%) ] > (1;%b%)", surprisals)
    assert syntaxgym.holds("[(1;%b%)-(2;%a%)]+[(1;%a%)-(1;%a%)]>0", surprisals)
    with pytest.raises(ValueError, match="a formula has"):
        syntaxgym.holds("open('x')", surprisals)


def test_suites_sentences_and_passages_are_read(
    asked: list[str], tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    regions = {"one": ["the", "cat", " sees 3 dogs"], "two": ["the", "dogs", "sees 3 zebras"]}
    conditions = [
        {"condition_name": name,
         "regions": [{"region_number": n, "content": text} for n, text in enumerate(texts, 1)]}
        for name, texts in regions.items()
    ]  # fmt: skip
    formulas = ["(3;%one%) < (3;%two%)", "(2;%one%) < (2;%two%)", "(1;%one%) = (1;%two%)"]
    suite = {"predictions": [{"formula": each} for each in formulas], "items": [{"conditions": conditions}]}
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    found = table(syntaxgym, tmp_path, asked, monkeypatch, capsys)
    assert found["suite"][0] == found["all items"][0] == 2 and found["of known words"][0] == 1

    header = ["pattern", "constr_id", "sent_id", "form", "class", "type", "prefix", "n_attr"]
    rows = [["p", "1", "0", "sees", "correct", "original", "the cat", "0"],
            ["p", "1", "0", "see", "wrong", "original", "the cat", "0"],
            ["p", "1", "1", "zebra", "wrong", "generated", "she", "1"],
            ["p", "1", "1", "see", "correct", "generated", "she", "1"]]  # fmt: skip
    (tmp_path / "generated.tab").write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n")
    found = table(agreement, tmp_path / "generated.tab", asked, monkeypatch, capsys)
    assert found["original"][0] == found["nonsense, 1 attractors"][0] == found["of known words"][0] == 1

    passages = ["The cat sees 3 dogs", "the dogs see 3 \u201czebras"]
    (tmp_path / "l.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in passages))
    found = table(lambada, tmp_path / "l.jsonl", asked, monkeypatch, capsys)
    assert found["perplexity"][0] == 1 and min(found["perplexity"][1]) > 1
    assert found["last word"] == found["all items"] and found["of known words"][0] == 1


def test_words_are_those_of_wikitext() -> None:
    text = "It's Mr. Lee\u2019s well-known guests' \u201ccan't\u201d\u2026"
    assert " ".join(word_models.wikitext_words(text)) == (
        "It 's Mr. Lee 's well @-@ known guests ' \" can 't \" ..."
    )
    assert word_models.differing_words(["a", "b", "c"], ["a", "c"]) == ["b"]
