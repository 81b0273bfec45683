"""``/tokenize``, ``/detokenize``, ``/tokenizer_info``: the tokens of a model, for clients that count them.

Fields are those of vLLM; ``content`` and ``with_pieces`` are those of the server of llama.cpp.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from pantoum.apps.server.aside import MANY, answer_aside
from pantoum.apps.server.caller import spender
from pantoum.apps.server.models import Models
from pantoum.apps.server.prompts import encode
from pantoum.apps.server.recorded import Recorded
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import DetokenizeRequest, KnownFields, TokenizeRequest
from pantoum.apps.server.writing import admitted, require_prompt

__all__ = ["routes"]

TOKEN = 20
"""Bytes of JSON that a token takes, with its text."""


def routes(models: Models) -> APIRouter:
    """The three routes."""
    router = APIRouter(tags=["tokens"], route_class=KnownFields)

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
        require_prompt(served, len(tokens), "prompt")
        spender()(len(tokens))
        await served.answers.take(TOKEN * len(tokens), served.settings.timeout)

        def found() -> dict[str, Any]:
            made: dict[str, Any] = {
                "count": len(tokens),
                "max_model_len": served.settings.max_prompt,
                "tokens": tokens,
            }
            if fields.return_token_strs or fields.with_pieces:
                made["token_strs"] = Recorded(served.model.tokenizer).names(tokens)
            if prompt.notes:
                made["notes"] = list(prompt.notes)
            return made

        if len(tokens) > MANY:
            return await answer_aside(found, served.line, served.settings.timeout)
        return JSONResponse(found())

    @router.post("/detokenize", response_model=None)
    async def detokenize(fields: DetokenizeRequest) -> Response:
        """The text of tokens."""
        served = models.get(fields.model)
        await admitted(served)
        prompt = await encode(served, fields.tokens, param="tokens")
        spender()(len(fields.tokens))
        return await served.line.run(JSONResponse, {"prompt": prompt.text, "content": prompt.text})

    @router.get("/tokenizer_info", response_model=None)
    async def tokenizer_info(model: str | None = None) -> Response:
        """What clients ask of a tokenizer before they use it."""
        served = models.get(model)
        return JSONResponse(
            {
                "tokenizer_class": f"pantoum {served.model.tokenizer.kind}",
                "vocab_size": served.model.vocab_size,
                "model_max_length": served.settings.max_prompt,
                "bos_token": None,
                "eos_token": None,
                "pad_token": None,
                "eos_token_id": served.model.eos,
                "chat_template": None,
            }
        )

    return router
