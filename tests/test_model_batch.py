"""``model.batch()``: prompts side by side, each written as it is written alone."""

from __future__ import annotations

from pathlib import Path

import pantoum
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.network import LanguageModel
from pantoum.text.byte import ByteTokenizer


def test_prompts_side_by_side_are_written_as_alone(tmp_path: Path) -> None:
    tokenizer, path = ByteTokenizer(), tmp_path / "model.safetensors"
    network = LanguageModel(tokenizer.vocab_size, 8, hidden_size=16, num_layers=2)
    model_file.write(path, ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {}))
    model = pantoum.load(path)
    batch = model.batch()
    streams = {
        batch.start(prompt, length=20 + seed, seed=seed, temperature=1.0): (prompt, seed)
        for seed, prompt in enumerate(("Once", "Twice", ""))
    }
    texts = dict.fromkeys(streams, "")
    for stream, text in batch:
        texts[stream] += text
    for stream, (prompt, seed) in streams.items():
        assert texts[stream] == model.generate(prompt, length=20 + seed, seed=seed, temperature=1.0)
    later = batch.start("", state=next(iter(streams)).state, length=5)
    for _ in batch:
        pass
    assert later.ended and later.tokens == 5
