"""Routes that read: embeddings, scores, values of units, the next word, tokens.

A text is scored by the same ``Scorer`` as everywhere. It makes the text tokens, the engine reads them beside
all other requests, and then it puts their nats into pieces. Long work in Python on a text runs in a thread
(``answers.Turns``), never on the event loop. Routes whose work is not the engine's wait for a slot, too, so
that they come in turns with all others.
"""

from __future__ import annotations

import base64
from itertools import chain
from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray

from pantoum.apps.server.activations import UnitReading, after_tokens, require_tokens, shown_tokens
from pantoum.apps.server.answers import json_answer, require_size
from pantoum.apps.server.caller import owned
from pantoum.apps.server.models import Models, Served
from pantoum.apps.server.recorded import Recorded
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import (
    ActivationsRequest,
    DetokenizeRequest,
    EmbeddingRequest,
    ScoreRequest,
    SuggestRequest,
    TokenizeRequest,
    UnitsRequest,
)
from pantoum.apps.server.sessions import SessionTable, model_of, read_text
from pantoum.apps.server.signing import Signer
from pantoum.apps.server.writing import MOST_PROMPT, encode, prompts_of, read, require_prompt
from pantoum.seams import (
    Plain,
    ReadElsewhere,
    Reading,
    ScoreConfig,
    Scorer,
    State,
    begun_word,
)
from pantoum.seams import alert_threshold as threshold
from pantoum.seams import document_resets as resets

__all__ = ["routes"]

SCORED, VALUE, DIGITS, TOKEN = 80, 10, 20, 20
"""Bytes of JSON that the score of a token takes, the value of a unit, a number of a vector, a token."""


async def admitted(served: Served) -> None:
    """Wait for a slot as a text does, for work beside the model: it is that of a reading of nothing."""
    await read(served, [Reading(served.model, None, np.zeros(0, np.int64))])


def score_text(scorer: Scorer, text: str) -> None:
    """All of a text goes into a scorer."""
    for _ in (*scorer.feed(text), *scorer.feed_rest()):
        pass


def rounded(values_T: NDArray[np.float32]) -> list[Plain]:
    """Values of a unit, as they are shown."""
    return [float(value) for value in np.round(values_T, 4)]


def vector(reading: Reading, fields: EmbeddingRequest) -> Plain:
    """An embedding, as numbers or in base64."""
    found = np.asarray(reading.last_H if fields.pooling == "last" else reading.mean_H, "<f4")
    if fields.encoding_format == "base64":
        return base64.b64encode(found.tobytes()).decode("ascii")
    return [float(value) for value in found]


