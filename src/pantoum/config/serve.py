"""How models are served: the address, the bounds, the keys, where sessions live."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from pantoum.config.rules import number, option, require, settle, whole

__all__ = ["ServeSettings"]


@dataclass(frozen=True)
class ServeSettings:
    """The settings of ``pantoum serve``."""

    host: str = option("127.0.0.1", "the address to listen on", metavar="ADDRESS")
    """The address to listen on; another than loopback requires ``api_key_file``."""
    port: int = option(8000, "the port to listen on; 0 takes a free one and tells it", metavar="N")
    """The port; 0: a free one."""
    uds: str | None = option(None, "listen on this Unix socket instead of an address", metavar="FILE")
    """A Unix socket; its permissions say who may use the server."""
    root_path: str = option("", "the prefix of a proxy under which the server is seen", metavar="/PREFIX")
    """The prefix of all paths, as clients see them; the proxy may take it away or leave it."""
    allow_host: tuple[str, ...] = option(
        (), "without keys: a name by which clients reach the server; may be repeated", metavar="NAME"
    )
    """Names that the header Host may have beside those of this machine, where no keys are needed."""
    drain_delay: float = option(
        0.0, "after SIGTERM, go on taking requests so long, while /ready is 503", metavar="S"
    )
    """Seconds that a load balancer has to notice the end of the server."""
    slots: int = option(64, "texts that one model writes or reads at the same time", metavar="N")
    """Streams of one model that are read or written at the same time."""
    queue: int = option(256, "texts that may wait for a slot; then the answer is 429", metavar="N")
    """Streams of one model that may wait."""
    max_prompt: int = option(500_000, "tokens that the prompts of one request may have", metavar="N")
    """Tokens of all prompts of a request, or of the text that it scores."""
    max_tokens: int = option(1_000_000, "tokens that a request may ask for, per text", metavar="N")
    """The largest ``max_tokens`` of a request."""
    max_answer: int = option(16, "megabytes of JSON that one answer may have", metavar="MB")
    """The size of an answer, as estimated before it is made; what is streamed as it is written is free."""
    api_key_file: str | None = option(
        None, "accept only requests with one of the keys in this file, one per line", metavar="FILE"
    )
    """Keys that a request must carry as ``Authorization: Bearer KEY``."""
    api_keys: str | None = field(default=None, repr=False)
    """Keys as in that file, with commas or lines between; from the environment alone."""
    state_key_file: str | None = option(
        None, "the key that signs states; made where it does not exist", metavar="FILE"
    )
    """The key of the states' signatures; ``None``: ``state.key`` in the user's state folder."""
    sessions: str | None = option(
        None,
        "where sessions are kept: a SQLite file, or a server of several replicas",
        metavar="FILE|redis://...",
    )
    """The store of sessions; ``None``: ``sessions-PORT.sqlite`` in the user's state folder."""
    redis_password_file: str | None = option(None, "a file with the password of Redis", metavar="FILE")
    """The password of Redis, so that it stands in no command line."""
    redis_password: str | None = field(default=None, repr=False)
    """That password itself; from the environment alone."""
    session_memory: int = option(768, "megabytes of sessions that are kept in memory, too", metavar="MB")
    """The memory for sessions, in megabytes; the least recently used ones are read from the store."""
    session_hours: float = option(168.0, "a session that nobody used for so long is deleted", metavar="H")
    """Idle time after which a session expires."""
    cors_origin: tuple[str, ...] = option(
        (), "let pages of this origin use the server; may be repeated", metavar="ORIGIN"
    )
    """Origins of pages that may call the server."""
    chat_template: str | None = option(None, "the template of chat prompts", metavar="FILE")
    """A file with the template of chat prompts; ``None``: the plain one."""
    timeout: float = option(600.0, "the longest that one answer may take, in seconds", metavar="S")
    """Seconds after which the texts of a request end as they are; a prompt that was not read is an error."""

    def __post_init__(self) -> None:
        settle(self)
        whole(self.port, "port", least=0, most=65535)
        whole(self.slots, "slots", most=4096)
        whole(self.queue, "queue", least=0, most=1_000_000)
        whole(self.max_prompt, "max_prompt")
        whole(self.max_tokens, "max_tokens")
        whole(self.max_answer, "max_answer", most=100_000)
        whole(self.session_memory, "session_memory", least=0, most=1_000_000)
        number(self.session_hours, "session_hours", above=0.0, most=1e6)
        number(self.timeout, "timeout", above=0.0, most=86_400.0)
        number(self.drain_delay, "drain_delay", most=3600.0)
        require(
            not self.root_path or (self.root_path.startswith("/") and not self.root_path.endswith("/")),
            "root_path",
            self.root_path,
            "must begin with / and not end with it",
            "give --root-path /models, say",
        )
        keys = self.api_key_file is not None or self.api_keys is not None
        require(
            loopback(self.host) or keys or self.uds is not None,
            "host",
            self.host,
            "is reachable from other machines and needs API keys",
            "give --api-key-file FILE with a key per line, or leave --host out",
        )


def loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
