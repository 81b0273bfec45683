"""How well a model predicts a text, in units that compare: nats and bits, a token, a character and a byte.

Loss is divided by the targets really predicted, and by the characters and bytes of exactly those targets. For
scale, the same bytes are packed by xz (preset 9) and bz2 (level 9); what beats them has learned something. A
figure over text with unknown tokens says that it does not compare: an unknown token hides what it stood for.

In order: ``protocols.blocks``, their losses by ``reader.read_blocks``, sums, ``Evaluation``. With an adapter
the blocks go through that one instead, which learns from each chunk after it was scored. It never keeps
logits, never changes the model, and knows nothing of files.
"""

from __future__ import annotations

import bz2
import html
import lzma
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import SettingError, TextError
from pantoum.inference.adapt import Adapter
from pantoum.inference.scoring.protocols import ROWS, SEGMENTS, TextBlock, blocks, parse_protocol
from pantoum.inference.scoring.reader import read_blocks
from pantoum.kernels import Array
from pantoum.network.checks import require_finite
from pantoum.network.program import Program
from pantoum.text.tokenizer import Tokenizer

COMPRESSED_BYTES, HURRIED_BYTES = 64_000_000, 1_000_000
"""At most this many bytes are given to xz and bz2: the figure is for scale."""
DECODED = 1 << 16
"""Targets that are decoded at once."""
Progress = Callable[[int, int], None]
"""Called with targets scored so far, and all of them."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """How well a model predicts a text. The keys of ``evaluate --json``."""

    protocol: str
    """``carried``, ``segments:N`` or ``windows:N``: compare only figures of the same one."""
    tokens: int
    """Targets scored."""
    unknown_tokens: int
    """Targets that the vocabulary lacks; if there are any, do not compare the figures. The ``<unk>`` of a
    pre-tokenised corpus is a word of that corpus and is not counted."""
    characters: int
    """The characters of the targets."""
    bytes: int
    """The bytes of the targets in UTF-8."""
    nats_per_token: float
    nats_per_character: float | None
    bits_per_byte: float | None
    perplexity: float
    """exp(nats per token)."""
    accuracy: float | None
    """Share of the targets that were the most probable token. With ``adapt`` it is that of the heavier of the
    two models, and ``None`` where counted n-grams or a cache are mixed with them: then only the
    probability of each target is computed for the model that learns."""
    xz_bits_per_byte: float | None
    bz2_bits_per_byte: float | None
    compressed_bytes: int
    """How many of the bytes xz and bz2 were given."""
    note: str | None = None
    adapt: bool = False
    """Whether the model adapted to the text as it read it; compare such figures only with one another."""
    cache: int | None = None
    """Tokens in the cache that was mixed with the model; compare such figures only with one another."""
    precision: str = "float32"
    """The precision of the products. ``bf16`` moves a mean loss by less than 0.0001 nats (docs/log)."""
    unit: str = "token"
    """What a token is: ``byte``, ``character``, ``word``, or ``token``. Compare perplexities per word only
    between models of one vocabulary."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __repr__(self) -> str:
        figures = (
            (self.nats_per_token, f"nats per {self._shown_unit}"),
            (self.perplexity if self.unit == "word" else None, f"perplexity per word{self._lacking}"),
            (self.nats_per_character, "nats per character"),
            (self.bits_per_byte, "bits per byte"),
        )
        shown = ", ".join(f"{figure:.4g} {unit}" for figure, unit in figures if figure is not None)
        return f"<Evaluation {self.protocol}: {shown}; {self.tokens:,} tokens>"

    def _repr_html_(self) -> str:
        return figures_html("evaluation", self._rows())

    def __str__(self) -> str:
        return "\n".join(f"{name:<20}{value}" for name, value in self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        def shown(value: float | None) -> str:
            return "-" if value is None else f"{value:.4f}"

        how = ", adapting" if self.adapt else ""
        how += "" if self.cache is None else f", with a cache of {self.cache:,} tokens"
        how += "" if self.precision == "float32" else f", read in {self.precision}"
        rows = [
            ("protocol", self.protocol + how),
            ("targets", f"{self.tokens:,} tokens, {self.characters:,} characters, {self.bytes:,} bytes"),
            (f"nats per {self._shown_unit}", shown(self.nats_per_token)),
            ("nats per character", shown(self.nats_per_character)),
            (
                "bits per byte",
                f"{shown(self.bits_per_byte)}   (xz {shown(self.xz_bits_per_byte)}, "
                f"bz2 {shown(self.bz2_bits_per_byte)})",
            ),
            ("perplexity", f"{self.perplexity:.4g} per {self._shown_unit}{self._lacking}"),
            ("accuracy", shown(self.accuracy)),
        ]
        rows += [("note", self.note)] if self.note else []
        return rows

    @property
    def _lacking(self) -> str:
        """What makes a perplexity look better than it is: the words that the vocabulary lacks."""
        many = f"{self.unknown_tokens:,} unknown {self._shown_unit}{'s' * (self.unknown_tokens != 1)}"
        return f" ({many})" if self.unknown_tokens else ""

    @property
    def _shown_unit(self) -> str:
        return "word" if self.unit == "word" else "token"

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Evaluation:
        """The inverse of ``to_dict``; keys of a newer pantoum are ignored."""
        known = {f.name for f in fields(Evaluation)}
        return Evaluation(**{name: value for name, value in plain.items() if name in known})


def evaluate(
    program: Program,
    tokens: Array,
    tokenizer: Tokenizer,
    protocol: str = "carried",
    *,
    compress: bool = True,
    progress: Progress | None = None,
    adapter: Adapter | None = None,
    nats_T: NDArray[np.float32] | None = None,
    encoded: Mapping[str, int] | None = None,
    until: Callable[[], bool] | None = None,
) -> Evaluation:
    """Score the tokens of a text. ``compress=False`` leaves out xz and bz2, which cost more than a small
    model; ``adapter`` reads in place of the program, and follows the text; ``nats_T`` takes the loss of each
    target. ``encoded``: what was counted of the text while it was encoded, its ``characters``, its ``bytes``
    and how many of its words or characters are ``unknown``. Without it these are those of the decoded text,
    and every ``<unk>`` counts as unknown, those that a pre-tokenised text contains too. Where ``until`` says
    that the time is over the rest is left out, with a note: of segments the ends, so that what was read is
    spread over the text."""
    found = _read_text(program, tokens, tokenizer, protocol, adapter)
    targets, nats, right = _summed(found, len(tokens) - 1, nats_T, progress, until)
    if adapter is not None:
        adapter.finish()
    require_finite([np.array(nats)])
    hurried, total = until is not None and until(), len(tokens) - 1
    most = 0 if not compress else HURRIED_BYTES if hurried else COMPRESSED_BYTES
    characters, size, packed = _measure(tokens, tokenizer, most)
    compressed = min(size, most)
    lacking = 0 if tokenizer.unk is None else _count(tokens, tokenizer.unk)
    if encoded is not None:
        lacking = min(lacking, encoded["unknown"])  # the first token may be unknown too, and is no target
    note = None
    if lacking:
        note = (
            f"{lacking:,} of {targets:,} targets are unknown to the tokenizer: these figures cannot "
            f"be compared with those of another tokenizer"
        )
        if encoded is not None:  # without the first token, which is no target
            first = tokenizer.decode(np.asarray(tokens[:1]))
            shown = len(first), len(first.encode("utf-8", "replace"))
            if tokens[0] == tokenizer.unk:
                shown = _unknown(
                    tokens, tokenizer, (characters, size), (encoded["characters"], encoded["bytes"])
                )
            characters, size = encoded["characters"] - shown[0], encoded["bytes"] - shown[1]
    if targets < total:
        left_out = (
            f"the time ended after {targets:,} of {total:,} targets, spread over the text: the figures are "
            "of these"
        )
        note = left_out if note is None else f"{note}; {left_out}"
        characters, size = (round(many * targets / total) for many in (characters, size))
    mean = nats / targets
    return Evaluation(
        protocol,
        tokens=targets,
        unknown_tokens=lacking,
        characters=characters,
        bytes=size,
        nats_per_token=mean,
        nats_per_character=nats / characters if characters else None,
        bits_per_byte=nats / math.log(2) / size if size else None,
        perplexity=math.exp(min(mean, 700.0)),
        accuracy=None if adapter is not None and program.mixed_in else right / targets,
        xz_bits_per_byte=packed[0],
        bz2_bits_per_byte=packed[1],
        compressed_bytes=compressed,
        note=note,
        adapt=adapter is not None,
        cache=None if program.cache is None else program.cache.size,
        precision="bf16" if program.precision == "bf16" else "float32",  # int8 is the model's own
        unit=tokenizer.declared.unit,
    )


def held_out_loss(
    program: Program,
    tokens: Array,
    tokenizer: Tokenizer,
    nats_T: NDArray[np.float32] | None = None,
    part: NDArray[np.int64] | None = None,
) -> float:
    """The mean loss by ``SEGMENTS`` alone, in nats per token: what a training run asks every now and then. It
    is not finite where the weights have diverged. ``nats_T`` takes the loss of each target; where the
    spans of ``part`` alone are read (``typical_spans``), it keeps NaN for the others."""
    found = _read_text(program, tokens, tokenizer, SEGMENTS, None, part)
    targets, nats, _ = _summed(found, len(tokens) - 1, nats_T)
    return nats / targets


def _read_text(
    program: Program,
    tokens: Array,
    tokenizer: Tokenizer,
    protocol: str,
    adapter: Adapter | None,
    part: NDArray[np.int64] | None = None,
) -> Iterator[tuple[TextBlock, Array, Array]]:
    """The blocks of a text as they are read, each with the nats of its targets and the predictions."""
    if parse_protocol(protocol)[0] != "carried" and adapter is not None:
        raise SettingError(
            "protocol",
            protocol,
            "must be carried with --adapt: a copy learns only from what it has read",
            "leave one of the two out",
        )
    if len(tokens) < 2:
        raise TextError(
            f"the text has {len(tokens)} token{'s' * (len(tokens) != 1)}: it must have at least 2 to be "
            "scored; give a longer text"
        )
    eos = tokenizer.eos if tokenizer.documents is not None else None
    resets_V = None if eos is None else np.arange(tokenizer.vocab_size) == eos
    if adapter is None:
        for block, nats_BT, predictions_BT, _ in read_blocks(
            program, blocks(tokens, protocol, part=part), resets_V, predict=True
        ):
            yield block, nats_BT, predictions_BT
        return
    chunk = adapter.settings.chunk * adapter.settings.later
    size = max(1, ROWS // chunk) * chunk  # whole chunks cost the least
    for block in blocks(tokens, protocol, size):
        reset_BT = None if resets_V is None else resets_V[block.inputs_BT]
        yield block, *adapter.read(block.inputs_BT, block.targets_BT, reset_BT)


@np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
def _summed(
    found: Iterator[tuple[TextBlock, Array, Array]],
    total: int,
    nats_T: NDArray[np.float32] | None = None,
    progress: Progress | None = None,
    until: Callable[[], bool] | None = None,
) -> tuple[int, float, int]:
    """The sums over the blocks of a text of so many targets (targets scored, their nats, those that were the
    most probable token), until these are not finite any more."""
    targets, nats, right = 0, 0.0, 0
    for block, nats_BT, predictions_BT in found:
        scored = block.scored_BT
        targets += int(scored.sum())
        nats += float(nats_BT[scored].sum(dtype=np.float64))
        if nats_T is not None:
            nats_T[block.at_BT[scored]] = nats_BT[scored]
        right += int((predictions_BT == block.targets_BT)[scored].sum())
        if not math.isfinite(nats):
            break
        if progress is not None:
            progress(targets, total)
        if until is not None and targets and until():
            break
    return targets, nats, right


def _count(tokens: Array, token: int) -> int:
    """How often a token is a target."""
    return sum(int((tokens[at : at + DECODED] == token).sum()) for at in range(1, len(tokens), DECODED))


def _unknown(
    tokens: Array, tokenizer: Tokenizer, decoded: tuple[int, int], encoded: tuple[int, int]
) -> tuple[int, int]:
    """The characters and bytes of a text's first token, which is unknown: what the mean one of them has.
    Given are those of the decoded targets and those of the text."""
    assert tokenizer.unk is not None
    mark = tokenizer.decode_bytes([tokenizer.unk])
    targets = _count(tokens, tokenizer.unk)
    found = []
    for of_targets, of_text, of_mark in zip(
        decoded, encoded, (len(mark.decode("utf-8", "replace")), len(mark)), strict=True
    ):
        known = of_targets - targets * of_mark
        found.append(max(0, of_text - known) // (targets + 1))
    return found[0], found[1]


def _measure(
    tokens: Array, tokenizer: Tokenizer, most: int
) -> tuple[int, int, tuple[float | None, float | None]]:
    """Characters and bytes of the targets, and bits per byte of xz and bz2 over the first ``most``."""
    characters = size = 0
    packed = bytearray()
    for part in _decoded(tokens, tokenizer):
        # Every byte that does not continue a character begins one (UTF-8's continuation bytes are 10xxxxxx).
        characters += int(((np.frombuffer(part, np.uint8) & 0xC0) != 0x80).sum())
        size += len(part)
        packed += part[: max(0, most - len(packed))]
    if not packed:
        return characters, size, (None, None)
    return characters, size, (8 * _xz(packed) / len(packed), 8 * len(bz2.compress(packed, 9)) / len(packed))


def _decoded(tokens: Array, tokenizer: Tokenizer) -> Iterator[bytes]:
    """The bytes of the targets, a chunk at a time. A token is decoded after the one before it, because the
    space between two words belongs to neither alone."""
    for start in range(1, len(tokens), DECODED):
        part = np.asarray(tokens[start - 1 : start + DECODED])
        before = len(tokenizer.decode_bytes(part[:1]))
        yield tokenizer.decode_bytes(part)[before:]


def _xz(data: bytearray) -> int:
    """The size that `xz -9` gives; its window is cut to the data, which changes its memory and not the
    size."""
    window = 1 << max(12, min(26, (len(data) - 1).bit_length()))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": window}]
    return len(lzma.compress(data, format=lzma.FORMAT_XZ, filters=filters))


def figures_html(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A table with a title; titles, names and figures are plain text."""
    lines = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(figure)}</td></tr>"
        for name, figure in rows
    )
    return f"<table><caption>{html.escape(title)}</caption><tbody>{lines}</tbody></table>"