def routes(models: Models, signer: Signer, table: SessionTable) -> APIRouter:
    """All of them."""
    router = APIRouter(tags=["reading"])

    @router.post("/v1/embeddings", response_model=None)
    async def embeddings(fields: EmbeddingRequest) -> Response:
        """A vector for each text. As many as the model has slots are read at once."""
        served = models.get(fields.model)
        size = served.model.program.model.hidden_size
        if fields.dimensions is not None and fields.dimensions != size:
            rule = f"dimensions is {fields.dimensions}: this model's vectors have {size}"
            raise RequestError(400, rule, param="dimensions")
        prompts = await prompts_of(served, fields.input, param="input", together=False)
        tokens = sum(len(prompt.tokens_T) for prompt in prompts)
        require_prompt(tokens, "input")
        if any(len(prompt.tokens_T) == 0 for prompt in prompts):
            raise RequestError(400, "input is empty: give a text of at least one character", param="input")
        bytes_ = size * len(prompts) * DIGITS
        require_size(bytes_, "send fewer texts in a request")
        await served.turns.answer(bytes_)
        vectors: list[Plain] = []
        for begin in range(0, len(prompts), served.engine.slots):
            some = prompts[begin : begin + served.engine.slots]
            readings = [Reading(served.model, None, prompt.tokens_T, hidden=True) for prompt in some]
            await read(served, readings)
            vectors += [vector(reading, fields) for reading in readings]
        made = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(vectors)
            ],
            "model": served.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return await json_answer(lambda: made, served.turns, bytes_)

    @router.post("/v1/score", response_model=None)
    async def score(fields: ScoreRequest) -> Response:
        """How surprising each token, word or line is."""
        served = models.get(fields.model)
        model = served.model
        config = ScoreConfig(by=fields.by, alert=fields.alert, documents=fields.documents)
        beyond, notes = threshold(model, config, None)
        elsewhere = ReadElsewhere()
        scorer = Scorer(model, config, threshold=beyond, following=elsewhere)
        await served.turns.run(score_text, scorer, fields.text)
        tokens_T = elsewhere.tokens_T
        require_prompt(len(tokens_T), "text")
        size = SCORED * len(tokens_T)
        if fields.by == "token":
            require_size(size, "send the text in parts, or score it by word")
        await served.turns.answer(size)
        begun = State.of(model, model.program.initial_state(1), model.border, 0, b"")
        apart = resets(model, fields.documents)
        reading = Reading(model, begun, tokens_T, alternatives=0, resets_V=apart)
        await read(served, [reading])

        def made() -> dict[str, Plain]:
            nats = [0.0 if one is None else -one.log_probability for one in reading.drawn]
            elsewhere.nats_T = nats_T = np.array(nats, np.float32)
            items: list[Plain] = [
                {
                    "text": item.text,
                    "nats": item.nats,
                    "peak": item.peak,
                    "tokens": item.tokens,
                    **({} if beyond is None else {"alert": item.alert}),
                }
                for item in chain.from_iterable(scorer.finish())
            ]
            return {
                "object": "list",
                "model": served.name,
                "by": fields.by,
                "tokens": len(tokens_T),
                "nats": float(nats_T.sum(dtype=np.float64)),
                "threshold": beyond,
                "items": items,
                **({"notes": list(notes)} if notes else {}),
            }

        return await json_answer(made, served.turns, size)

    @router.post("/v1/activations", response_model=None)
    async def show_activations(fields: ActivationsRequest) -> Response:
        """The values of some units after each token of a text."""
        served = models.get(fields.model)
        prompt = await encode(served, fields.text, places=True, param="text")
        tokens_T = prompt.tokens_T
        reading = UnitReading(served.model, tokens_T, fields.units)
        size = len(tokens_T) * (VALUE * len(fields.units) + SCORED)
        await served.turns.answer(size)
        await read(served, [reading])

        def made() -> dict[str, Plain]:
            return {
                "object": "activations",
                "model": served.name,
                "layers": reading.layers,
                "hidden_size": served.model.config.hidden_size,
                "tokens": shown_tokens(served.model, tokens_T),
                "text_offset": list(() if prompt.places is None else prompt.places()),
                "units": [
                    {"unit": unit, "values": rounded(values_T)}
                    for unit, values_T in zip(fields.units, reading.values_TK.T, strict=True)
                ],
            }

        return await json_answer(made, served.turns, size)

    @router.post("/v1/units", response_model=None)
    async def find_units(fields: UnitsRequest) -> Response:
        """The units that follow a property of the text most closely. It is read twice: for the correlations,
        and for the values of the best ones."""
        served = models.get(fields.model)
        H = served.model.config.hidden_size
        tokens_T = (await encode(served, fields.text, param="text")).tokens_T
        require_tokens(tokens_T)
        size = len(tokens_T) * (VALUE * (fields.count + 1) + SCORED)
        await served.turns.answer(size)
        texts = await served.turns.run(shown_tokens, served.model, tokens_T)
        property_T = after_tokens(texts, fields.feature)
        every = UnitReading(served.model, tokens_T, property_T=property_T)
        await read(served, [every])
        best = every.following(fields.count)
        reading = UnitReading(served.model, tokens_T, [unit for unit, _ in best])
        await read(served, [reading])

        def made() -> dict[str, Plain]:
            units: list[Plain] = [
                {
                    "unit": unit,
                    "layer": unit // H,
                    "index": unit % H,
                    "correlation": correlation,
                    "values": rounded(values_T),
                }
                for (unit, correlation), values_T in zip(best, reading.values_TK.T, strict=True)
            ]
            head = {"object": "units", "model": served.name, "feature": fields.feature}
            return {**head, "tokens": texts, "feature_values": property_T, "units": units}

        return await json_answer(made, served.turns, size)

    @router.post("/v1/suggest", response_model=None)
    async def suggest(fields: SuggestRequest) -> Response:
        """The most probable next words, or rests of the word that the text ends within."""
        if fields.session is None:
            served = models.get(fields.model)
            state = State.start(served.model)
        else:
            held = await table.read(owned(fields.session))
            served, state = model_of(models, signer, held, fields.model)
        before, begun = begun_word(fields.prompt or "")
        after = await read_text(served, state, before) if before else state
        found = await served.turns.run(lambda: served.suggester.after(after, fields.k, begun))
        items = [{"text": one.text, "probability": one.probability} for one in found]
        return JSONResponse({"object": "list", "model": served.name, "begun": begun, "items": items})

    # Fields of vLLM, and those of the server of llama.cpp: ``content`` and ``with_pieces``.

    @router.post("/tokenize", response_model=None)
    async def tokenize(fields: TokenizeRequest) -> Response:
        """The tokens of a text, or of a chat as the model would read it."""
        served = models.get(fields.model)
        given = [one for one in (fields.prompt, fields.content, fields.messages) if one is not None]
        if len(given) != 1:
            raise RequestError(400, "give one of prompt, content and messages", param="prompt")
        text = given[0] if isinstance(given[0], str) else served.template.prompt(given[0])
        await admitted(served)
        prompt = await encode(served, text)
        tokens = prompt.tokens_T.tolist()
        require_prompt(len(tokens), "prompt")
        size = TOKEN * len(tokens)
        await served.turns.answer(size)

        def made() -> dict[str, Any]:
            found: dict[str, Any] = {"count": len(tokens), "max_model_len": MOST_PROMPT, "tokens": tokens}
            if fields.return_token_strs or fields.with_pieces:
                found["token_strs"] = Recorded(served.model.tokenizer).names(tokens)
            if prompt.notes:
                found["notes"] = list(prompt.notes)
            return found

        return await json_answer(made, served.turns, size)

    @router.post("/detokenize", response_model=None)
    async def detokenize(fields: DetokenizeRequest) -> Response:
        """The text of tokens."""
        served = models.get(fields.model)
        await admitted(served)
        text = (await encode(served, fields.tokens, param="tokens")).text
        return await served.turns.run(JSONResponse, {"prompt": text, "content": text})

    @router.get("/tokenizer_info", response_model=None)
    async def tokenizer_info(model: str | None = None) -> Response:
        """What clients ask of a tokenizer before they use it."""
        served = models.get(model)
        return JSONResponse(
            {
                "tokenizer_class": f"pantoum {served.model.tokenizer.kind}",
                "vocab_size": served.model.vocab_size,
                "model_max_length": MOST_PROMPT,
                "bos_token": None,
                "eos_token": None,
                "pad_token": None,
                "eos_token_id": served.model.eos,
                "chat_template": None,
            }
        )

    return router
