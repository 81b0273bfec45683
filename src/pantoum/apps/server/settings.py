"""How models are served: the address, the bounds, the keys, where sessions live."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network

from pantoum.seams import SettingGroup, require, setting
from pantoum.seams import check_number as number
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
        "the address to listen on; another than loopback needs --api-key-file",
        text,
        metavar="ADDRESS",
    )
    port: int = setting(
        8000,
        "the port to listen on; 0 takes a free one and tells it",
        partial(whole, least=0, most=65535),
        metavar="N",
    )
    uds: str | None = setting(
        None,
        "listen on this Unix socket, for its owner and group, instead of an address",
        path,
        metavar="FILE",
    )
    root_path: str | None = setting(
        None,
        "the prefix under which a proxy shows the server; the proxy may take it away or leave it",
        text,
        metavar="/PREFIX",
    )
    forwarded_allow_ips: str | None = setting(
        None,
        "proxies whose X-Forwarded-For names the client: addresses or networks with commas between; *: any",
        text,
        metavar="ADDRESSES",
    )
    allow_host: tuple[str, ...] = setting(
        (), "without keys: a name by which clients reach the server; may be repeated", texts, metavar="NAME"
    )
    drain_delay: float = setting(
        0.0,
        "after SIGTERM, go on taking requests so long, in seconds, while /ready is 503",
        partial(number, least=0.0, most=3600.0),
        metavar="S",
    )
    slots: int = setting(
        64, "texts that one model writes or reads at the same time", partial(whole, most=4096), metavar="N"
    )
    queue: int = setting(
        256,
        "texts that may wait for a slot; then the answer is 429",
        partial(whole, least=0, most=1_000_000),
        metavar="N",
    )
    max_prompt: int = setting(
        500_000,
        "tokens that the prompts of one request may have, or a text that it scores",
        whole,
        metavar="N",
    )
    max_tokens: int = setting(1_000_000, "tokens that a request may ask for, per text", whole, metavar="N")
    max_answer: int = setting(
        16,
        "megabytes of JSON that one answer may have, as estimated before it is made; a stream may have more",
        partial(whole, most=100_000),
        metavar="MB",
    )
    api_key_file: str | None = setting(
        None, "accept only requests with one of the keys in this file, one per line", path, metavar="FILE"
    )
    api_keys: str | None = field(
        default=None,
        repr=False,
        metadata={"help": "keys with commas or lines between", "rule": text, "option": False},
    )
    """Keys as in that file. A secret stands in no command line: from the environment alone."""
    state_key_file: str | None = setting(
        None,
        "the key that signs states; made where it does not exist",
        path,
        metavar="FILE",
        chosen="state.key in the user's state folder",
    )
    sessions: str | None = setting(
        None,
        "where sessions are kept: a SQLite file, or a server of several replicas",
        text,
        metavar="FILE|redis://...",
        chosen="sessions-PORT.sqlite in the user's state folder",
    )
    redis_password_file: str | None = setting(None, "a file with the password of Redis", path, metavar="FILE")
    redis_password: str | None = field(
        default=None,
        repr=False,
        metadata={"help": "the password of Redis", "rule": text, "option": False},
    )
    """That password itself, from the environment alone."""
    session_memory: int = setting(
        768,
        "megabytes of sessions that are kept in memory, too",
        partial(whole, least=0, most=1_000_000),
        metavar="MB",
    )
    session_hours: float = setting(
        168.0,
        "a session that nobody used for so long is deleted",
        partial(number, above=0.0, most=1e6),
        metavar="H",
    )
    cors_origin: tuple[str, ...] = setting(
        (), "let pages of this origin use the server; may be repeated", texts, metavar="ORIGIN"
    )
    chat_template: str | None = setting(None, "the template of chat prompts", path, metavar="FILE")
    timeout: float = setting(
        600.0,
        "the longest that one answer may take, in seconds; its texts end as they are",
        partial(number, above=0.0, most=86_400.0),
        metavar="S",
    )

    def agree(self) -> None:
        """An address that others reach needs keys."""
        root = self.root_path
        require(
            root is None or (root.startswith("/") and not root.endswith("/")),
            "root_path",
            root,
            "must begin with / and not end with it",
            "give --root-path /models, say",
        )
        for address in (self.forwarded_allow_ips or "*").split(","):
            require(
                address.strip() == "*" or network(address.strip()),
                "forwarded_allow_ips",
                self.forwarded_allow_ips,
                f"has {address.strip()!r}, which is no address and no network",
                "give --forwarded-allow-ips 127.0.0.1,10.0.0.0/8, say, or * behind a Unix socket",
            )
        keys = self.api_key_file is not None or self.api_keys is not None
        require(
            loopback(self.host) or keys or self.uds is not None,
            "host",
            self.host,
            "is reachable from other machines and needs API keys",
            "give --api-key-file FILE with a key per line, or leave --host out",
        )


def network(address: str) -> bool:
    """Whether this is an address or a network."""
    try:
        ip_network(address)
    except ValueError:
        return False
    return True


def loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
