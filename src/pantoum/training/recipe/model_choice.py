"""The model of a run: how large, how many members, which additions; from the size of the text and the time.

- With minutes the operations that fit are known (``pace``); they are split as D = 8.5 tokens for each unit of
  work: a larger model has too few updates.
- With steps or epochs the work comes from the text alone, as the square root of its length, so that it
  depends neither on a clock nor on a machine. With minutes the text limits the work too: a long run on a
  short text only memorizes it.
- Where one model would read the text for too many epochs in the time, the time is divided among the members
  of an ensemble (``network.ensemble``): another member helps more than another epoch.
- N-grams are added to the network (``mixers.ngrams``) for up to 32 epochs: they learn short contexts at
  almost no cost.
- N-grams are counted, too, and mixed with the network, where the vocabulary is too large for such a table: in
  minutes a network learns less about short contexts than the counts say.
"""

from __future__ import annotations

import math
from dataclasses import replace

from pantoum.config import AUTO, ModelConfig, TrainSettings, parse_softmax
from pantoum.errors import SettingError
from pantoum.training.recipe import large_vocabulary
from pantoum.training.recipe.recipe import Outlook, work

SIZES = (
    (32, 1),
    (64, 1),
    (96, 1),
    (128, 1),
    (128, 2),
    (160, 2),
    (192, 2),
    (208, 2),
    (224, 2),
    (256, 2),
    (288, 2),
    (320, 2),
    (352, 2),
    (384, 2),
    (416, 2),
    (448, 2),
    (480, 2),
    (512, 2),
    (576, 2),
    (640, 2),
    (704, 2),
    (768, 2),
    (768, 3),
    (1024, 3),
    (1280, 3),
    (1536, 3),
)
"""(H, L), from the smallest model that is chosen by itself to the largest."""
TOKENS_PER_WORK = 8.5
WORK_OF_A_MEGABYTE = 1.6e6
"""Where no clock counts, for 1e6 tokens; with the square root of the text."""
MOST_FOR_A_MEGABYTE, MOST_POWER = 3.5e6, 0.7
"""The most that minutes choose for 1e6 tokens, and how it grows with the text."""
MEMBER_EPOCHS, MOST_WIDTH = {4: 25.0, 3: 15.0, 2: 5.0}, 1100
"""The least epochs of each member of an ensemble of so many, the most members first; most units of all."""
NGRAMS, NGRAM_EPOCHS = (3, 4, 5), 32.0
"""Orders of the n-grams, and the most epochs of a text for which they are added: more was not searched."""
NGRAM_NUMBERS, TOKENS_PER_ROW = 1.2e7, 48
"""Most values of their tables, and tokens of text per row of an order."""
SAMPLED_SYMBOLS = 4096
"""Symbols of a vocabulary above which a step compares its targets with samples (``network.candidates``)."""
COUNTED_ORDER = 5
"""The highest order of the n-grams that are counted, for words and BPE."""


def samples(
    settings: TrainSettings, outlook: Outlook, reasons: list[str], source: ModelConfig | None
) -> int | None:
    """Samples for a large vocabulary; none with n-grams, which add to the logits of all symbols."""
    tables = isinstance(settings.ngrams, tuple) if source is None else bool(source.ngrams)
    if settings.softmax != AUTO:
        chosen = parse_softmax(settings.softmax)
        if chosen is not None and tables:
            raise SettingError(
                "softmax",
                settings.softmax,
                "must be full with n-grams, which add to the logits of all symbols",
                "leave one of the two out",
            )
        return chosen
    if outlook.vocab_size <= SAMPLED_SYMBOLS or tables:
        return None
    chosen = parse_softmax("sampled")
    reasons.append(
        f"softmax sampled:{chosen}: a step compares each target with the others and with {chosen:,} of "
        f"{outlook.vocab_size:,} symbols"
    )
    return chosen


def members_of(
    settings: TrainSettings, outlook: Outlook, reasons: list[str], source: ModelConfig | None
) -> int:
    """As many as there is time for to read the text often enough: one, where the time is the bound."""
    if source is not None:
        if settings.members not in (AUTO, source.members):
            raise SettingError(
                "members",
                settings.members,
                f"must be {source.members}, as in the model of --from",
                "leave it out",
            )
        return source.members
    if settings.members != AUTO:
        return int(settings.members)
    if outlook.operations is None or settings.hidden_size != AUTO:
        return 1  # a person who asks for so many units gets so many
    epochs, widest = MEMBER_EPOCHS, float(MOST_WIDTH)
    if outlook.large:
        epochs, widest = large_vocabulary.MEMBER_EPOCHS, math.inf
    for members, least in epochs.items():
        share = outlook.operations / members
        each = shape(settings, replace(outlook, operations=share), [])
        passes = share / (6.0 * work(each, outlook.compared)) / outlook.tokens
        if passes >= least and members * each.hidden_size <= widest:
            reasons.append(
                f"an ensemble of {members} members: each has time to read the text {passes:,.3g} times"
            )
            return members
    return 1


