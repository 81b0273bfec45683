"""Sessions in a real redis-server: replicas share them, and a lost one is a 503. Run by `make check`."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("redis-server") is None, reason="redis-server is missing (Debian: redis-server)"
    ),
]


def listens(path: Path) -> bool:
    """Whether a server takes connections at a Unix socket; the file is there before it does."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.fixture
def redis(tmp_path: Path, until: Callable[..., None]) -> Iterator[Callable[[str], None]]:
    """``redis("start")``, ``redis("stop")``: a server at the Unix socket ``redis.sock`` of the test's
    folder."""
    pytest.importorskip("redis")
    running: list[subprocess.Popen[bytes]] = []

    def do(what: str) -> None:
        if what == "stop":
            one = running.pop()
            one.kill()
            one.wait()
            return
        place = tmp_path / "redis.sock"
        place.unlink(missing_ok=True)
        command = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            str(place),
            "--save",
            "",
            "--dir",
            str(tmp_path),
        ]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        until(lambda: listens(place))

    yield do
    for one in running:
        one.kill()
        one.wait()


def test_replicas_share_sessions_and_outlive_a_lost_store(
    serve: Callable[..., Any], redis: Callable[[str], None], tmp_path: Path
) -> None:
    redis("start")
    shared = {"sessions": f"unix://{tmp_path}/redis.sock", "state_key_file": str(tmp_path / "key")}
    one, two = serve(**shared), serve(**shared)
    fields: dict[str, Any] = {"temperature": 1.0, "seed": 3, "max_tokens": 15}
    session = "/v1/sessions/" + one.post("/v1/sessions", prompt="The cat").json()["id"]
    texts = [
        server.post(f"{session}/generate", **fields).json()["choices"][0]["text"] for server in (one, two)
    ]
    assert "".join(texts) == one.text("The cat", **{**fields, "max_tokens": 30})
    assert two.client.get(session).json()["tokens_seen"] == 37

    redis("stop")
    for server in (one, two):
        lost = server.post(f"{session}/feed", text="x")
        assert lost.status_code == 503 and "Redis does not answer" in lost.json()["error"]["message"]
        assert server.text(max_tokens=2) and server.client.get("/health").status_code == 200
    redis("start")
    assert one.post("/v1/sessions", prompt="The").status_code == 200
    assert (
        one.post(f"{session}/feed", text="x").status_code == 404
    )  # this redis-server was told to save nothing


def test_a_session_that_another_replica_changed_is_a_conflict(
    redis: Callable[[str], None], tmp_path: Path
) -> None:
    redis("start")
    from pantoum.apps.server.stores import RedisStore

    store = RedisStore(f"unix://{tmp_path}/redis.sock", 100.0)
    assert store.put("a", b"1", None, 0.0) and not store.put("a", b"2", None, 0.0)
    assert store.put("a", b"2", b"1", 0.0) and not store.put("a", b"3", b"1", 0.0)
    assert store.get("a", 0.0) == b"2" and store.delete("a") and not store.delete("a")
    store.close()


def test_a_write_whose_answer_was_lost_is_not_done_twice(
    redis: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis("start")
    from pantoum.apps.server.stores import RedisStore

    store = RedisStore(f"unix://{tmp_path}/redis.sock", 100.0)
    send = store._change

    def twice(**call: Any) -> Any:
        """As redis-py does when the first answer does not come in time."""
        send(**call)
        return send(**call)

    monkeypatch.setattr(store, "_change", twice)
    assert store.put("a", b"1", None, 0.0) and store.put("a", b"2", b"1", 0.0)
    assert not store.put("a", b"2", b"1", 0.0), "the same change by somebody else is another one"
    assert store.get("a", 0.0) == b"2"
    store.close()


def test_redis_may_pause_while_a_session_is_written(
    serve: Callable[..., Any], redis: Callable[[str], None], tmp_path: Path
) -> None:
    redis("start")
    import redis as client

    address = f"unix://{tmp_path}/redis.sock"
    server = serve(sessions=address, state_key_file=str(tmp_path / "key"))
    session = f"/v1/sessions/{server.post('/v1/sessions', prompt='The').json()['id']}"
    with client.Redis.from_url(address) as direct:
        direct.execute_command("CLIENT", "PAUSE", "1500", "ALL")
    assert server.post(f"{session}/feed", text="x").json()["tokens_seen"] == 4
    assert server.client.get(session).json()["tokens_seen"] == 4


def test_the_password_of_redis_stands_in_its_address_and_in_no_error(
    redis: Callable[[str], None], tmp_path: Path
) -> None:
    redis("start")
    import redis as client

    from pantoum.apps.server.app import make_store
    from pantoum.apps.server.settings import ServeSettings
    from pantoum.errors import SettingError

    place = f"{tmp_path}/redis.sock"
    with client.Redis.from_url(f"unix://{place}") as direct:
        direct.config_set("requirepass", "pw-of-this-test")
    make_store(ServeSettings(sessions=f"unix://:pw-of-this-test@{place}")).close()
    with pytest.raises(SettingError, match="cannot be reached") as found:
        make_store(ServeSettings(sessions=f"unix://:pw-of-another@{place}"))
    assert "pw-of" not in str(found.value)
