"""Dear requests: what one may cost is bounded, counted before the work, and told with its option."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from pantoum.apps.server import aside, guard, prompts, writing
from pantoum.apps.server.guard import Admission
from pantoum.apps.server.schema import KnownFields
from pantoum.apps.server.settings import ServeSettings

SCORE = {"max_tokens": 0, "echo": True, "logprobs": 20}
WRITTEN = "/v1/completions"


class Fields(BaseModel):
    """The fields of a body."""

    model_config = ConfigDict(extra="ignore")
    text: str
    origin: str = Field("", alias="from")


def ran(body: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a thread: a browser of other tests may have left a loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, body).result()


@pytest.fixture
def small(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server with small limits."""
    for module, name, limit in (
        (prompts, "MOST_PROMPT", 2000),
        (writing, "MOST_TOKENS", 100_000),
        (aside, "MOST_ANSWER", 1 << 20),
    ):
        monkeypatch.setattr(module, name, limit)
    return serve(slots=4, queue=8)


@pytest.mark.parametrize(
    ("path", "fields", "told"),
    [
        (WRITTEN, {"prompt": "x" * 1900, "n": 4, **SCORE}, "the limit is 1 MB"),
        (WRITTEN, {"prompt": "x", "max_tokens": 3000, "logprobs": 20}, "the limit is 1 MB"),
        (WRITTEN, {"prompt": "x" * 2001}, "the limit is 2,000"),
        (WRITTEN, {"prompt": ["x" * 1001] * 2}, "the limit is 2,000"),
        (WRITTEN, {"prompt": "x", "max_tokens": 100_001, "stream": True}, "the limit is 100,000"),
        ("/v1/embeddings", {"input": ["x" * 1001] * 2}, "the limit is 2,000"),
        ("/v1/score", {"text": "x" * 2001}, "the limit is 2,000"),
        ("/v1/sessions", {"prompt": "x" * 2001}, "the limit is 2,000"),
    ],
)
def test_a_request_beyond_a_limit_is_told_it(
    small: Any, path: str, fields: dict[str, Any], told: str
) -> None:
    read = small.engine.counters["tokens_read"]
    response = small.post(path, **fields)
    assert response.status_code == 400 and told in response.json()["error"]["message"]
    assert small.engine.counters["tokens_read"] == read


def test_a_prompt_is_looked_through_only_when_its_answer_is_allowed(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "prompt_places", None)
    response = small.post(WRITTEN, prompt="x" * 1900, n=4, **SCORE)
    assert response.status_code == 400 and "the limit is 1 MB" in response.json()["error"]["message"]


def test_what_a_body_has_beside_known_fields_is_not_kept() -> None:
    app = FastAPI()
    router = APIRouter(route_class=KnownFields)

    @router.post("/")
    async def kept(fields: Fields, request: Request) -> list[str]:
        return [fields.text, fields.origin, *await request.json()]

    app.include_router(router)

    async def asked(body: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/", json=body)

    whole = {"text": "a", "from": "b", "messages": ["x"] * 9, "origin": 1}
    assert ran(asked(whole)).json() == ["a", "b", "text", "from"]
    assert ran(asked(["text"])).status_code == 422


def test_within_the_limits_all_is_answered(small: Any) -> None:
    assert small.post(WRITTEN, prompt="x" * 1000, **SCORE).status_code == 200
    assert small.post("/v1/score", text="x" * 2000, by="token").status_code == 200
    body = {"prompt": "x", "max_tokens": 3000, "logprobs": 20, "stream": True}
    assert small.post(WRITTEN, **body).text.endswith("data: [DONE]\n\n")


def test_large_answers_give_their_room_back(
    small: Any, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    monkeypatch.setattr(aside, "LARGE", 1000)
    for _ in range(4):
        assert small.post(WRITTEN, prompt="x" * 1000, **SCORE).status_code == 200
    until(lambda: not small.models.all()[0].answers._sizes)


PROMPTS: list[Any] = [
    [""] * 200_000,
    [None] * 100_000,
    [[]] * 100_000,
    [True] * 9,
    [["x"]],
    ["x", 1],
    [1.5],
    {},
]


@pytest.mark.parametrize("given", PROMPTS)
@pytest.mark.parametrize(("path", "name"), [(WRITTEN, "prompt"), ("/v1/embeddings", "input")])
def test_a_list_is_counted_before_it_is_read(
    server: Any, monkeypatch: pytest.MonkeyPatch, path: str, name: str, given: Any
) -> None:
    monkeypatch.setattr(prompts, "encode", None)
    response = server.post(path, **{name: given})
    error = response.json()["error"]
    assert response.status_code == 400 and error["param"] == name and len(error["message"]) < 300


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [1] * 100_000},
        {"messages": [{"role": "user", "content": [1] * 50}] * 4000},
        {"messages": [{"role": "user", "content": [{"type": "text"}] * 5000}]},
        {"messages": [{"role": "user", "content": "x"}], "stop": [1] * 100_000},
        {"messages": [{"role": "user", "content": "x"}], "logit_bias": {str(n): "x" for n in range(50_000)}},
    ],
)
def test_the_faults_of_a_list_are_few_and_told_shortly(server: Any, fields: dict[str, Any]) -> None:
    response = server.post("/v1/chat/completions", **fields)
    assert response.status_code == 400 and len(response.json()["error"]["message"]) < 600


def test_the_first_few_faults_of_a_request_are_all_told(server: Any) -> None:
    message = server.post(WRITTEN, prompt="x", top_p=7, seed=-2, n=0, logprobs=99).json()["error"]["message"]
    assert all(name in message for name in ("top_p:", "seed:", "n:", "1 more")), message


def test_a_large_answer_is_sent_in_pieces(server: Any) -> None:
    body = {"prompt": "x" * 3000, **SCORE}
    with server.client.stream("POST", WRITTEN, json=body) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        found = json.loads(b"".join(response.iter_bytes()))
    assert len(found["choices"][0]["logprobs"]["tokens"]) == 3000


def test_large_bodies_are_parsed_one_at_a_time_with_time_for_others_between() -> None:
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert not (await receive())["more_body"]
        order.append("parsed")

    def receiving() -> Any:
        message = {"type": "http.request", "body": b" " * (guard.LARGE + 1), "more_body": False}
        return AsyncMock(side_effect=[message, {"type": "http.disconnect"}])

    async def others() -> None:
        while order.count("parsed") < 5:
            order.append("tick")
            await asyncio.sleep(0)

    async def main() -> None:
        admission = Admission(ServeSettings())
        one = guard.Guard(app, admission=admission, metrics=MagicMock(), full=lambda: False)
        scope = {"type": "http", "headers": [(b"host", b"localhost")], "path": "/v1/score", "method": "POST"}
        asked = [one(scope, receiving(), AsyncMock()) for _ in range(5)]
        await asyncio.wait_for(asyncio.gather(others(), *asked), 60)

    ran(main())
    assert "parsed parsed" not in " ".join(order)
