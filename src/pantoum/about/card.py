"""What a training card says, in rows for people, as far as it says it.

A card comes out of a file that anyone may have made: what is missing, or is not what a card of ours has
there, gives no row, or a dash. It never is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pantoum.config.plain import Plain
from pantoum.report.plot import sparkline
from pantoum.report.summary import comparable
from pantoum.report.wording import count, figure, finite, loss_in_words, perplexity

__all__ = ["card_rows", "curve_rows", "mappings", "some"]

Rows = list[tuple[str, str]]


def card_rows(card: Mapping[str, Plain]) -> Rows:
    """What the card says of texts, steps, figures and curve."""
    rows: Rows = []
    names = _names(card.get("texts"))
    if names:
        rows.append(("trained on", some(names, _number(card.get("all_texts")))))
    if finite(card.get("step")) is not None:
        steps = f"{whole(card['step'])} step{'' if card['step'] == 1 else 's'}"
        rows.append(("after", f"{steps}, {count(card.get('tokens_trained'))} tokens"))
    if card.get("trained_in") is not None:
        rows.append(("and then", f"trained further in {card['trained_in']!s:.40}; not evaluated since"))
    imported = card.get("imported")
    if isinstance(imported, Mapping):
        told = f"{imported.get('from')!s:.40}: {imported.get('name')!s:.200}, SHA-256 "
        told += f"{imported.get('sha256')!s:.64}"
        rows.append(("imported from", told))
    rows += _held_out(card.get("validation"), ", before it adapted" if card.get("adapted") else "")
    rows += _int8(card.get("int8"))
    rows += _adapted(card.get("adapted"), card.get("adapted_times"))
    return rows + curve_rows([point.get("loss") for point in mappings(card.get("curve"))])


def curve_rows(losses: Sequence[object]) -> Rows:
    """The losses drawn, the first and the last in figures."""
    drawn = sparkline(losses)
    known = [loss for loss in losses if finite(loss) is not None]
    return [("loss", f"{figure(known[0], 2)} {drawn} {figure(known[-1], 2)}")] if drawn and known else []


def some(names: Sequence[object], number: int = 0) -> str:
    """The first of many names; ``number``: of all, where it is more than are named."""
    more = max(len(names), number) - 3
    return ", ".join(str(name)[:200] for name in names[:3]) + (f" and {more:,} more" if more > 0 else "")


def mappings(value: Any) -> list[Mapping[str, Plain]]:
    """The mappings in a list; none where it is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def whole(value: object) -> str:
    """A count, every digit of it."""
    number = finite(value)
    return f"{number:,.0f}" if number is not None else count(value)


def _names(texts: object) -> list[str]:
    return [str(text.get("name")) for text in mappings(texts)]


def _number(all_texts: object) -> int:
    number = finite(all_texts.get("number")) if isinstance(all_texts, Mapping) else None
    return int(number or 0)


def _held_out(validation: object, when: str) -> Rows:
    if not isinstance(validation, Mapping):
        return []
    bits, size = finite(validation.get("bits_per_byte")), validation.get("bytes")
    unit = " ".join(loss_in_words(validation))
    if bits is not None and bits > 0:  # cards of older versions hold negative ones, of texts of a few bytes
        xz = f" (xz {figure(validation.get('xz_bits_per_byte'), 2)})" if comparable(size) else ""
        unit += f", {figure(bits, 2)} bits per byte{xz}"
    unit += f" by {validation.get('protocol')!s:.40}{when}"
    rows = [("held out", unit), ("accuracy", figure(validation.get("accuracy")))]
    if validation.get("unit") == "word":
        rows.insert(1, ("perplexity", f"{perplexity(validation.get('nats_per_token'))} per word"))
    return rows


def _int8(said: object) -> Rows:
    cost = said.get("cost") if isinstance(said, Mapping) else None
    if not isinstance(cost, Mapping):
        return []
    nats = finite(cost.get("nats_per_token"))
    told = count(None) if nats is None else f"{nats:+.4f}"
    protocol = f"{cost.get('protocol')!s:.40}"
    return [("int8 costs", f"{told} nats per token by {protocol} ({count(cost.get('tokens'))} tokens)")]


def _adapted(said: object, times: object) -> Rows:
    """What the model adapted to, time after time; how often, where not all of them are told."""
    rows = [("adapted", f"{whole(times)} times; the first and the last:")] if finite(times) else []
    for one in mappings(said):
        names = _names(one.get("texts"))
        told = f"{some(names, _number(one.get('all_texts')))}, " if names else ""
        rows.append(("adapted to", f"{told}{count(one.get('tokens'))} tokens"))
    return rows
