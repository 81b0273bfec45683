"""States that leave the server: signed, so that what comes back is what went out.

A signed state is 4 bytes ``PTS1``, the HMAC-SHA256 (32 bytes) of the state's bytes, and the state's bytes
(``formats.state_file``), which name the model by its SHA-256 and the format by its version. Any server with
the same key and the same model can go on from it. As text it is base64.

The key is 32 random bytes in a file of mode 0600, made at the first start. Whoever has the key can make
states that this server accepts; without it a changed byte, another model or another key is refused.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from pantoum.errors import SettingError, StateError
from pantoum.seams import LoadedModel, State

__all__ = ["Signer", "load_key", "state_folder"]

MAGIC = b"PTS1"
KEY_SIZE = 32
DIGEST_SIZE = 32
REFUSED = (
    "the state cannot be used: {}; send one that this server made for this model, or start without a state"
)


def state_folder() -> Path:
    """Where a user's server keeps its key and its sessions, unless flags name other places."""
    if base := os.environ.get("XDG_STATE_HOME"):
        return Path(base) / "pantoum"
    try:
        return Path.home() / ".local" / "state" / "pantoum"
    except RuntimeError:  # a container may run as a user that the system does not know
        raise SettingError(
            "state_key_file",
            None,
            "needs a home folder",
            "set HOME or XDG_STATE_HOME to a folder that you own",
        ) from None


def load_key(path: Path) -> bytes:
    """The key in a file; where there is none, it is made. Two servers that start at once get the same one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        if not path.exists():
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(secrets.token_bytes(KEY_SIZE))
                    file.flush()
                    os.fsync(file.fileno())
                with suppress(FileExistsError):
                    os.link(fresh, path)
            finally:
                fresh.unlink()
        key = path.read_bytes()
        public = os.name == "posix" and path.stat().st_mode & stat.S_IROTH
    except OSError as error:
        rule = f"cannot be read or made ({error.strerror})"
        raise SettingError(
            "state_key_file", str(path), rule, "name a file in a folder that you own"
        ) from error
    if public:
        rule = "can be read by everybody on this machine, and whoever has it can forge states"
        raise SettingError("state_key_file", str(path), rule, f"run: chmod 600 {path}")
    if len(key) < KEY_SIZE:
        rule = f"must hold at least {KEY_SIZE} bytes"
        raise SettingError("state_key_file", str(path), rule, "remove it, and the next start makes another")
    return key


class Signer:
    """Signs states, and reads what it signed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, state: State) -> bytes:
        """A state as it leaves the server."""
        data = bytes(state)
        return MAGIC + self._mac(data) + data

    def read(self, signed: bytes) -> State:
        """The state of ``sign``'s bytes; whatever else it is, is a ``StateError``."""
        body = signed[len(MAGIC) + DIGEST_SIZE :]
        given = signed[len(MAGIC) : len(MAGIC) + DIGEST_SIZE]
        if signed[: len(MAGIC)] != MAGIC or not hmac.compare_digest(given, self._mac(body)):
            raise StateError(REFUSED.format("its signature does not match"))
        return State.from_bytes(body)

    def to_text(self, state: State) -> str:
        """A signed state in base64."""
        return base64.b64encode(self.sign(state)).decode("ascii")

    def from_text(self, text: str | None, model: LoadedModel) -> State | None:
        """The inverse of ``to_text``; another model's state is refused. ``None`` for none."""
        if text is None:
            return None
        try:
            signed = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise StateError(REFUSED.format("it is not base64")) from None
        state = self.read(signed)
        state.for_model(model)
        return state

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, MAGIC + data, "sha256")
