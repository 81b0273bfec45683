"""How models are served: the address, the bounds, the keys, where sessions live."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network

from pantoum.seams import SettingGroup, require, setting
from pantoum.seams import check_path as path
from pantoum.seams import check_text as text
from pantoum.seams import check_texts as texts
from pantoum.seams import check_whole as whole

__all__ = ["ServeSettings"]


@dataclass(frozen=True)
class ServeSettings(SettingGroup):
    """The settings of ``pantoum serve``."""

    host: str = setting(
        "127.0.0.1",
        "the address to listen on; any but a loopback address needs --api-key-file",
        text,
        metavar="ADDRESS",
    )
    port: int = setting(
        8000,
        "the port to listen on; 0 takes a free one and prints it",
        partial(whole, least=0, most=65535),
        metavar="N",
        chosen="8000",
    )
    root_path: str = setting(
        "",
        "the path under which a proxy serves this server, which the proxy removes",
        text,
        metavar="/PREFIX",
    )
    forwarded_allow_ips: str | None = setting(
        None,
        "proxies whose X-Forwarded-For names the client: addresses or networks, separated by commas; *: any",
        text,
        metavar="ADDRESSES",
    )
    allow_host: tuple[str, ...] = setting(
        (), "without keys: a name by which clients reach the server; may be repeated", texts, metavar="NAME"
    )
    slots: int = setting(
        64, "texts that one model writes or reads at the same time", partial(whole, most=4096), metavar="N"
    )
    queue: int = setting(
        256,
        "texts that may wait for a slot; when all places are taken the answer is 429",
        partial(whole, least=0, most=1_000_000),
        metavar="N",
    )
    api_key_file: str | None = setting(
        None, "accept only requests with one of the keys in this file, one per line", path, metavar="FILE"
    )
    api_keys: str | None = field(
        default=None,
        repr=False,
        metadata={"help": "keys, separated by commas or lines", "rule": text, "option": False},
    )
    """Keys as in that file. A secret stands in no command line: from the environment alone."""
    state_key_file: str | None = setting(
        None,
        "the key that signs states; created if it does not exist",
        path,
        metavar="FILE",
        chosen="state.key in the user's state folder",
    )
    sessions: str | None = setting(
        None,
        "where sessions are kept: a SQLite file, or Redis for several replicas",
        text,
        metavar="FILE|redis://...",
        chosen="sessions-PORT.sqlite in the user's state folder",
    )
    cors_origin: tuple[str, ...] = setting(
        (), "let pages of this origin use the server; may be repeated", texts, metavar="ORIGIN"
    )
    chat_template: str | None = setting(None, "the template of chat prompts", path, metavar="FILE")

    def agree(self) -> None:
        """An address that others reach needs keys."""
        require(
            not self.root_path or (self.root_path.startswith("/") and not self.root_path.endswith("/")),
            "root_path",
            self.root_path,
            "must begin with / and not end with it",
            "give for example --root-path /models",
        )
        for address in (self.forwarded_allow_ips or "*").split(","):
            require(
                address.strip() == "*" or _is(ip_network, address.strip()),
                "forwarded_allow_ips",
                self.forwarded_allow_ips,
                f"has {address.strip()!r}, which is neither an address nor a network",
                "give for example --forwarded-allow-ips 127.0.0.1,10.0.0.0/8",
            )
        host = self.host.strip("[]")
        require(
            host == "localhost"
            or (_is(ip_address, host) and ip_address(host).is_loopback)
            or self.api_key_file is not None
            or self.api_keys is not None,
            "host",
            self.host,
            "is reachable from other machines and needs API keys",
            "give --api-key-file FILE with a key per line, or leave --host out",
        )


def _is(kind: type | object, address: str) -> bool:
    """Whether this is an address, or a network."""
    try:
        kind(address)  # type: ignore[operator]
    except ValueError:
        return False
    return True
