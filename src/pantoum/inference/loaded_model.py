"""A model ready for use: a program, its tokenizer, its card, and the hash that its states carry.

``load`` takes a model file or a run folder (its best model). The file is read, verified, packed for the
kernels and closed: in memory is the form that the kernels read (``network.program``). The float32 parameters,
which few ask for (adapting, training from this model), are read from the file again when ``network`` is first
asked for. Nothing here can train, and nothing here changes once it is made: any number of sessions and
threads share one, and a copy of it is itself. A pickled model is the bytes of its file, which are read anew
and verified.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pantoum import extensions
from pantoum.config import ModelConfig
from pantoum.config.plain import Plain, quoted
from pantoum.errors import ModelFileError
from pantoum.formats import bounded, model_file
from pantoum.formats.model_file import COUNTS, ModelFile
from pantoum.inference.files.precision import (
    SCALE,
    coded_names,
    compact_tables,
    is_half,
    parts_of,
    plain,
    require_filled,
    shape_of,
    weights,
)
from pantoum.kernels import Array, RowCodes
from pantoum.network import LanguageModel
from pantoum.network.packing import Codes, Weight, floats
from pantoum.network.program import Program
from pantoum.network.spec import Parameter, declared, named
from pantoum.text.tokenizer import Tokenizer, declared_size, from_spec

if TYPE_CHECKING:
    from pantoum.network.mixers.counts import CountMixture

MODEL_NAME = "model.safetensors"
"""The name of the best model in its run folder."""
OURS = (b"PANTOUMS", b"PANTOUMT")
BEGINNING = b'\0\0\0\0\0\0\0\0{"'
"""How a safetensors file begins, but for the three lowest bytes of the length of its header."""
HUB = "hf:"
"""How the address of a model on the Hugging Face Hub begins."""
BASE = "base:"
"""How the name of an installed base begins."""
RUNS = Path("runs")
"""Where runs are by default."""
MOST_BYTES = 2**63 - 1
Fetch = Callable[[], Mapping[str, Array]]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A language model with all that is needed to use it."""

    program: Program
    """Its weights as the kernels read them."""
    tokenizer: Tokenizer
    card: Mapping[str, Plain] = field(default_factory=dict)
    sha256: str = ""
    """The digest of the model file, to which states are bound. Empty while a model trains."""
    path: Path | None = None
    extras: Mapping[str, Array] = field(default_factory=dict)
    """The arrays of the file in addition to the weights, read-only."""
    precision: str = "float32"
    """The precision of the matrices in the file."""
    fetch: Fetch | None = None
    """Gives the float32 parameters; ``None``: they are those of the program's model."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @staticmethod
    def of(network: LanguageModel, tokenizer: Tokenizer) -> LoadedModel:
        """A model in memory, as its weights are now."""
        return LoadedModel(Program(network), tokenizer)

    def __copy__(self) -> LoadedModel:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> LoadedModel:
        return self

    def __reduce__(self) -> tuple[Callable[[bytes, Path], LoadedModel], tuple[bytes, Path]]:
        data = self.file_bytes()
        assert self.path is not None
        return of_bytes, (data, self.path)

    def file_bytes(self) -> bytes:
        """The bytes of its file; ``ModelFileError`` where the file is gone, or is now another model."""
        if self.path is None:
            raise ModelFileError(
                "this model was never written to a file: it cannot be copied to one or pickled; give "
                "model_out to keep an adapted model"
            )
        data = bounded.read_small(self.path, MOST_BYTES, ModelFileError)
        _require_same(model_file.parsed(data, self.path), self.path, self.sha256)
        return data

    @property
    def network(self) -> LanguageModel:
        """The plain weights in float32, read-only where they come from a file."""
        if self.fetch is None:
            return self.program.model
        with self._lock:
            return self._fetched

    @cached_property
    def _fetched(self) -> LanguageModel:
        network = LanguageModel(self.vocab_size, config=self.config, seed=None)
        if self.fetch is not None:
            network.parameters.update(self.fetch())
        for array in network.parameters.values():
            array.flags.writeable = False
        return network

    @property
    def config(self) -> ModelConfig:
        """The network's shape."""
        return self.program.config

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return self.program.vocab_size

    @property
    def documents(self) -> bool:
        """Whether it learned many documents (each from a zero state) and not one long text."""
        return self.tokenizer.documents is not None

    @property
    def eos(self) -> int | None:
        """The token before which the state is zeroed; ``None`` where the text is one stream."""
        return self.tokenizer.eos if self.documents else None

    def resets(self, inputs: Array) -> NDArray[np.bool_] | None:
        """Where the state is zeroed before a token is read: at the borders of documents, as in training.
        ``None``: nowhere. All that reads a text asks here."""
        return None if self.eos is None else np.equal(inputs, self.eos)

    @cached_property
    def border(self) -> int:
        """What an empty prompt starts after: the border of documents, else a newline."""
        newline = self.tokenizer.encode("\n")
        known = len(newline) == 1 and int(newline[0]) != self.tokenizer.unk
        return int(newline[0]) if known and not self.documents else self.tokenizer.eos

    @cached_property
    def banned(self) -> tuple[int, ...]:
        """Tokens that are never written: the unknown one, and a border that no training text held."""
        tokenizer = self.tokenizer
        bordered = self.documents or tokenizer.declared.ends_lines
        return tuple(t for t in (tokenizer.unk, None if bordered else tokenizer.eos) if t is not None)


