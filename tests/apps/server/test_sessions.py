"""Sessions: a text whose state the server keeps, also when it is killed, and as long as its store answers."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.apps.server.app import make_store
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.sessions import HEAD, SessionTable
from pantoum.apps.server.settings import ServeSettings
from pantoum.apps.server.stores import SqliteStore
from pantoum.errors import SettingError

FIELDS: dict[str, Any] = {"temperature": 1.0, "seed": 6}


def ran(body: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a thread: a browser of other tests may have left a loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, body).result()


def begun(server: Any, **fields: Any) -> str:
    response = server.post("/v1/sessions", **fields)
    assert response.status_code == 200, response.text
    return "/v1/sessions/" + response.json()["id"]


def wrote(server: Any, session: str, count: int, **fields: Any) -> str:
    response = server.post(f"{session}/generate", max_tokens=count, **FIELDS, **fields)
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["text"])


def test_a_session_feeds_writes_forks_and_rewinds_like_one_text(server: Any, model: pantoum.Model) -> None:
    session = begun(server, prompt="The cat")
    assert server.post(f"{session}/feed", text=" number").json()["tokens_seen"] == 14
    expected = model.generate("The cat number", length=50, exact=True, **FIELDS)
    first = wrote(server, session, 20)
    fork = "/v1/sessions/" + server.post(f"{session}/fork").json()["id"]
    assert first + wrote(server, session, 30) == expected
    assert wrote(server, fork, 30) == expected[20:]
    assert server.post(f"{session}/rewind", tokens_seen=14).json()["tokens_seen"] == 14
    assert wrote(server, session, 50) == expected
    assert server.client.get(session).json()["marks"] == [7, 14, 64]


def test_a_session_leaves_as_a_state_and_comes_from_one(server: Any) -> None:
    session = begun(server, prompt="The dog")
    exported = server.client.get(f"{session}/state").json()
    expected = wrote(server, session, 25)
    assert server.text(state=exported["state"], prompt="", max_tokens=25, **FIELDS) == expected
    assert wrote(server, begun(server, state=exported["state"]), 25) == expected
    again = begun(server, **{"from": session.rpartition("/")[2]})
    assert server.client.get(again).json()["tokens_seen"] == 32
    assert server.client.delete(again).json()["deleted"] is True
    assert server.client.get(again).status_code == 404


def test_a_stream_keeps_the_session_before_it_ends(server: Any) -> None:
    session = begun(server, prompt="A")
    twin = begun(server, prompt="A")
    with server.client.stream(
        "POST", f"{session}/generate", json={"max_tokens": 12, "stream": True, **FIELDS}
    ) as response:
        lines = [json.loads(line[6:]) for line in response.iter_lines() if line and "[DONE]" not in line]
    assert lines[-1]["session"]["tokens_seen"] == 13
    assert "".join(line["choices"][0]["text"] for line in lines[:-1]) == wrote(server, twin, 12)
    assert server.client.get(session).json()["tokens_seen"] == 13


def test_no_session_is_lost_by_sigkill(process: Callable[..., Any]) -> None:
    one = process()
    names = [one.client.post("/v1/sessions", json={"prompt": "x" * k}).json()["id"] for k in range(1, 9)]
    state = one.client.get(f"/v1/sessions/{names[3]}/state").json()["state"]
    path, fields = f"/v1/sessions/{names[3]}/generate", {"max_tokens": 9, **FIELDS}
    one.kill()
    two = process()
    assert [two.client.get(f"/v1/sessions/{name}").json()["tokens_seen"] for name in names] == list(
        range(1, 9)
    )
    text = two.client.post(path, json=fields).json()["choices"][0]["text"]
    again = two.client.post("/v1/completions", json={"state": state, "prompt": "", **fields})
    assert again.json()["choices"][0]["text"] == text
    assert two.stop() == 0


def test_servers_side_by_side_have_files_of_their_own_and_share_the_key(process: Callable[..., Any]) -> None:
    one, two = process(), process()
    fields = {"prompt": "The", "max_tokens": 5, **FIELDS}
    state = one.client.post("/v1/completions", json={**fields, "return_state": True}).json()["choices"][0][
        "state"
    ]
    assert two.client.post("/v1/completions", json={**fields, "state": state}).status_code == 200
    name = one.client.post("/v1/sessions", json={"prompt": "The"}).json()["id"]
    assert two.client.get(f"/v1/sessions/{name}").status_code == 404


def test_a_store_that_refuses_is_a_503_for_its_sessions_alone(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    session = begun(server, prompt="The cat")

    def full(*arguments: Any) -> bool:
        raise sqlite3.OperationalError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "put", full)
        response = server.post(f"{session}/feed", text=" sat")
        assert response.status_code == 503 and "disk is full" in response.json()["error"]["message"]
        with server.client.stream("POST", f"{session}/generate", json={"stream": True}) as stream:
            assert "error" in json.loads([line for line in stream.iter_lines() if line][-1][6:])
        assert server.post("/v1/sessions").status_code == 503
        assert server.text(max_tokens=3) and server.client.get("/health").status_code == 200
    assert server.client.get(session).json()["tokens_seen"] == 7
    assert server.post(f"{session}/feed", text=" sat").json()["tokens_seen"] == 11


def test_a_session_is_for_one_request_at_a_time(serve: Callable[..., Any]) -> None:
    server = serve()
    session = begun(server, prompt="A")
    with server.client.stream(
        "POST", f"{session}/generate", json={"stream": True, "max_tokens": 100_000}
    ) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert server.post(f"{session}/feed", text="x").status_code == 409
    while (found := server.post(f"{session}/feed", text="x")).status_code == 409:
        pass
    assert found.json()["tokens_seen"] == 2  # what was cut off left nothing


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/v1/sessions/unknown/feed", {"text": "a"}, 404),
        ("/v1/sessions/unknown/fork", {}, 404),
        ("/v1/sessions", {"from": "unknown"}, 404),
        ("/v1/sessions", {"state": "AAAA"}, 422),
        ("/v1/sessions", {"state": "A", "from": "b"}, 400),
    ],
)
def test_what_cannot_be_done_with_a_session_is_said(
    server: Any, path: str, fields: dict[str, Any], status: int
) -> None:
    assert server.post(path, **fields).status_code == status


def test_rewinding_to_no_mark_names_the_marks(server: Any) -> None:
    response = server.post(begun(server, prompt="abc") + "/rewind", tokens_seen=2)
    assert response.status_code == 404 and "marks at 3" in response.json()["error"]["message"]


def test_the_file_forgets_what_nobody_used_and_belongs_to_one_server(tmp_path: Any) -> None:
    store = SqliteStore(str(tmp_path / "a.sqlite"), 100.0)
    store.put("a", b"1", None, now=1000.0)
    store.put("b", b"2", None, now=1050.0)
    assert store.get("a", 1099.0) == b"1" and store.get("b", 1151.0) is None
    assert store.expire(1160.0) == 1 and store.get("a", 1160.0) == b"1"
    with pytest.raises(pantoum.PantoumError, match="--sessions FILE"):
        SqliteStore(str(tmp_path / "a.sqlite"), 100.0)
    store.close()
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("create table cats (name text)")
    other.commit()
    other.close()
    with pytest.raises(pantoum.PantoumError, match="another program"):
        SqliteStore(str(tmp_path / "other.sqlite"), 100.0)


@pytest.mark.parametrize("value", [b"", b"x", bytes(12) + b"\x09", HEAD.pack(1, 50) + b"short"])
def test_a_value_of_somebody_else_is_no_session(tmp_path: Path, value: bytes) -> None:
    store = SqliteStore(str(tmp_path / "sessions.sqlite"), 1000.0)
    store.put("a", value, None, time.time())
    table = SessionTable(store, 1000.0)
    with pytest.raises(RequestError) as caught:
        ran(table.read("a"))
    table.close()
    assert caught.value.status == 404


@pytest.mark.parametrize("address", ["postgres://user:secret@host/db", "mysql://x"])
def test_a_store_of_an_unknown_kind_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="redis://") as caught:
        make_store(ServeSettings(sessions=address))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("completions", "prompt"),
        ("sessions", "prompt"),
        ("sessions", "from"),
        ("score", "text"),
        ("embeddings", "input"),
        ("responses", "instructions"),
        ("responses", "user"),
        ("chat/completions", "model"),
    ],
)
def test_half_of_a_surrogate_pair_is_refused(server: Any, path: str, name: str) -> None:
    body = json.dumps({name: "a\ud800b", "echo": True, "logprobs": 1})
    response = server.client.post(f"/v1/{path}", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400 and "half of a surrogate" in response.json()["error"]["message"]


def test_a_clock_that_jumps_ahead_deletes_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = SessionTable(SqliteStore(str(tmp_path / "sessions.sqlite"), 1000.0), 1000.0)
    ahead = time.time() + 8 * 86_400

    async def main() -> None:
        held = await table.create(((3, b"state"),))
        monkeypatch.setattr(time, "time", lambda: ahead)
        watching = asyncio.create_task(table.watch())
        await asyncio.sleep(0)
        assert (await table.read(held.name)).marks == ((3, b"state"),)
        watching.cancel()

    ran(main())
    table.close()


def test_only_what_is_known_is_said_of_a_store_that_does_not_answer(server: Any) -> None:
    def lost(*arguments: Any) -> None:
        raise sqlite3.OperationalError("the store does not answer")

    session = begun(server, prompt="The cat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteStore, "put", lost)
        message = server.post(f"{session}/feed", text="x").json()["error"]["message"]
        assert "is not known" in message and "nothing was changed" not in message
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteStore, "get", lost)
        table_is_asked = server.client.get("/v1/sessions/another")
        assert "nothing was changed" in table_is_asked.json()["error"]["message"]


def test_a_request_that_says_where_the_session_stands_is_not_done_twice(server: Any) -> None:
    session = f"/v1/sessions/{server.post('/v1/sessions', prompt='The').json()['id']}"
    assert server.post(f"{session}/feed", text=" cat", tokens_seen=3).json()["tokens_seen"] == 7
    again = server.post(f"{session}/feed", text=" cat", tokens_seen=3)
    assert again.status_code == 409 and "is at 7" in again.json()["error"]["message"]
    assert server.post(f"{session}/generate", max_tokens=2, tokens_seen=3).status_code == 409
    assert server.post(f"{session}/generate", max_tokens=2, tokens_seen=7).status_code == 200


def test_the_sessions_of_a_key_are_listed_in_parts(serve: Callable[..., Any]) -> None:
    server = serve(api_keys="one,two", slots=2)
    own, other = ({"Authorization": f"Bearer {key}"} for key in ("one", "two"))
    made = sorted(server.client.post("/v1/sessions", json={}, headers=own).json()["id"] for _ in range(3))
    found = server.client.get("/v1/sessions?limit=2", headers=own).json()
    assert [one["id"] for one in found["data"]] == made[:2] and found["has_more"]
    rest = server.client.get(f"/v1/sessions?after={made[1]}", headers=own).json()
    assert [one["id"] for one in rest["data"]] == made[2:] and not rest["has_more"]
    assert server.client.get("/v1/sessions", headers=other).json()["data"] == []


def test_a_server_without_keys_lists_what_nobody_owns(serve: Callable[..., Any], tmp_path: Path) -> None:
    store = str(tmp_path / "sessions.sqlite")
    keyed = serve(api_keys="one", slots=2, sessions=store)
    keyed.client.post("/v1/sessions", json={}, headers={"Authorization": "Bearer one"})
    keyed.close()
    free = serve(slots=2, sessions=store)
    made = free.post("/v1/sessions").json()["id"]
    assert [one["id"] for one in free.client.get("/v1/sessions").json()["data"]] == [made]
