"""Runs a program for WebAssembly under the package wasmtime: in_wasmtime.py FILE ARGUMENT..."""

from __future__ import annotations

import sys

from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig


def main(arguments: list[str]) -> int:
    engine = Engine()
    store, linker = Store(engine), Linker(engine)
    wasi = WasiConfig()
    wasi.argv = arguments
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    store.set_wasi(wasi)
    linker.define_wasi()
    instance = linker.instantiate(store, Module.from_file(engine, arguments[0]))
    try:
        instance.exports(store)["_start"](store)  # type: ignore[operator]
    except ExitTrap as ended:
        return ended.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