def is_named(path: str | Path) -> bool:
    """Whether a MODEL argument is an address or the name of a base, and no path."""
    path = Path(path)
    return path.parts[:1] == (HUB,) or str(path).startswith(BASE)


def model_path(path: str | Path) -> Path:
    """The model file that a MODEL argument means: the file itself, the best model of a run folder, that of a
    repository (``hf://owner/name``), or an installed base (``base:name``)."""
    path = Path(path)
    if path.parts[:1] == (HUB,):
        fetched: Path = extensions.find("fetchers", HUB.removesuffix(":"))(path.as_posix())
        return fetched
    if str(path).startswith(BASE):
        return _base(str(path).removeprefix(BASE))
    in_runs = RUNS / path
    if not path.exists() and not path.is_absolute() and in_runs.exists():
        raise ModelFileError(f"there is no {str(path)!r}; did you mean {str(in_runs)!r}?")
    if not path.is_dir():
        _refuse_other_files(path)
        return path
    inside = path / MODEL_NAME
    if not inside.exists():
        raise ModelFileError(
            f"{path} is a folder without {MODEL_NAME}: MODEL must be a model file or a run "
            f"folder with a finished evaluation; train one with `pantoum train TEXT`"
        )
    return inside


def _base(name: str) -> Path:
    """The file of an installed base; ``ModelFileError`` names those that are installed."""
    bases = extensions.names("bases")
    if name not in bases:
        there = f"installed: {', '.join(BASE + each for each in bases)}" if bases else "none is installed"
        raise ModelFileError(
            f"there is no base {name!r}: {there}; a base comes as a package: see docs/how-to/own-base.md"
        )
    return Path(extensions.find("bases", name))


def _refuse_other_files(path: Path) -> None:
    """A text, a document or a picture in the place of a model: say what it is, and what to type."""
    try:
        with bounded.opened(path, ModelFileError) as (file, _):
            head = file.read(len(BEGINNING))
            if head[3:] == BEGINNING[3:]:
                return
            from pantoum.data.forms import HEAD, SAFETENSORS, form_of

            head += file.read(HEAD - len(head))
    except (OSError, ValueError):
        return  # reading the model says it
    form = form_of(head, path.name)
    if not head or form.kind == "binary" or form == SAFETENSORS:
        return
    advice = form.advice_for(str(path)) if head.startswith(OURS) else "give a run folder or a model file"
    if all((path.parent / name).is_file() for name in (MODEL_NAME, "config.json")):  # of a run
        advice = f"did you mean {str(path.parent)!r}?"
    elif form.readable:
        advice = f"train one on it first: `pantoum train {quoted(str(path))}`; MODEL comes before TEXT"
    raise ModelFileError(f"{str(path)!r} is {form.name}, not a model; {advice}")


def load(path: str | Path) -> LoadedModel:
    """Read a model file, or the best model of a run folder; every byte of it is verified."""
    file = model_path(path)
    content = model_file.read(file)
    return of_content(content, file, partial(_parameters, file, content.sha256))


@np.errstate(over="ignore", invalid="ignore")  # reading reports what overflows
def of_content(content: ModelFile, file: Path, fetch: Fetch) -> LoadedModel:
    """The model of a file's content, which may go away afterwards; ``fetch`` gives the float32 parameters."""
    # What is cheap to refuse is refused first: a tokenizer may be far larger than its specification.
    network, precision, found = checked(content, file)
    tokenizer = from_spec(content.tokenizer)
    parameters = declared(network.config, network.vocab_size)
    # One form of a weight goes as the next one comes.
    held = {name: _held(parameters[name], found.pop(name)) for name in list(found)}
    extras = {name: _kept(array) for name, array in content.extras.items()}
    counts = counts_of(extras, network.vocab_size, file)
    # A tied head is read in the precision of the file.
    program = Program(network, held, precision=precision, mixers=[counts])
    return LoadedModel(
        program, tokenizer, content.card, content.sha256, file, extras, precision=precision, fetch=fetch
    )


