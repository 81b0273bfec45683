"""The scorer that a configuration asks for: what reads, what is saved, beyond which peak is an alert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from pantoum.config import ScoreConfig
from pantoum.inference.adapted import SavedMeanwhile, adapter_of
from pantoum.inference.alert import Peaks, peaks_of, threshold
from pantoum.inference.cache_settings import with_cache
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.score import Scorer, resets
from pantoum.inference.scoring.protocols import SIDE_BY_SIDE
from pantoum.inference.scoring.reader import OneStream

__all__ = ["asked_scorer"]


def asked_scorer(
    model: LoadedModel, config: ScoreConfig, pieces: bool, named: str | None
) -> tuple[Scorer, list[str]]:
    """(the scorer, what a person should know of it). ``pieces``: each score holds its tokens; ``named``: the
    name of the text that will be read, for the card of an adapted model."""
    read = model if config.cache is None else with_cache(model, config.cache)
    adapter = adapter_of(read, config.adapt, config.model_out, [named, config.alert_text])
    nats, notes = threshold(model, config, _ordinary_peaks(model, config))
    if config.documents and model.tokenizer.documents is not None:
        notes.append(
            f"documents has no effect: this model's documents are {model.tokenizer.documents} already"
        )
    if adapter is None:
        return Scorer(read, config, threshold=nats, pieces=pieces), notes
    texts = [] if named is None else [{"name": PurePath(named).name}]
    kept = None if config.model_out is None else SavedMeanwhile(adapter, config.model_out, texts)
    following = OneStream(adapter, read.border, resets(read, config.documents))
    return Scorer(read, config, threshold=nats, pieces=pieces, following=following, kept=kept), notes


def _ordinary_peaks(model: LoadedModel, config: ScoreConfig) -> Peaks | None:
    """Those of the text that ``alert_text`` names, read by the model as it is."""
    if config.alert_text is None:
        return None
    from pantoum.data import text_parts

    streams = max(config.streams, SIDE_BY_SIDE)
    reading = replace(config, alert=None, alert_text=None, adapt=False, cache=None, streams=streams)
    return peaks_of(Scorer(model, reading).read(text_parts.parts(config.alert_text, config.encoding)))
