"""``/v1/score`` gives what ``pantoum score`` gives; ``/v1/activations`` and ``/v1/units`` look at single
units.

A text is scored by the same ``Scorer`` as everywhere. It makes the text tokens, the engine reads them beside
all other requests, and then it puts their nats into pieces.
The long work on a text runs in a thread of its own, never on the event loop.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from numpy.typing import NDArray

from pantoum.apps.server.activations import activations, following
from pantoum.apps.server.aside import answer_aside, one_at_a_time, require_size
from pantoum.apps.server.models import Models, Served
from pantoum.apps.server.prompts import encode, require_unicode
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import ActivationsRequest, KnownFields, ScoreRequest, UnitsRequest
from pantoum.apps.server.writing import cancel, require_prompt, submit
from pantoum.seams import Plain, ReadElsewhere, Reading, ScoreConfig, Scorer, State
from pantoum.seams import alert_threshold as threshold
from pantoum.seams import document_resets as resets

__all__ = ["routes"]

SCORED = 80
"""Bytes of JSON that the score of a token takes."""
Ids = NDArray[np.int64]
Nats = NDArray[np.float32]


def read_text(scorer: Scorer, text: str) -> None:
    """All of a text goes into a scorer."""
    for _ in (*scorer.feed(text), *scorer.feed_rest()):
        pass


async def read_after_border(served: Served, tokens_T: Ids, documents: bool) -> Reading:
    """Tokens that follow the border, each with its nats, read by the engine."""
    model = served.model
    begun = State.of(model, model.program.initial_state(1), model.border, 0, b"")
    inbox = served.inbox()
    inbox.job(Reading(model, begun, tokens_T, alternatives=0, resets_V=resets(model, documents)))
    submit(served, inbox.jobs)
    try:
        await inbox.finished()
    finally:
        cancel(served, inbox.jobs)
    return inbox.jobs[0].reading


def nats_of(reading: Reading) -> Nats:
    """The nats of each token."""
    found = [0.0 if one is None else -one.log_probability for one in reading.drawn]
    return np.array(found, np.float32)


def routes(models: Models) -> APIRouter:
    """The three routes."""
    router = APIRouter(prefix="/v1", tags=["reading"], route_class=KnownFields)

    @router.post("/score", response_model=None)
    async def score(fields: ScoreRequest) -> Response:
        """How surprising each token, word or line is."""
        served = models.get(fields.model)
        model, settings = served.model, served.settings
        config = ScoreConfig(by=fields.by, alert=fields.alert, documents=fields.documents)
        beyond, notes = threshold(model, config, None)
        require_unicode(fields.text, "text")
        elsewhere = ReadElsewhere()
        scorer = Scorer(model, config, threshold=beyond, following=elsewhere)
        await one_at_a_time(read_text, scorer, fields.text)
        tokens_T = elsewhere.tokens_T
        require_prompt(served, len(tokens_T), "text")
        size = SCORED * len(tokens_T)
        if fields.by == "token":
            require_size(size, settings.max_answer << 20, "send the text in parts, or score it by word")
        await served.turns.take(size, settings.timeout)
        reading = await read_after_border(served, tokens_T, fields.documents)

        def found() -> dict[str, Plain]:
            elsewhere.nats_T = nats_T = nats_of(reading)
            items = list(chain.from_iterable(scorer.finish()))
            return {
                "object": "list",
                "model": served.name,
                "by": fields.by,
                "tokens": len(tokens_T),
                "nats": float(nats_T.sum(dtype=np.float64)),
                "threshold": beyond,
                "items": [
                    {
                        "text": item.text,
                        "nats": item.nats,
                        "peak": item.peak,
                        "tokens": item.tokens,
                        **({} if beyond is None else {"alert": item.alert}),
                    }
                    for item in items
                ],
                **({"notes": notes} if notes else {}),
            }

        return await answer_aside(found, served.settings.timeout)

    @router.post("/activations", response_model=None)
    async def show_activations(fields: ActivationsRequest) -> Response:
        """The values of some units after each token of a text."""
        served = models.get(fields.model)
        config = served.model.config
        prompt = await encode(served.model, fields.text, places=True)
        tokens_T, places = prompt.tokens_T, () if prompt.places is None else prompt.places()

        def found() -> dict[str, Plain]:
            texts, values_TU = activations(served.model, tokens_T)
            U = values_TU.shape[1]
            for unit in fields.units:
                _require_unit(unit, U)
            return {
                "object": "activations",
                "model": served.name,
                "layers": U // config.hidden_size,
                "hidden_size": config.hidden_size,
                "tokens": texts,
                "text_offset": list(places),
                "units": [
                    {"unit": unit, "values": np.round(values_TU[:, unit], 4).astype(float).tolist()}
                    for unit in fields.units
                ],
            }

        return await answer_aside(found, served.settings.timeout)

    @router.post("/units", response_model=None)
    async def find_units(fields: UnitsRequest) -> Response:
        """The units that follow a property of the text most closely."""
        served = models.get(fields.model)
        config = served.model.config
        prompt = await encode(served.model, fields.text)

        def found() -> dict[str, Plain]:
            texts, values_TU = activations(served.model, prompt.tokens_T)
            best, values = following(texts, values_TU, fields.feature, fields.count)
            units = [
                {
                    "unit": unit,
                    "layer": unit // config.hidden_size,
                    "index": unit % config.hidden_size,
                    "correlation": correlation,
                    "values": np.round(values_TU[:, unit], 4).astype(float).tolist(),
                }
                for unit, correlation in best
            ]
            head = {"object": "units", "model": served.name, "feature": fields.feature}
            return {**head, "tokens": texts, "feature_values": values, "units": units}

        return await answer_aside(found, served.settings.timeout)

    return router


def _require_unit(unit: int, count: int) -> None:
    if unit >= count:
        raise RequestError(400, f"units has {unit}: this model's units are 0 to {count - 1}", param="units")
