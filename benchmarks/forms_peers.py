"""What a form costs in transformers with outlines, beside what it costs here.

    PYTHONPATH=src python benchmarks/forms_peers.py [--seconds 5] [--tokens 120]

Needs ``transformers`` and ``outlines``. Each system writes the same forms with a model of random weights, 98
symbols, two layers of 128, in turns: a GRU here, a Llama there. Printed are microseconds of processor time
per token without a form and with one, and the rate that is left: one thread, one text and 64 side by side.
A form is made once, before the first turn that counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import measured
from forms import FORMS, TEXT, model_of, written

from pantoum.model import Model

SIZE, LAYERS = 128, 2
ASKED = {name: asked for name, asked in FORMS.items() if name in ("words", "schema")}
END = "<end>"
Write = Callable[[str | None, int, int, int], tuple[int, float]]
"""(form, texts, tokens of each, seed) -> (tokens, seconds of processor time)."""


def ours() -> Write:
    model: Model = model_of("characters", None, LAYERS, SIZE)

    def write(form: str | None, count: int, tokens: int, seed: int) -> tuple[int, float]:
        return written(model, count, seed, {} if form is None else ASKED[form], tokens)

    return write


def theirs(backend: str) -> Write:
    """transformers, with one of the libraries that outlines can use."""
    import outlines
    import torch
    from outlines.backends import get_json_schema_logits_processor, get_regex_logits_processor
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessorList, PreTrainedTokenizerFast

    torch.manual_seed(0)
    torch.set_num_threads(1)
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    signs = sorted({sign for piece, _ in cut.pre_tokenize_str(TEXT) for sign in piece})
    symbols = {sign: number for number, sign in enumerate([END, *signs])}
    made = Tokenizer(models.BPE(vocab=symbols, merges=[]))
    made.pre_tokenizer, made.decoder = cut, decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, pad_token=END)
    config = LlamaConfig(
        vocab_size=len(symbols),
        hidden_size=SIZE,
        intermediate_size=2 * SIZE,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        pad_token_id=0,
        eos_token_id=0,
        bos_token_id=None,
    )
    network = LlamaForCausalLM(config).eval()
    model = outlines.from_transformers(network, tokenizer)
    processors = {
        "words": get_regex_logits_processor(backend, model, ASKED["words"]["matching"]),
        "schema": get_json_schema_logits_processor(
            backend, model, json.dumps(ASKED["schema"]["json_schema"])
        ),
    }

    def write(form: str | None, count: int, tokens: int, seed: int) -> tuple[int, float]:
        torch.manual_seed(seed)
        asked: dict[str, Any] = {"min_new_tokens": tokens}
        if form is not None:
            processors[form].reset()
            asked = {"logits_processor": LogitsProcessorList([processors[form]])}
        prompt = tokenizer(["The "] * count, return_tensors="pt", return_token_type_ids=False)
        begun = time.process_time()
        found = network.generate(**prompt, max_new_tokens=tokens, do_sample=True, top_k=0, **asked)
        took = time.process_time() - begun
        return int((found[:, 4:] != 0).sum()), took

    return write


def compare(count: int, tokens: int, seconds: float) -> None:
    """Every system in turns."""
    systems = {"pantoum": ours(), **{f"outlines, {name}": theirs(name) for name in BACKENDS}}
    forms = (None, *ASKED)
    told = {(system, form): [0, 0.0] for system in systems for form in forms}
    turn = 0
    while turn < 2 or min(spent for _, spent in told.values()) < seconds:
        for (system, form), sums in told.items():
            found, took = systems[system](form, count, tokens, turn)
            if turn:
                sums[0], sums[1] = sums[0] + found, sums[1] + took
        turn += 1
    each = {key: 1e6 * spent / found for key, (found, spent) in told.items()}
    for (system, form), cost in each.items():
        plain = each[system, None]
        print(
            f"{count:3} texts  {system:22} {form or 'plain':7} {cost:9.1f} us per token, "
            f"{cost - plain:8.1f} more, {plain / cost:.2f} of the rate",
            flush=True,
        )


BACKENDS = ("outlines_core", "llguidance")


def main() -> None:
    """Both sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--tokens", type=int, default=120)
    asked = parser.parse_args()
    print(json.dumps(measured.machine()))
    for count in (1, 64):
        compare(count, asked.tokens, asked.seconds)


if __name__ == "__main__":
    main()
