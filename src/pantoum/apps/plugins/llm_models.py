"""The plugin of `llm` (Simon Willison's command and library): ``llm -m pantoum/book "Once"``.

Its models are the runs in ``runs/`` of the current folder, or of the folder in the variable ``PANTOUM_RUNS``.
A conversation is one text: what was said before comes before the prompt. Listing models imports neither NumPy
nor a model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llm

__all__ = ["PantoumModel", "register_models"]


class PantoumModel(llm.Model):
    """A run as a model of `llm`."""

    can_stream = True

    class Options(llm.Options):
        """The settings of ``pantoum generate`` that are given here."""

        length: int | None = None
        temperature: float | None = None
        top_k: int | None = None
        top_p: float | None = None
        min_p: float | None = None
        repetition_penalty: float | None = None
        seed: int | None = None
        greedy: bool | None = None

    def __init__(self, name: str, folder: Path) -> None:
        self.model_id = f"pantoum/{name}"
        self.folder = folder

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any = None) -> Iterator[str]:
        """The continuation of the prompt, piece by piece."""
        import pantoum

        before = "" if conversation is None else "".join(map(_text, conversation.responses))
        given = {name: value for name, value in prompt.options.model_dump().items() if value is not None}
        yield from pantoum.load(self.folder).stream(before + (prompt.prompt or ""), **given)


def _text(response: Any) -> str:
    """A prompt and its answer, as the text that they are."""
    return f"{response.prompt.prompt or ''}{response.text()}"


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """The runs that are there."""
    runs = Path(os.environ.get("PANTOUM_RUNS", "runs"))
    for model in sorted(runs.glob("*/model.safetensors")):
        register(PantoumModel(model.parent.name, model.parent))
