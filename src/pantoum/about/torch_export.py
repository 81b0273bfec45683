"""What a file of ``pantoum export --to torch`` is, in plain values and in rows for people."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from pantoum.inference.files import torch_file
from pantoum.report.wording import size

__all__ = ["torch_facts"]


def torch_facts(path: Path) -> tuple[dict[str, object], Sequence[tuple[str, str]]]:
    """The facts and the rows."""
    about, shapes = torch_file.described(path)
    theirs = about.get("names") == torch_file.TORCH_NAMES
    numbers, tokenizer = sum(map(prod, shapes.values())), about.get("tokenizer")
    facts = {
        "bytes": path.stat().st_size,
        "names": about.get("names"),
        "module": about.get("module"),
        "numbers": numbers,
        "made_from": about.get("made_from"),
        "config": about.get("config"),
    }
    loads = "nn.Module.load_state_dict, or pantoum.torch.load" if theirs else "pantoum.torch.load"
    kind = tokenizer.get("kind") if isinstance(tokenizer, dict) else None
    rows = [
        ("numbers", f"{numbers:,} in {len(shapes)} arrays ({size(path.stat().st_size)})"),
        ("names", f"those of {'torch.nn' if theirs else 'pantoum.torch'}: {loads} reads it"),
        ("tokens", str(kind) if kind else "none: the tokenizer stayed in the model"),
        ("made from", f"SHA-256 {about.get('made_from')}"),
        ("use", "in PyTorch; pantoum itself uses the model that it was exported from"),
    ]
    return facts, rows
