"""What a training card says, in rows for people.

A card comes out of a file that anyone may have made: what is missing, or is not what a card of ours has
there, gives no row, or a dash. It never is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pantoum.config.plain import Plain
from pantoum.report.plot import sparkline
from pantoum.report.wording import comparable, count, figure, finite, loss_in_words, perplexity

Rows = list[tuple[str, str]]


def card_rows(card: Mapping[str, Plain]) -> Rows:
    """What the card says of texts, steps, figures and curve."""
    rows: Rows = []
    if names := _texts(card):
        rows.append(("trained on", names))
    if finite(card.get("step")) is not None:
        steps = f"{whole(card['step'])} step{'' if card['step'] == 1 else 's'}"
        rows.append(("after", f"{steps}; the whole run read {count(card.get('tokens_trained'))} tokens"))
    if card.get("trained_in") is not None:
        rows.append(("and then", f"trained further in {card['trained_in']!s:.40}; not evaluated since"))
    if imported := _part(card, "imported"):
        name, sha256 = f"{imported.get('name')!s:.200}", f"{imported.get('sha256')!s:.64}"
        rows.append(("imported from", f"{imported.get('from')!s:.40}: {name}, SHA-256 {sha256}"))
    if isinstance(card.get("validation"), Mapping):
        rows += _held_out(_part(card, "validation"), ", before it adapted" if card.get("adapted") else "")
    if isinstance(_part(card, "int8").get("cost"), Mapping):
        cost = _part(_part(card, "int8"), "cost")
        nats = finite(cost.get("nats_per_token"))
        costs = count(None) if nats is None else f"{nats:+.4f}"
        protocol = f"{cost.get('protocol')!s:.40}"
        rows.append(
            ("int8 costs", f"{costs} nats per token by {protocol} ({count(cost.get('tokens'))} tokens)")
        )
    if finite(times := card.get("adapted_times")):
        rows.append(("adapted", f"{whole(times)} times; the first and the last:"))
    for one in _mappings(card.get("adapted")):
        names = _texts(one)
        rows.append(("adapted to", f"{names}{', ' if names else ''}{count(one.get('tokens'))} tokens"))
    return rows + curve_rows([point.get("loss") for point in _mappings(card.get("curve"))])


def curve_rows(losses: Sequence[object]) -> Rows:
    """The losses drawn, the first and the last in figures."""
    drawn = sparkline(losses)
    known = [loss for loss in losses if finite(loss) is not None]
    return [("loss", f"{figure(known[0], 2)} {drawn} {figure(known[-1], 2)}")] if drawn else []


def some(names: Sequence[object], number: int = 0) -> str:
    """The first of many names; ``number``: of all, where it is more than are named."""
    more = max(len(names), number) - 3
    return ", ".join(str(name)[:200] for name in names[:3]) + (f" and {more:,} more" if more > 0 else "")


def whole(value: object) -> str:
    """A count, every digit of it."""
    number = finite(value)
    return f"{number:,.0f}" if number is not None else count(value)


def _part(said: Mapping[str, Plain], name: str) -> Mapping[str, Plain]:
    """A part that is a mapping; empty for anything else."""
    part = said.get(name)
    return part if isinstance(part, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Plain]]:
    """The mappings in a list; none where it is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _texts(said: Mapping[str, Plain]) -> str:
    """The first of the texts, and how many there are."""
    number = finite(_part(said, "all_texts").get("number"))
    return some([text.get("name") for text in _mappings(said.get("texts"))], int(number or 0))


def _held_out(validation: Mapping[str, Plain], when: str) -> Rows:
    loss = " ".join(loss_in_words(validation))
    if finite(bits := validation.get("bits_per_byte")) is not None:
        beside = f" (xz {figure(validation.get('xz_bits_per_byte'), 2)})"
        loss += f", {figure(bits, 2)} bits per byte{beside if comparable(validation.get('bytes')) else ''}"
    rows = [("held out", f"{loss} by {validation.get('protocol')!s:.40}{when}")]
    if validation.get("unit") == "word":
        rows.append(("perplexity", f"{perplexity(validation.get('nats_per_token'))} per word"))
    return [*rows, ("accuracy", figure(validation.get("accuracy")))]
