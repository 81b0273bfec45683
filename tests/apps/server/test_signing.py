"""A state that comes back is what went out, or is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pantoum
from pantoum.apps.server.signing import Signer, load_key, state_folder
from pantoum.errors import SettingError, StateError

SIGNER = Signer(b"k" * 32)


def test_a_user_without_a_home_is_told_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(SettingError, match="needs a home folder; set HOME or XDG_STATE_HOME"):
        state_folder()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "pantoum"


@given(at=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_no_changed_byte_is_accepted(model: pantoum.Model, at: float, change: int) -> None:
    signed = bytearray(SIGNER.sign(model.session().state))
    assert SIGNER.read(bytes(signed)) == model.session().state
    signed[int(at * len(signed))] ^= change
    with pytest.raises(StateError, match="signature"):
        SIGNER.read(bytes(signed))


def test_a_state_of_another_key_or_model_is_refused(
    server: Any, serve: Callable[..., Any], model: pantoum.Model
) -> None:
    text = server.post("/v1/completions", max_tokens=1, return_state=True).json()["choices"][0]["state"]
    with pytest.raises(StateError, match="signature"):
        SIGNER.from_text(text, model._loaded)
    response = serve().post("/v1/completions", state=text)
    assert response.status_code == 422 and response.json()["error"]["code"] == "invalid_state"


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    key = load_key(path)
    assert len(key) == 32 and load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["key"]


def test_a_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(SettingError, match="state_key_file"):
        load_key(tmp_path / "key")


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_key(path)
    path.chmod(0o644)
    with pytest.raises(SettingError, match="chmod 600"):
        load_key(path)
