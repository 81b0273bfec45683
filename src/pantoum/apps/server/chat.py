"""Chat messages as one prompt, by a template that a person can read and replace.

The models here know no chat format of their own: they continue text. The plain template writes each message
as a line ``role: content`` and ends with ``assistant: ``; an answer ends before the next ``\\nuser:``.

A template file has lines ``NAME = TEXT``, in which ``\\n`` is a new line and ``{role}`` and ``{content}``
stand for those of the message:

    message = {role}: {content}\\n
    answer = assistant:
    stop = \\nuser:

``message`` is written for each message; ``message.system`` (or another role) replaces it for that role;
``answer`` is what the model continues; each ``stop`` ends an answer. A value in double quotes keeps its white
space at the ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import ChatMessage
from pantoum.errors import SettingError

__all__ = ["PLAIN", "ChatTemplate"]


@dataclass(frozen=True)
class ChatTemplate:
    """How messages become a prompt."""

    message: str = "{role}: {content}\n"
    answer: str = "assistant:"
    stop: tuple[str, ...] = ("\nuser:",)
    roles: dict[str, str] = field(default_factory=dict)
    """Other forms for some roles."""

    def prompt(self, messages: Sequence[ChatMessage]) -> str:
        """The prompt of a chat."""
        return "".join(self._one(message) for message in messages) + self.answer

    def _one(self, message: ChatMessage) -> str:
        form = self.roles.get(message.role, self.message)
        # Once through the form, so that a role or content with braces in it stays as it is.
        parts = form.split("{content}")
        return content_of(message).join(part.replace("{role}", message.role) for part in parts)

    @staticmethod
    def read(path: str) -> ChatTemplate:
        """The template in a file."""
        try:
            lines = Path(path).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            rule = f"cannot be read ({error})"
            raise SettingError("chat_template", path, rule, "name a text file") from None
        found: dict[str, str] = {}
        stops: list[str] = []
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            name, sign, value = line.partition("=")
            name, value = name.strip(), _text(value.strip())
            known = name in ("message", "answer", "stop") or name.startswith("message.")
            if not sign or not known:
                rule = f"has the line {line!r}"
                advice = "write NAME = TEXT with the names message, message.ROLE, answer, stop"
                raise SettingError("chat_template", path, rule, advice)
            if name == "stop":
                stops.append(value)
            else:
                found[name] = value
        roles = {name.partition(".")[2]: text for name, text in found.items() if "." in name}
        return ChatTemplate(
            found.get("message", PLAIN.message), found.get("answer", PLAIN.answer), tuple(stops), roles
        )


def _text(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return value.replace("\\n", "\n").replace("\\t", "\t")


TEXTS = ("text", "input_text", "output_text")
"""Types of a message's parts that are text, in both of OpenAI's forms."""


def content_of(message: ChatMessage) -> str:
    """The text of a message; what is no text is refused."""
    if isinstance(message.content, str) or message.content is None:
        return message.content or ""
    for part in message.content:
        if part.type not in TEXTS:
            raise RequestError(
                400, f"messages has content of type {part.type!r}: give text only", param="messages"
            )
    return "".join(part.text or "" for part in message.content)


PLAIN = ChatTemplate()
