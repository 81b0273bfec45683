"""Keys: how a line is read, and whose sessions a key sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.apps.server.guard import Admission, keys_of
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError


def test_a_line_says_whose_a_key_is() -> None:
    lines = ["# anna", "one", "  # nobody", "two name=ops # of the night", "", "\r"]
    one, two = keys_of(lines, "api_key_file", "keys")
    assert one.secret == b"one" and one.label.startswith("key-") and two.label == "ops"


@pytest.mark.parametrize("words", ["tokens-per-day=5", "name=", "root", "admin", "name=a name=b"])
def test_a_wrong_word_is_told_and_the_key_is_not(words: str) -> None:
    with pytest.raises(SettingError, match="line 2") as found:
        keys_of(["a-secret", f"b-secret {words}"], "api_key_file", "keys")
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("content", [b"\n  \n", b"# only a comment\n", b"\xff\xfe"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(SettingError, match="api_key_file is"):
        Admission(ServeSettings(api_key_file=str(tmp_path / "keys")))


def test_keys_come_from_the_environment_too() -> None:
    settings = ServeSettings(host="0.0.0.0", api_keys="secret-1 name=a, two")
    assert "secret-1" not in repr(settings)
    found = Admission(settings)
    assert found.key({b"authorization": b"bearer two"}) is not None
    assert found.key({b"authorization": b"Basic two"}) is None


def test_a_session_stays_when_a_key_of_a_name_is_replaced(serve: Callable[..., Any]) -> None:
    shop = serve(api_keys="one name=anna,two name=anna,other name=other", slots=4)

    def bearer(key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    made = shop.client.post("/v1/sessions", json={"prompt": "The"}, headers=bearer("one")).json()["id"]
    assert shop.client.get(f"/v1/sessions/{made}", headers=bearer("two")).status_code == 200
    assert shop.client.get(f"/v1/sessions/{made}", headers=bearer("other")).status_code == 404
