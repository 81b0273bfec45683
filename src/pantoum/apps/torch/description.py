"""What ``pantoum info`` says of a file of ``pantoum export --to torch``."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from pantoum.apps.torch import torch_file
from pantoum.seams import readable_size

__all__ = ["describe", "verify"]


def describe(path: Path, start: bytes) -> tuple[dict[str, object], Sequence[tuple[str, str]]] | None:
    """The facts and the rows for people; ``None`` if the file is no such file."""
    if not torch_file.is_torch_file(path):
        return None
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
    loads = "nn.Module.load_state_dict, or pantoum.apps.torch.load" if theirs else "pantoum.apps.torch.load"
    kind = tokenizer.get("kind") if isinstance(tokenizer, dict) else None
    rows = [
        ("numbers", f"{numbers:,} in {len(shapes)} arrays ({readable_size(path.stat().st_size)})"),
        ("names", f"those of {'torch.nn' if theirs else 'pantoum.apps.torch'}: {loads} reads it"),
        ("tokens", str(kind) if kind else "none: the tokenizer stayed in the model"),
        ("made from", f"SHA-256 {about.get('made_from')}"),
        ("use", "in PyTorch; pantoum itself uses the model that it was exported from"),
    ]
    return facts, rows


def verify(path: Path) -> str:
    """Read the whole file; what was done, in words."""
    torch_file.read(path)
    return "it loads"