def shape(settings: TrainSettings, outlook: Outlook, reasons: list[str]) -> ModelConfig:
    """The largest model of the ladder within the work that text and time allow."""
    megabytes, of_text = outlook.tokens / 1e6, f"{outlook.tokens:,} tokens of text"
    why = of_text
    sizes = large_vocabulary.SIZES if outlook.large else SIZES
    if outlook.operations is None:
        allowed = WORK_OF_A_MEGABYTE * math.sqrt(megabytes)
    else:
        tokens_per_work = large_vocabulary.TOKENS_PER_WORK if outlook.large else TOKENS_PER_WORK
        for_the_time = math.sqrt(outlook.operations / (6.0 * tokens_per_work))
        allowed = min(for_the_time, MOST_FOR_A_MEGABYTE * megabytes**MOST_POWER)
        why = "the time on this machine" if allowed == for_the_time else of_text
    best = _rung(settings, outlook, *sizes[0])
    for hidden, layers in sizes[1:]:
        rung = _rung(settings, outlook, hidden, layers)
        if work(rung, outlook.compared) > allowed:
            continue
        if outlook.operations is not None and not _fits(rung, outlook):
            why = (
                f"{of_text}, with at most {large_vocabulary.MOST_PER_TOKEN:g} weights of the layers per token"
            )
            break
        best = rung
    reasons.append(
        f"{best.num_layers} x {best.hidden_size} {best.cell}: "
        f"{work(best, outlook.compared):,} multiply-adds per token, for {why}"
    )
    if best.tied and settings.tied == AUTO:
        reasons.append(
            f"the output layer shares the embedding of {best.embedding_size}: {outlook.vocab_size:,} symbols"
        )
    return best


def _fits(model: ModelConfig, outlook: Outlook) -> bool:
    """Whether the layers are small enough for a text of words; of characters, the work is the limit."""
    return not outlook.large or work(model, symbols=0) <= large_vocabulary.MOST_PER_TOKEN * outlook.tokens


def _rung(settings: TrainSettings, outlook: Outlook, hidden: int, layers: int) -> ModelConfig:
    """A rung of the ladder, with what the person chose in its place."""
    hidden = hidden if settings.hidden_size == AUTO else int(settings.hidden_size)
    layers = layers if settings.num_layers == AUTO else int(settings.num_layers)
    embedding = settings.embedding_size
    if embedding == AUTO:
        third = max(16, round(hidden / 3 / 16) * 16)
        embedding = large_vocabulary.embedding_size(hidden) if outlook.large else third
    tied = settings.tied
    if tied == AUTO:
        tied = outlook.large and embedding is not None
    return ModelConfig(
        cell="gru" if settings.cell == AUTO else settings.cell,
        hidden_size=hidden,
        num_layers=layers,
        embedding_size=None if embedding is None else int(embedding),
        tied=bool(tied),
    )


def with_tables(
    settings: TrainSettings, outlook: Outlook, model: ModelConfig, read: float, reasons: list[str]
) -> ModelConfig:
    """The model with n-grams: by themselves where a text is not read too often, and a person did not ask for
    a network of so many units."""
    orders: tuple[int, ...] = ()
    passes, symbols = read / outlook.tokens, outlook.vocab_size
    if isinstance(settings.ngrams, tuple):
        orders = settings.ngrams
    elif (
        settings.ngrams == settings.hidden_size == AUTO
        and outlook.operations is not None
        and passes <= NGRAM_EPOCHS
        and not outlook.large
    ):
        orders = NGRAMS
    if settings.ngram_rows != AUTO or not orders:
        rows = ModelConfig.ngram_rows if settings.ngram_rows == AUTO else int(settings.ngram_rows)
        return replace(model, ngrams=orders, ngram_rows=rows)
    most = min(NGRAM_NUMBERS / (len(orders) * symbols), outlook.tokens / TOKENS_PER_ROW)
    rows = 2 ** int(math.log2(min(max(most, 256), 2**24)))
    reasons.append(
        f"n-grams of {', '.join(map(str, orders))} tokens, {rows:,} rows each: about {passes:.3g} epochs"
    )
    return replace(model, ngrams=orders, ngram_rows=rows)


def counted_order(settings: TrainSettings, outlook: Outlook, reasons: list[str]) -> int | None:
    """The highest order of counted n-grams, for vocabularies that are too large for a table of logits."""
    if settings.kneser_ney != AUTO:
        return None if settings.kneser_ney is None else int(settings.kneser_ney)
    if not outlook.large:
        return None
    reasons.append(
        f"n-grams of up to {COUNTED_ORDER} tokens are counted and mixed with the network: more than "
        f"{large_vocabulary.SYMBOLS} symbols"
    )
    return COUNTED_ORDER
