"""The core's operations, made from their only declaration: the header ``pantoum_core.h``, beside the library.

For each struct of the header there is a *filler*: a function that takes its fields by name, arrays as NumPy
arrays, checks them and gives the struct. The core trusts addresses and sizes, so dtype, shape, order and
alignment of every array are checked here; what does not fit is a ``CoreError``, never a crash. A size that an
array tells need not be given; one that is given is what the arrays must have.

A filler is compiled from the declaration, as the methods of a dataclass are: a training step makes a hundred
calls, and a loop over fields would take longer than some of them.

What the header says of a field, and what becomes of it:

    const float* x;   /* [count, depth] */      an array, only read; its shape gives or must have these sizes
    float* y;         /* [count, T + 1] */      an array that is written; expressions are computed
    const float* b;   /* [columns] or null */   the same, or None
    void* panels;                               an address, or None
    const pantoum_x_args* x;                    another struct, or None
    int64_t count;                              a number: given, unless an array tells it
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.types import Array

NUMBERS = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float,
}
ELEMENTS = {
    "float": np.float32,
    "double": np.float64,
    "int8_t": np.int8,
    "uint8_t": np.bool_,
    "int32_t": np.int32,
    "int64_t": np.int64,
    "uint32_t": np.uint32,
    "uint64_t": np.uint64,
}
FIELD = re.compile(r"([\w\s*]+?[\s*])(\w+(?:, \w+)*);(?:\s*/\*(.*?)\*/)?", re.DOTALL)
"""The type, the names and the comment of a field."""
ADDRESSES = np.uintp
"""The elements of an array of addresses, ``float* const*``."""
Filler = Callable[..., ctypes.Structure]


@dataclass(frozen=True)
class Field:
    """One field of a struct."""

    name: str
    kind: str
    """Its C type, without ``const`` and ``*``."""
    pointer: bool
    written: bool = False
    sizes: tuple[str, ...] | None = None
    """The shape of an array; None of what is none."""
    optional: bool = False
    element: type[np.generic] = np.float32


class Declaration:
    """What a header declares: ``structs`` by name, without ``pantoum_`` and ``_args``."""

    def __init__(self, header: Path) -> None:
        text = header.read_text("utf-8")
        abi = re.search(r"#define PANTOUM_ABI (\d+)", text)
        assert abi is not None
        self.abi = int(abi[1])
        self.structs: dict[str, type[ctypes.Structure]] = {}
        self.operations = tuple(re.findall(r"\bX\((\w+)\)", text))
        """The functions that take the struct of their name."""
        self._fields: dict[str, list[Field]] = {}
        self._fillers: dict[str, Filler] = {}
        for body, name in re.findall(r"typedef struct \{([^}]*)\} pantoum_(\w+)_args;", text):
            fields = self._fields[name] = list(_fields(body))
            kinds = [(each.name, ctypes.c_void_p if each.pointer else NUMBERS[each.kind]) for each in fields]
            self.structs[name] = type(name, (ctypes.Structure,), {"_fields_": kinds})

    def kinds(self) -> dict[str, dict[str, str]]:
        """The C types of the fields of every struct, ``*`` for an address."""
        return {
            name: {each.name: "*" if each.pointer else each.kind for each in fields}
            for name, fields in self._fields.items()
        }

    def filler(self, name: str) -> Filler:
        """The filler of a struct, compiled when it is first asked for."""
        if name not in self._fillers:
            self._fillers[name] = _filler(name, self._fields[name], self.structs[name])
        return self._fillers[name]


def address(array: Array) -> int:
    """Where the array's first element is."""
    try:  # a quarter of the time of what NumPy offers
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    except (TypeError, ValueError):  # read-only, empty, or not in C order
        where: int = array.__array_interface__["data"][0]
        return where


