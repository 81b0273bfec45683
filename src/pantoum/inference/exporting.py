"""``export``: a model in another form, in a file of its own; the model itself is only read.

``int8`` gives an ordinary model file (``convert``), whose cost in nats is measured where a text is given;
``torch`` a file for PyTorch (``torch_file``); ``onnx`` a graph for ONNX Runtime and others (``onnx_file``);
``hub`` a folder for the Hugging Face Hub (``hub``); ``arpa`` the counted n-grams by themselves
(``arpa_file``); ``html`` a page that writes without a network (``web.html_page``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pantoum.config import one_of, require
from pantoum.config.plain import Plain
from pantoum.formats import durable, model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference import to_int8
from pantoum.inference.cache_settings import CARD_KEY
from pantoum.inference.evaluation import Progress
from pantoum.inference.files import arpa_file, hub, onnx_file, torch_file
from pantoum.inference.files.apart import require_apart
from pantoum.inference.files.named_texts import named_texts
from pantoum.inference.files.precision import plain
from pantoum.inference.loaded_model import MODEL_NAME, checked, counts_of, load, model_path, of_content
from pantoum.text.tokenizer import from_spec

__all__ = ["FORMS", "export"]

CACHED = "the page writes without the cache, which `generate --cache` and others use"
FORMS = ("int8", "torch", "onnx", "hub", "arpa", "html")


def export(
    model: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    texts: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write ``model`` as ``to`` into ``out``; the facts of the new file, for JSON."""
    one_of(to, "to", FORMS)
    require(
        not texts or to == "int8",
        "text",
        " ".join(map(str, texts)),
        "measures what int8 costs",
        "leave it out",
    )
    path, target = model_path(Path(model)), Path(out)
    require_apart("out", out, "the model itself", [path])
    require_apart("out", out, "a text that is read", texts)
    content = model_file.read(path)
    network, _, _ = checked(content, path)
    counted = counts_of(content.extras, network.vocab_size, path)
    told: dict[str, Plain] = {
        "out": os.fspath(out),
        "to": to,
        "made_from": content.sha256,
        "bytes_before": path.stat().st_size,
    }
    if to in ("torch", "onnx"):
        if to == "torch":
            told["names"] = torch_file.write(target, content)
        else:
            onnx_file.write(target, content)
        cached = CARD_KEY in content.card
        notes = [f"the file for {to} is without the cache, which `evaluate --cache` and others use"] * cached
        return {**told, "bytes": target.stat().st_size, "notes": notes}
    if to == "hub":
        hub.write(target, path.read_bytes(), content.config, content.card)
        return {**told, "bytes": (target / hub.MODEL).stat().st_size, "sha256": content.sha256, "notes": []}
    if to == "arpa":
        require(
            counted is not None,
            "to",
            to,
            "needs n-grams that were counted in the training text, and this model has none",
            "train it with --kneser-ney 5",
        )
        assert counted is not None
        sizes = arpa_file.write(target, counted.counts, from_spec(content.tokenizer))
        return {**told, "ngrams": sizes, "bytes": target.stat().st_size, "notes": []}
    if to == "html":
        from pantoum.web.html_page import page

        # A file in a run folder has the name that all have: the folder's says which model it is.
        name = path.parent.resolve().name if path.name == MODEL_NAME else path.stem
        durable.write_file(target, page(name, content.card, content.config, path.read_bytes(), progress))
        notes = [CACHED] if CARD_KEY in content.card else []
        return {**told, "bytes": target.stat().st_size, "notes": notes}
    made, notes = to_int8.to_int8(content), list[str]()
    if texts:
        measured, notes = _cost(path, made, texts, progress)
        made = to_int8.with_cost(made, measured)
    sha256 = model_file.write(target, made)
    return {
        **told,
        "bytes": target.stat().st_size,
        "sha256": sha256,
        "cost": made.card[to_int8.CARD_KEY]["cost"],
        "notes": notes,
    }


def _cost(
    path: Path, made: ModelFile, texts: Sequence[str], progress: Progress | None
) -> tuple[dict[str, Plain], list[str]]:
    from pantoum.data.prepare import prepare

    before, after = load(path), of_content(made, path, lambda: plain(made).parameters)
    prepared = prepare(list(texts), tokenizer=before.tokenizer, valid_fraction=0.0, out=None)
    measured = to_int8.cost(before, after, prepared.train.tokens, progress)
    return {**measured, **named_texts(prepared.facts["texts"])}, prepared.notes
