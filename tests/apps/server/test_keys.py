"""Keys: how a line is read, whose sessions a key sees, what its quotas allow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.apps.server.keys import Keyring, Quota, keys_of
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError


def test_a_line_says_whose_a_key_is_and_what_it_may() -> None:
    lines = ["# anna", "one", "  # nobody", "two name=ops admin tokens-per-day=9 # of the night", "", "\r"]
    one, two = keys_of(lines, "api_key_file", "keys")
    assert one.secret == b"one" and not one.admin and one.label.startswith("key-")
    assert two.label == "ops" and two.admin and two.most == (("tokens-per-day", 9),)


@pytest.mark.parametrize("words", ["tokens-per-day=0", "tokens-per-day=x", "name=", "root", "admin=1"])
def test_a_wrong_word_is_told_and_the_key_is_not(words: str) -> None:
    with pytest.raises(SettingError, match="line 2") as found:
        keys_of(["a-secret", f"b-secret {words}"], "api_key_file", "keys")
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("content", [b"\n  \n", b"# only a comment\n", b"\xff\xfe"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(SettingError, match="api_key_file is"):
        Keyring(str(tmp_path / "keys"))


def test_a_quota_fills_with_time_and_can_be_overdrawn_once() -> None:
    now = [0.0]
    quota = Quota(60, 60.0, lambda: now[0])
    quota.spend(59)
    assert quota.wait() == 0
    quota.spend(10**9)
    assert quota.wait() == 61.0
    now[0] = 61.5
    assert quota.wait() == 0


def test_what_was_spent_stays_when_the_keys_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("one name=anna requests-per-minute=1\n")
    ring = Keyring(str(file), clock=lambda: 0.0)
    old = ring.find(b"Bearer one")
    assert old is not None and ring.exhausted(old) is None
    ring.spend(old, "requests", 1)
    file.write_text("two name=anna requests-per-minute=1\n")
    ring.read()
    new = ring.find(b"bearer two")
    assert ring.find(b"Bearer one") is None and new is not None
    assert new.owner == old.owner and ring.exhausted(new) is not None


def test_keys_come_from_the_environment_too() -> None:
    settings = ServeSettings(host="0.0.0.0", api_keys="secret-1 name=a, two")
    assert "secret-1" not in repr(settings)
    ring = Keyring(None, settings.api_keys)
    assert ring.needed and ring.find(b"Bearer two") is not None and ring.find(b"Basic two") is None


@pytest.fixture(scope="module")
def shop(serve: Callable[..., Any]) -> Any:
    keys = "one name=anna,two name=anna,few name=few requests-per-minute=2,poor name=poor tokens-per-day=30"
    return serve(api_keys=keys, slots=4)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_session_stays_when_a_key_of_a_name_is_replaced(shop: Any) -> None:
    made = shop.client.post("/v1/sessions", json={"prompt": "The"}, headers=bearer("one")).json()["id"]
    assert shop.client.get(f"/v1/sessions/{made}", headers=bearer("two")).status_code == 200
    assert shop.client.get(f"/v1/sessions/{made}", headers=bearer("poor")).status_code == 404


def test_a_quota_of_requests_and_one_of_tokens_end_in_a_429(shop: Any, until: Callable[..., None]) -> None:
    until(lambda: shop.client.get("/v1/models", headers=bearer("few")).status_code == 429)

    def asked() -> Any:
        fields = {"prompt": "The cat", "max_tokens": 40}
        return shop.client.post("/v1/completions", json=fields, headers=bearer("poor"))

    assert asked().status_code == 200
    until(lambda: asked().status_code == 429)
    refused = asked()
    assert "tokens-per-day" in refused.json()["error"]["message"] and refused.headers["retry-after"]
    assert refused.headers["x-should-retry"] == "false"


def test_metrics_count_by_the_name_of_a_key(shop: Any) -> None:
    shop.client.get("/v1/models", headers=bearer("one"))
    shop.client.post("/v1/completions", json={"prompt": "The", "max_tokens": 5}, headers=bearer("two"))
    found = shop.client.get("/metrics", headers=bearer("one")).text
    assert 'pantoum_key_requests_total{key="anna"}' in found
    (line,) = [one for one in found.splitlines() if one.startswith('pantoum_key_tokens_total{key="anna"}')]
    assert float(line.split()[1]) >= 8
