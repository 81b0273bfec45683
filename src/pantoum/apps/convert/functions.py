"""What this app adds to ``pantoum``: models of other programs."""

from __future__ import annotations

import os
from typing import Any

from pantoum.apps.convert import import_model as importing
from pantoum.seams import Texts, check_path, listed, public_call, say

__all__ = ["import_model"]


@public_call
def import_model(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    vocabulary: str | os.PathLike[str] | None = None,
    tokens: str | None = None,
    text: Texts = (),
) -> dict[str, Any]:
    """Make a model of PyTorch (a state_dict in safetensors), Keras, TensorFlow 1 or ONNX a model file.

    ``vocabulary``: a file of its tokens in their order. ``tokens``: ``characters``, ``words`` or
    ``words:whitespace`` (default: by the vocabulary). ``text``: what the loss on it was and is."""
    known = None if vocabulary is None else check_path(vocabulary, "vocabulary")
    texts = listed(text, "text")
    found = importing.import_model(check_path(file, "file"), check_path(out, "out"), known, tokens, texts)
    say(found.pop("notes"))
    return found
