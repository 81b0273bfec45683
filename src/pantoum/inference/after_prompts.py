"""What follows a prompt, or several: which way of writing a request needs.

Texts of all prompts are streams of one batch. Where texts are chosen (``unique``, ``novel``, ``n_best``) each
prompt has its turn, because what is chosen among are the texts of one prompt. Text k of every prompt draws
from stream k of the seed, so a prompt among others gets what it gets alone.

``Distinct`` chooses: K texts that differ from one another (``unique``), that no training document is
(``novel``), or that have a form although they were drawn without it (``redraw``). Texts are written in waves.
Rejected texts are replaced by texts from the next streams, and all are judged in the order of their streams,
so the result is a function of the seed, whatever the batch. After ``most_draws`` texts no more are written.

Texts differ as wholes, prompt and continuation, normalised as in ``novelty``. What may be a training document
is what follows the last border of the prompt, because documents are compared, not texts. A form is that of
the continuation. A text that lacks it counts as that alone; one that is both repeated and known, as repeated.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pantoum.config import GenerationConfig, SamplingConfig, require
from pantoum.errors import PantoumError, SettingError
from pantoum.inference.files.novelty import NoveltyFilter, normalised
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Generation, Piece, Text, completed, draw_seed
from pantoum.text.documents import mark, sign_of
from pantoum.text.unicode import without_surrogates

if TYPE_CHECKING:
    from typing import TypeAlias

    WrittenTexts: TypeAlias = "Generation | Distinct | ChosenTexts"
    """Texts that are written while it is iterated; a second iteration continues an interrupted one. Each has
    ``seed``, ``texts``, ``rejected``, ``finished`` and ``state``."""


def write_after(
    model: LoadedModel,
    prompts: Sequence[str],
    how_much: GenerationConfig,
    sampling: SamplingConfig,
    state: State | None = None,
) -> WrittenTexts:
    """What writes the texts that follow each prompt, from a state or from the beginning; nothing is written
    yet."""
    one = len(prompts) == 1
    require(
        one or not (how_much.adapt or how_much.model_out is not None),
        "adapt",
        how_much.adapt,
        f"cannot learn from {len(prompts)} prompts at once",
        "give one prompt, or leave adapt out",
    )
    if how_much.adapt or how_much.model_out is not None:
        from pantoum.inference.adapted import adapted_to, require_out

        require_out(model, how_much.adapt, how_much.model_out)
        begun = State.start(model) if state is None else State.required(state)
        model, state = adapted_to(model, prompts[0], begun, how_much.model_out)
    how_much = replace(how_much, seed=draw_seed() if how_much.seed is None else how_much.seed)
    states = [_after(model, prompt, state) for prompt in prompts]
    if not how_much.chooses:
        return Generation(model, states, sampling, how_much)
    goes_on = state is not None and state.last_token != model.eos
    best = how_much.n_best
    if best is not None:
        how_much = replace(how_much, unique=True, exact=True, n_best=None)
    pairs = zip(prompts, states, strict=True)
    parts = [Distinct(model, after, sampling, how_much, prompt, goes_on) for prompt, after in pairs]
    return parts[0] if one and best is None else ChosenTexts(parts, best)


def _after(model: LoadedModel, prompt: str, state: State | None) -> State:
    session = Session(model, state)
    session.feed(prompt)
    return session.state


class ChosenTexts:
    """The texts that were chosen after several prompts, those of one prompt after the other. With ``best``
    the so many most probable ones after each prompt, best first: their rank is the log-probability of the
    whole text, its end included, under the model without sampling settings. Texts without an end of their
    own have one length, so that none is ahead for being short."""

    def __init__(self, parts: Sequence[Distinct], best: int | None = None) -> None:
        self.seed = parts[0].seed
        self.texts: list[Text] = []
        self._parts, self._best = parts, best
        self._given = 0
        self._ranked: dict[int, Iterator[Text]] = {}
        """The best texts after a prompt that were not given yet."""

    @property
    def rejected(self) -> dict[str, int]:
        """The sums over all prompts."""
        counts = [part.rejected for part in self._parts]
        return {name: sum(each[name] for each in counts) for name in counts[0]}

    def __iter__(self) -> Iterator[Piece]:
        for prompt in range(len(self._parts)):
            for text in self._after(prompt):
                text.prompt = prompt
                self.texts.append(text)
                self._given += 1
                yield Piece(self._given - 1, text.text)

    def _after(self, prompt: int) -> Iterator[Text]:
        part = self._parts[prompt]
        if self._best is None:
            return (part.texts[piece.index] for piece in part)
        if prompt not in self._ranked:
            texts = sorted(completed(part).texts, key=lambda text: text.nats)
            self._ranked[prompt] = iter(texts[: self._best])
        return self._ranked[prompt]

    def finished(self, index: int) -> bool:
        """Whether text ``index`` was given, which is given whole."""
        return index < self._given

    def state(self, index: int = 0) -> State:
        """The state after text ``index``."""
        return self.texts[index].stream.state


def most_draws(count: int) -> int:
    """Texts that are written at most to find so many."""
    return 20 * count + 100


class Distinct:
    """Texts that were accepted, each given whole as it is found."""

    def __init__(
        self,
        model: LoadedModel,
        state: State,
        sampling: SamplingConfig,
        how_much: GenerationConfig,
        prompt: str,
        begun: bool = False,
    ) -> None:
        """``state``: after the prompt. ``begun``: the prompt goes on with a document whose beginning is not
        known. ``SettingError``: ``novel`` is asked of a model without a filter of its training documents, or
        where nothing can say whether the document is one of them; ``redraw`` is asked without a form."""
        novel = how_much.novel
        self._known = NoveltyFilter.from_extras(model.extras) if novel else None
        require(
            not novel or self._known is not None,
            "novel",
            novel,
            "needs a model that knows its training documents, and this one has no filter of them",
            "train it with --documents, or leave --novel out",
        )
        *before, self._document = _documents(prompt, model.tokenizer.documents)
        require(
            not (novel and begun) or bool(before),
            "novel",
            novel,
            "cannot be checked for a text that continues the document of a state, which stores no text",
            "give the document as the prompt in place of the state, or leave novel out",
        )
        self._form = _reader(sampling) if how_much.redraw else None
        if how_much.redraw:
            sampling = sampling.freely
        self.seed = draw_seed() if how_much.seed is None else how_much.seed
        self.count = how_much.count
        self.texts: list[Text] = []
        self.repeated = self.known = self.unlike = self.drawn = 0
        """Texts that were there already, that are training documents, that lack the form, and that were
        written in all."""
        self._model, self._state, self._sampling = model, state, sampling
        self._how_much, self._prompt = how_much, prompt
        self._seen: set[bytes] = set()
        self._given = 0

    @property
    def rejected(self) -> dict[str, int]:
        """``drawn``, ``repeated``, ``known`` and, with ``redraw``, ``unlike``: those that lack the form."""
        found = {"drawn": self.drawn, "repeated": self.repeated, "known": self.known}
        return found if self._form is None else {**found, "unlike": self.unlike}

    def __iter__(self) -> Iterator[Piece]:
        most = most_draws(self.count)
        while len(self.texts) < self.count and self.drawn < most:
            self._write(min(self.count - len(self.texts), most - self.drawn))
            # The texts of a wave are judged before any is given: the caller may stop at any of them.
            while self._given < len(self.texts):
                self._given += 1
                yield Piece(self._given - 1, self.texts[self._given - 1].text)
        if not self.texts and self.note is not None:
            raise PantoumError(self.note)
        if self.note is not None:
            warnings.warn(self.note, UserWarning, stacklevel=2)

    def _write(self, wave: int) -> None:
        """So many more texts, of which those that are accepted stay."""
        how_much = replace(self._how_much, seed=self.seed, count=wave)
        written = Generation(self._model, self._state, self._sampling, how_much, first=self.drawn)
        self.drawn += wave
        self.texts += [text for text in completed(written).texts if self._accepts(text)]

    def _accepts(self, text: Text) -> bool:
        if self._form is not None and not self._form.matches(text.text):
            self.unlike += 1
            return False
        plain = normalised((self._prompt + text.text).encode("utf-8", "replace"))
        repeated, known = self._how_much.unique and plain in self._seen, False
        self._seen.add(plain)
        if not repeated:
            known = self._known is not None and self._is_known(self._known, text)
        self.repeated, self.known = self.repeated + repeated, self.known + known
        return not repeated and not known

    def _is_known(self, known: NoveltyFilter, text: Text) -> bool:
        """Whether what was written, from the beginning of its document, is or holds a training document."""
        # Signs that were written one by one may make a border, too: of two newlines, for example.
        parts = _documents(self._document + text.text, self._model.tokenizer.documents)
        return any(map(known.knows, parts))

    @property
    def note(self) -> str | None:
        """A note for a person, if there are too few texts."""
        if len(self.texts) == self.count:
            return None
        unlike = "" if self._form is None else f"{self.unlike:,} lacked the form, "
        advice = "raise --temperature, or ask for fewer"
        if self.unlike > self.repeated + self.known:
            advice = "lower --temperature, or leave --redraw out, if the form is not an intersection"
            if self._model.eos is None and not self._how_much.exact:
                advice = (
                    "a model without documents ends a text only at its length: give --length N --exact "
                    "with the number of tokens of such a text, or leave --redraw out"
                )
        return (
            f"only {len(self.texts)} of {self.count} texts were found among {self.drawn:,}: {unlike}"
            f"{self.repeated:,} were repeated, {self.known:,} were training documents; {advice}"
        )

    def finished(self, index: int) -> bool:
        """Whether text ``index`` was given, which is given whole."""
        return index < self._given

    def state(self, index: int = 0) -> State:
        """The state after text ``index``."""
        return self.texts[index].stream.state


def _reader(sampling: SamplingConfig) -> Any:
    """What says which texts have the form that is asked for."""
    from pantoum.inference.constraint import reader_of

    asked = sampling.asked
    if asked is None:
        advice = "give --matching, --json-schema, --grammar or --choices too, or leave it out"
        raise SettingError("redraw", True, "needs a form", advice)
    return reader_of(asked)


def _documents(text: str, documents: str | None) -> list[str]:
    """The documents that a text is made of, as the tokenizer parts them."""
    return mark(without_surrogates(text)[0], documents).split(sign_of(documents))