def checked(content: ModelFile, file: Path) -> tuple[LanguageModel, str, dict[str, Weight]]:
    """(the network that the arrays of a file fill, still of zeros; the precision of the file; the arrays).

    ``ModelFileError`` unless the arrays are the parameters of that network, no more and no fewer.
    """
    vocab_size = declared_size(content.tokenizer)
    config, precision = shape_of(content.config)
    try:
        held = weights(content)
    except ValueError as problem:
        raise ModelFileError(f"{file}: {problem}; use another copy of it, or train again") from None
    numbers = sum(prod(array.shape) for array in held.values())
    require_filled(config, vocab_size, numbers, file)
    network = LanguageModel(vocab_size, config=config, seed=None)
    _check(network, content.parameters, held, precision, file)
    return network, precision, held


def counts_of(extras: Mapping[str, Array], vocab_size: int, file: Path) -> CountMixture | None:
    """The counted n-grams of a file, if it has any; ``ModelFileError`` unless they are whole."""
    if not any(name.startswith(COUNTS) for name in extras):
        return None
    from pantoum.inference.files import counts_file

    try:
        return counts_file.read(extras, vocab_size)
    except ValueError as problem:
        raise ModelFileError(f"{file}: {problem}; use another copy of it, or train again") from None


def of_bytes(data: bytes, file: Path) -> LoadedModel:
    """The model of the bytes of a file, which are kept: nothing depends on the file any more."""
    content = model_file.parsed(data, file)
    return of_content(content, file, partial(_parameters_in, data, file))


def _parameters(file: Path, sha256: str) -> Mapping[str, Array]:
    """The parameters, read from the same file again."""
    content = model_file.read(file)
    _require_same(content, file, sha256)
    return plain(content).parameters


def _parameters_in(data: bytes, file: Path) -> Mapping[str, Array]:
    return plain(model_file.parsed(data, file)).parameters


def _require_same(content: ModelFile, file: Path, sha256: str) -> None:
    if content.sha256 != sha256:
        raise ModelFileError(
            f"{file} has changed since the model was loaded: it must stay the same while the "
            f"loaded model is in use; load the model again"
        )


def _held(parameter: Parameter, weight: Weight) -> Weight:
    """What a program holds as it is must not go away with the file."""
    if isinstance(weight, RowCodes):
        return weight
    if parameter.role == "table" and isinstance(weight, Codes) and not weight.stored:
        return RowCodes.whole(_kept(weight.codes_GK), _kept(weight.scales_G))
    coded = isinstance(weight, Codes) and weight.stored  # the program makes its own numbers of these
    return _kept(floats(weight)) if _is_held(parameter) and not coded else weight


def _is_held(parameter: Parameter) -> bool:
    """Whether a program for reading holds the very array of this parameter: of a table, of vectors, and of
    input vectors. The columns of one-hot inputs it adds up with the bias."""
    looked_up = parameter.role == "input" and not parameter.by_columns
    return looked_up or parameter.role in ("table", "vector")


def _kept(array: Array) -> Array:
    """Read-only, and in memory of its own: a copy of what lies in that of the file."""
    own: Array = array if array.flags.owndata else array.copy()
    own.flags.writeable = False
    return own


def _form(array: Array, precision: str) -> tuple[object, ...]:
    """The shape and the dtype of an array of a file; a matrix in float16 is one in float32."""
    half = precision == "float32" and array.ndim == 2 and is_half(array)
    return *array.shape, "float32" if half else array.dtype.name


def _check(
    network: LanguageModel,
    arrays: Mapping[str, Array],
    held: Mapping[str, Weight],
    precision: str,
    file: Path,
) -> None:
    """The arrays of the file must be the parameters of the network, no more and no fewer."""
    compact = compact_tables(arrays, named(network.config, "table"))
    parts = {part for table in compact for part in parts_of(table)}
    found = {name: _form(array, precision) for name, array in arrays.items() if name not in parts}
    for table in compact:  # a file has it in one form, not in two
        found[table] = *held[table].shape, "float32" if table in arrays else "rows of codes"
    expected: dict[str, tuple[object, ...]] = {}
    codes = coded_names(arrays)
    for name, array in network.parameters.items():
        coded = (precision == "int8" or name in codes) and array.ndim == 2 and name not in compact
        form = "int8" if coded else "rows of codes" if name in compact else "float32"
        expected[name] = (*array.shape, form)
        if coded:
            expected[name + SCALE] = (len(array), "float32")
    if found != expected:
        name = min(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        raise ModelFileError(
            f"{file}: parameter {name} is {found.get(name, 'missing')} but its configuration needs "
            f"{expected.get(name, 'none of that name')}; use another copy of it, or train again"
        )
