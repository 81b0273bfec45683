"""Dear requests: what one may cost is bounded, counted before the work, and told with its option."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from fastapi.responses import JSONResponse

import pantoum
from pantoum.apps.server import answers, guard, writing
from pantoum.apps.server.caller import CALLER, Caller
from pantoum.apps.server.guard import Admission
from pantoum.apps.server.settings import ServeSettings

SCORE = {"max_tokens": 0, "echo": True, "logprobs": 20}
WRITTEN = "/v1/completions"


@pytest.fixture
def small(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server with small limits."""
    for module, name, limit in (
        (writing, "MOST_PROMPT", 2000),
        (writing, "MOST_TOKENS", 100_000),
        (answers, "MOST_ANSWER", 1 << 20),
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
    monkeypatch.setattr(writing, "prompt_places", None)
    response = small.post(WRITTEN, prompt="x" * 1900, n=4, **SCORE)
    assert response.status_code == 400 and "the limit is 1 MB" in response.json()["error"]["message"]


def test_within_the_limits_all_is_answered(small: Any) -> None:
    assert small.post(WRITTEN, prompt="x" * 1000, **SCORE).status_code == 200
    assert small.post("/v1/score", text="x" * 2000, by="token").status_code == 200
    body = {"prompt": "x", "max_tokens": 3000, "logprobs": 20, "stream": True}
    assert small.post(WRITTEN, **body).text.endswith("data: [DONE]\n\n")


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
    monkeypatch.setattr(writing, "encode", None)
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


def test_one_client_has_one_piece_of_work_and_one_large_answer_at_a_time() -> None:
    order: list[str] = []

    async def request(turns: answers.Turns, name: str, size: int) -> None:
        CALLER.set(caller := Caller(name[0]))
        await turns.answer(size)
        await turns.run(order.append, name)
        if name == "a0":
            await asyncio.sleep(0.2)
        caller.ends.close()
        order.append("end of " + name)

    async def main() -> None:
        turns = answers.Turns()
        asked = [("a0", answers.LARGE), ("a1", answers.LARGE), ("a2", 5), ("b0", answers.LARGE)]
        tasks = [asyncio.create_task(request(turns, *one)) for one in asked]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(request(turns, "a3", answers.LARGE)))
        await asyncio.sleep(0)
        tasks[1].cancel()  # it has gone while it waited
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert order.index("end of a0") < order.index("a3") and "a1" not in order
    assert max(order.index("end of b0"), order.index("end of a2")) < order.index("end of a0")


def test_few_large_answers_of_all_clients_are_in_work_together() -> None:
    working, most = [], []

    async def request(turns: answers.Turns, name: str) -> None:
        CALLER.set(caller := Caller(name))
        await turns.answer(answers.LARGE)
        working.append(name)
        most.append(len(working))
        await asyncio.sleep(0)
        working.remove(name)
        caller.ends.close()

    async def main() -> None:
        turns = answers.Turns()
        await asyncio.gather(*(request(turns, f"client {number}") for number in range(23)))

    asyncio.run(main())
    assert len(most) == 23 and max(most) == answers.AT_ONCE


LONG = "The cat number 7 sat. " * (3 * answers.MANY // 22)


def test_a_long_prompt_is_echoed_token_by_token_in_each_text(server: Any) -> None:
    fields = {"max_tokens": 0, "echo": True, "logprobs": 1}
    found = server.post("/v1/completions", prompt=LONG, n=2, **fields).json()["choices"]
    assert found[0]["logprobs"] == found[1]["logprobs"]
    assert "".join(found[0]["logprobs"]["tokens"]) == LONG
    assert found[0]["logprobs"]["text_offset"] == list(range(len(LONG)))


@pytest.mark.parametrize("by", ["token", "line"])
def test_a_long_text_is_scored_as_by_the_model(server: Any, model: pantoum.Model, by: str) -> None:
    items = server.post("/v1/score", text=LONG, by=by).json()["items"]
    assert [item["nats"] for item in items] == [item.nats for item in model.score(LONG, by=by).items]


def test_a_stream_gives_the_tokens_of_a_long_prompt_some_at_a_time(server: Any) -> None:
    fields = {"prompt": LONG, "max_tokens": 5, "echo": True, "logprobs": 3, "seed": 1}
    whole = server.post("/v1/completions", **fields).json()["choices"][0]
    lines = server.post("/v1/completions", stream=True, **fields).text.split("\n\n")[:-2]
    parts = [json.loads(line.removeprefix("data: "))["choices"][0] for line in lines]
    assert "".join(part["text"] for part in parts) == whole["text"]
    for name, values in whole["logprobs"].items():
        assert [value for part in parts for value in part["logprobs"][name]] == values
    assert max(len(part["logprobs"]["tokens"]) for part in parts) <= answers.MANY / 4
    assert [part["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + ["length"]


def test_a_long_answer_is_encoded_in_pieces_that_join_to_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "PIECE", 3)
    value = {
        "a": [1, -0.1, None, True, '\u20ac\n"'],
        "b": {},
        "c": [],
        "d": [{"e": 1e-300}],
        "": "\U0001f431",
    }
    found = answers.encoded(value)
    assert len(found) > 5 and b"".join(found) == JSONResponse(value).body
    with pytest.raises(ValueError, match="JSON"):
        answers.encoded([float("nan")])


def test_the_tokens_written_after_a_space_that_is_owed_hold_it(
    serve: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "spaced"
    text = run.with_suffix(".txt")
    settings: dict[str, Any] = {"steps": 3, "hidden_size": 8, "num_layers": 1, "progress": False}
    pantoum.train(text, run=str(folder), tokens="words:whitespace", **settings)
    found = serve(folder).post("/v1/completions", prompt="The cat", max_tokens=6, logprobs=0, seed=1)
    choice = found.json()["choices"][0]
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
    assert choice["logprobs"]["text_offset"][0] == 0 and choice["text"].startswith(" ")


def test_large_bodies_are_parsed_one_at_a_time_with_time_for_others_between() -> None:
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert not (await receive())["more_body"]
        order.append("parsed")

    def receiving() -> Any:
        left = [{"type": "http.request", "body": b" " * (guard.LARGE + 1), "more_body": False}]

        async def receive() -> Any:
            return left.pop() if left else await asyncio.Event().wait()

        return receive

    async def others() -> None:
        while order.count("parsed") < 5:
            order.append("tick")
            await asyncio.sleep(0)

    async def main() -> None:
        admission = Admission(ServeSettings())
        one = guard.Guard(app, admission=admission, metrics=MagicMock(), full=lambda: False)
        scope = {"type": "http", "http_version": "1.1", "headers": [(b"host", b"localhost")]}
        scope |= {"path": "/v1/score", "method": "POST"}
        asked = [one(scope, receiving(), AsyncMock()) for _ in range(5)]
        await asyncio.wait_for(asyncio.gather(others(), *asked), 60)

    asyncio.run(main())
    assert "parsed parsed" not in " ".join(order)