def _fields(body: str) -> Iterator[Field]:
    """The fields of a struct, from the text between its braces."""
    for kind, names, comment in re.findall(FIELD, body):
        words, pointer = re.sub(r"[*]|\bconst\b", " ", kind).split(), "*" in kind
        shape = re.match(r"\s*\[([^]]*)\]( or null)?", comment)
        if not pointer or shape is None or words[-1] not in ELEMENTS:
            yield from (Field(name, words[-1], pointer) for name in names.split(", "))
            continue
        yield Field(
            names,
            words[-1],
            pointer,
            written=not kind.strip().startswith("const") and kind.count("*") == 1,
            sizes=tuple(size.strip() for size in shape[1].split(",")),
            optional=shape[2] is not None,
            element=ELEMENTS[words[-1]] if kind.count("*") == 1 else ADDRESSES,
        )


def _filler(name: str, fields: list[Field], struct: type[ctypes.Structure]) -> Filler:
    """The function that checks the fields of a struct and fills it."""
    arrays = sorted((each for each in fields if each.sizes is not None), key=lambda each: each.optional)
    told = {word for each in arrays for word in each.sizes or () if word.isidentifier()}
    needed = [each.name for each in fields if each.sizes is not None and not each.optional]
    needed += [each.name for each in fields if not each.pointer and each.name not in told]
    left_out = [each.name for each in fields if each.name not in needed]
    letters = sorted(told - {each.name for each in fields})
    lines, values = [], []
    for write in (_told, _check):
        for each in arrays:
            indent = "    " if each.optional else ""
            lines += [f"if {each.name} is not None:"] * each.optional
            lines += [indent + line for line in write(each)]
    for each in fields:
        value, null = each.name, f"None if {each.name} is None else "
        if each.sizes is not None:
            value = (null if each.optional else "") + f"address({value})"
        elif each.kind.startswith("pantoum_"):
            value = null + f"addressof({value})"
        elif each.name in told:
            value = f"{value} or 0"
        values.append(value)
    head = ", ".join(["*", *needed, *(f"{each}=None" for each in left_out + letters)])
    source = "\n    ".join([f"def {name}({head}):", *lines, f"return struct({', '.join(values)})"])
    names: dict[str, Any] = {f"{each.name}_dtype": np.dtype(each.element) for each in arrays}
    names |= {
        "struct": struct,
        "address": address,
        "addressof": ctypes.addressof,
        "refuse": partial(_refuse, name, {each.name: each for each in arrays}),
    }
    exec(compile(source, f"<the core's {name}>", "exec"), names)
    filler: Filler = names[name]
    return filler


def _told(field: Field) -> list[str]:
    """The lines that take sizes from an array."""
    name, sizes = field.name, field.sizes or ()
    lines = [f"if {name}.ndim != {len(sizes)}: {_refusal(field, 'None')}"]
    for place, size in enumerate(sizes):
        if size.isidentifier():
            lines.append(f"if {size} is None: {size} = {name}.shape[{place}]")
    return lines


def _check(field: Field) -> list[str]:
    """The lines that check an array, when all sizes are known."""
    name, shape = field.name, f"({', '.join(field.sizes or ())},)"
    flags = ("carray",) if field.written else ("c_contiguous", "aligned")
    order = " and ".join(f"{name}.flags.{flag}" for flag in flags)
    wrong = f"{name}.shape != {shape} or {name}.dtype != {name}_dtype or not ({order})"
    return [f"if {wrong}: {_refusal(field, shape)}"]


def _refusal(field: Field, shape: str) -> str:
    return f"refuse({field.name!r}, {field.name}, {shape})"


def _refuse(
    struct: str, fields: Mapping[str, Field], name: str, array: Array, shape: tuple[int, ...] | None
) -> NoReturn:
    """The error of an array that does not fit."""
    field = fields[name]
    dtype = np.dtype(field.element)
    order = ", not writable in C order" if field.written and not array.flags.carray else ""
    right = f"[{', '.join(field.sizes or ())}]" + ("" if shape is None else f" = {shape}")
    raise CoreError(
        f"{struct}: {name} is {array.dtype} of shape {array.shape} with strides {array.strides}{order}: the "
        f"core takes {dtype} of shape {right} in C order; convert it with np.ascontiguousarray"
    )
