"""Long answers are made beside the event loop, and are what short ones are."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import JSONResponse

import pantoum
from pantoum.apps.server import aside
from pantoum.apps.server.aside import LARGE, MANY, WAITING, Answers, Line, encoded
from pantoum.apps.server.caller import CALLER, Caller
from pantoum.apps.server.recorded import Recorded
from pantoum.apps.server.refusals import RequestError

LONG = "The cat number 7 sat. " * (3 * MANY // 22)


@pytest.fixture
def working(server: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Which of the long work was done, and whether by the thread of the event loop."""
    found: dict[str, bool] = {}

    def watched(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            found[name] = found.get(name, False) or threading.current_thread() is server._thread
            return function(*arguments)

        monkeypatch.setattr(owner, name, call)

    watched(Recorded, "add")
    watched(aside, "encoded")
    return found


def test_the_tokens_of_a_long_prompt_are_put_together_beside_the_event_loop(
    server: Any, working: dict[str, bool]
) -> None:
    fields = {"max_tokens": 0, "echo": True, "logprobs": 1}
    found = server.post("/v1/completions", prompt=LONG, n=2, **fields).json()["choices"]
    assert working == {"add": False, "encoded": False}
    assert found[0]["logprobs"] == found[1]["logprobs"]
    assert "".join(found[0]["logprobs"]["tokens"]) == LONG
    assert found[0]["logprobs"]["text_offset"] == list(range(len(LONG)))


def as_client(name: str, work: Any) -> asyncio.Task[Any]:
    """A task of a request of this client."""
    context = contextvars.copy_context()
    context.run(CALLER.set, Caller(name))
    task: asyncio.Task[Any] = context.run(asyncio.get_running_loop().create_task, work)
    return task


def test_many_pieces_of_work_of_one_client_delay_another_by_one() -> None:
    order: list[str] = []

    async def main() -> None:
        line = Line()
        tasks = [as_client("a", line.run(order.append, f"a{n}")) for n in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()  # it has gone while it waited
        tasks.append(as_client("b", line.run(order.append, "b0")))
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert order == ["a0", "a1", "b0", "a3", "a4"]


def test_large_answers_of_one_client_leave_room_for_others() -> None:
    async def main() -> None:
        answers, took = Answers(4 * LARGE), list[str]()

        async def take(name: str, size: int) -> ExitStack:
            await answers.take(size)
            took.append(name)
            return CALLER.get().ends

        first = await as_client("a", take("a1", 2 * LARGE))
        waiting = [as_client("a", take("a2", LARGE)), as_client("b", take("b1", 2 * LARGE))]
        await waiting[1]
        assert took == ["a1", "b1"]
        await as_client("b", take("small", LARGE - 1))
        first.close()
        await waiting[0]
        crowd = [as_client("a", take("a", 2 * LARGE)) for _ in range(WAITING)]
        await asyncio.sleep(0)
        assert sum(one.done() for one in crowd) == WAITING // 2
        refused = next(one.exception() for one in crowd if one.done())
        assert isinstance(refused, RequestError) and refused.status == 429
        for one in crowd:
            one.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("by", ["token", "line"])
def test_a_long_text_is_scored_beside_the_event_loop(
    server: Any, model: pantoum.Model, working: dict[str, bool], by: str
) -> None:
    items = server.post("/v1/score", text=LONG, by=by).json()["items"]
    assert working == {"encoded": False}
    assert [item["nats"] for item in items] == [item.nats for item in model.score(LONG, by=by).items]


def test_a_stream_gives_the_tokens_of_a_long_prompt_some_at_a_time(server: Any) -> None:
    fields = {"prompt": LONG, "max_tokens": 5, "echo": True, "logprobs": 3, "seed": 1}
    whole = server.post("/v1/completions", **fields).json()["choices"][0]
    lines = server.post("/v1/completions", stream=True, **fields).text.split("\n\n")[:-2]
    parts = [json.loads(line.removeprefix("data: "))["choices"][0] for line in lines]
    assert "".join(part["text"] for part in parts) == whole["text"]
    for name, values in whole["logprobs"].items():
        assert [value for part in parts for value in part["logprobs"][name]] == values
    assert max(len(part["logprobs"]["tokens"]) for part in parts) <= MANY / 4
    assert [part["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + ["length"]


def test_a_long_answer_is_encoded_in_pieces_that_join_to_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "PIECE", 3)
    value = {
        "a": [1, -0.1, None, True, '\u20ac\n"'],
        "b": {},
        "c": [],
        "d": [{"e": 1e-300}],
        "": "\U0001f431",
    }
    found = encoded(value)
    assert len(found) > 5 and b"".join(found) == JSONResponse(value).body
    with pytest.raises(ValueError, match="JSON"):
        encoded([float("nan")])


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
