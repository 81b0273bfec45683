"""Models on the Hugging Face Hub: ``hf://owner/name`` or ``hf://owner/name@revision`` in the place of a file.

``fetched`` gives the model's file in the cache of ``huggingface_hub`` (the extra ``hub``), which downloads it
if it has changed; loading it then checks the SHA-256 in it, as of any file. ``write`` makes the folder that
such a repository is, a model card among its files: ``export --to hub``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pantoum.errors import ModelFileError
from pantoum.seams import ModelFile, Plain, durable, plain_json, require

__all__ = ["MODEL", "fetched", "write"]

MODEL = "model.safetensors"
"""The name of the model's file in a repository."""
ADDRESS = re.compile(r"hf:/+([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
LARGE = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
CARD = """---
library_name: pantoum
pipeline_tag: text-generation
license: unknown
tags:
- pantoum
- recurrent
---

# A language model of pantoum

Write here what text it learned from, who made it, and its licence (`license` above, too).

**A model can repeat private parts of its training text.** Publish it only if you may publish that text.

```sh
pip install 'pantoum[hub]'
pantoum generate hf://OWNER/NAME --prompt "Once"
```

| | |
| -- | -- |
"""


def fetched(address: str) -> Path:
    """The model's file of a repository."""
    match = ADDRESS.fullmatch(address)
    shown = address.replace("hf:/", "hf://").replace("///", "//")
    rule, advice = "is not an address of a model", "give hf://owner/name or hf://owner/name@revision"
    require(match is not None, "model", shown, rule, advice)
    assert match is not None
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise ModelFileError(
            f"cannot read {shown!r}: it needs the package huggingface_hub; run: pip install 'pantoum[hub]'"
        ) from None
    try:
        endpoint = os.environ.get("HF_ENDPOINT")
        return Path(hf_hub_download(match[1], MODEL, revision=match[2], endpoint=endpoint))
    except (OSError, ValueError) as problem:
        told = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise ModelFileError(
            f"cannot read {shown!r}: {told[:300].rstrip('.')}; check the name, the revision and the network, "
            "and for a private model set HF_TOKEN"
        ) from None


def write(folder: Path, data: bytes, config: Mapping[str, Plain], card: Mapping[str, Any]) -> None:
    """Make the folder of a repository, which must not hold anything yet."""
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    require(empty, "out", str(folder), "must be a folder that does not exist or is empty", "give another one")
    described = {"model_type": "pantoum", "library_name": "pantoum", **config}
    with durable.new_folder(folder) as made:
        durable.write_file(made / MODEL, data)
        durable.write_file(made / "config.json", [plain_json.encode(described), b"\n"])
        durable.write_file(made / ".gitattributes", LARGE.encode())
        durable.write_file(made / "README.md", (CARD + "".join(_rows(config, card))).encode())


def _rows(config: Mapping[str, Plain], card: Mapping[str, Any]) -> list[str]:
    """What the training card says, as rows of a table."""
    sizes = f"{config.get('num_layers')} x {config.get('hidden_size')} {config.get('cell')}"
    rows = [("network", sizes), ("parameters", card.get("parameters"))]
    validation = card.get("validation")
    if isinstance(validation, Mapping):
        protocol = f"by `{validation.get('protocol')}`, {validation.get('tokens')} targets held out"
        for name in ("nats_per_token", "nats_per_character", "bits_per_byte", "perplexity"):
            figure = validation.get(name)
            if isinstance(figure, (int, float)):
                rows.append((name.replace("_", " "), f"{figure:.4f} {protocol}"))
    trained = card.get("tokens_trained")
    rows += [
        ("steps", card.get("step")),
        ("tokens that the whole run read", trained),
        ("pantoum", card.get("pantoum")),
    ]
    return [f"| {name} | {str(value)[:200]} |\n" for name, value in rows if value is not None]


def export(content: ModelFile, out: Path, texts: Sequence[str]) -> dict[str, Any]:
    """``pantoum export --to hub``."""
    assert content.path is not None
    write(out, content.path.read_bytes(), content.config, content.card)
    return {"bytes": (out / MODEL).stat().st_size, "sha256": content.sha256}
