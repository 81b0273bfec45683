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

from pantoum.apps.server.activations import UnitReading, after_tokens, require_tokens, shown_tokens
from pantoum.apps.server.aside import answer_aside, require_size
from pantoum.apps.server.models import Models, Served
from pantoum.apps.server.prompts import encode
from pantoum.apps.server.schema import ActivationsRequest, KnownFields, ScoreRequest, UnitsRequest
from pantoum.apps.server.writing import read, require_prompt
from pantoum.seams import Plain, ReadElsewhere, Reading, ScoreConfig, Scorer, State
from pantoum.seams import alert_threshold as threshold
from pantoum.seams import document_resets as resets

__all__ = ["routes"]

SCORED, VALUE = 80, 10
"""Bytes of JSON that the score of a token takes, and the value of a unit."""
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
    reading = Reading(model, begun, tokens_T, alternatives=0, resets_V=resets(model, documents))
    await read(served, [reading])
    return reading


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
        elsewhere = ReadElsewhere()
        scorer = Scorer(model, config, threshold=beyond, following=elsewhere)
        await served.line.run(read_text, scorer, fields.text)
        tokens_T = elsewhere.tokens_T
        require_prompt(served, len(tokens_T), "text")
        size = SCORED * len(tokens_T)
        if fields.by == "token":
            require_size(size, settings.max_answer << 20, "send the text in parts, or score it by word")
        await served.answers.take(size, settings.timeout)
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

        return await answer_aside(found, served.line, served.settings.timeout)

    @router.post("/activations", response_model=None)
    async def show_activations(fields: ActivationsRequest) -> Response:
        """The values of some units after each token of a text."""
        served = models.get(fields.model)
        prompt = await encode(served, fields.text, places=True, param="text")
        reading = UnitReading(served.model, prompt.tokens_T, fields.units)
        await take_answer(served, reading, len(fields.units))
        await read(served, [reading])

        def found() -> dict[str, Plain]:
            return {
                "object": "activations",
                "model": served.name,
                "layers": reading.layers,
                "hidden_size": served.model.config.hidden_size,
                "tokens": shown_tokens(served.model, prompt.tokens_T),
                "text_offset": list(() if prompt.places is None else prompt.places()),
                "units": [
                    {"unit": unit, "values": rounded(values_T)}
                    for unit, values_T in zip(fields.units, reading.values_TK.T, strict=True)
                ],
            }

        return await answer_aside(found, served.line, served.settings.timeout)

    @router.post("/units", response_model=None)
    async def find_units(fields: UnitsRequest) -> Response:
        """The units that follow a property of the text most closely. It is read twice: for the correlations,
        and for the values of the best ones."""
        served = models.get(fields.model)
        size = served.model.config.hidden_size
        tokens_T = (await encode(served, fields.text, param="text")).tokens_T
        require_tokens(tokens_T)
        texts = await served.line.run(shown_tokens, served.model, tokens_T)
        property_T = after_tokens(texts, fields.feature)
        every = UnitReading(served.model, tokens_T, property_T=property_T)
        await take_answer(served, every, fields.count + 1)
        await read(served, [every])
        best = every.following(fields.count)
        reading = UnitReading(served.model, tokens_T, [unit for unit, _ in best])
        await read(served, [reading])

        def found() -> dict[str, Plain]:
            units: list[Plain] = [
                {
                    "unit": unit,
                    "layer": unit // size,
                    "index": unit % size,
                    "correlation": correlation,
                    "values": rounded(values_T),
                }
                for (unit, correlation), values_T in zip(best, reading.values_TK.T, strict=True)
            ]
            head = {"object": "units", "model": served.name, "feature": fields.feature}
            return {**head, "tokens": texts, "feature_values": property_T, "units": units}

        return await answer_aside(found, served.line, served.settings.timeout)

    return router


async def take_answer(served: Served, reading: UnitReading, columns: int) -> None:
    """Room for the answer with the values of so many units."""
    size = len(reading.tokens_T) * (VALUE * columns + SCORED)
    await served.answers.take(size, served.settings.timeout)


def rounded(values_T: Nats) -> list[Plain]:
    """Values of a unit, as they are shown."""
    return [float(value) for value in np.round(values_T, 4)]
