"""Products of the modules: the bits of the native core, also where rounding by way of double is in doubt."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.apps.web import html_page
from pantoum.kernels import native

pytestmark = [pytest.mark.slow, pytest.mark.skipif(native.missing() is not None, reason="no native core")]
SCRIPT = """
import { readFileSync } from "node:fs";
import { Core } from "CORE";
const core = await Core.load(readFileSync(process.argv[2]));
const floats = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
const found = JSON.parse(readFileSync(0, "utf8")).map(({ x, w, count, depth, columns, precision }) => {
  const sides = [columns, depth, columns].map(BigInt);
  const bytes = Number(core.exports.pantoum_packed_bytes(...sides, precision, 0));
  const [weight, panels, y] = [core.put(floats(w)), core.alloc(bytes), core.alloc(4 * count * columns)];
  const sizes = { rows: columns, depth, block: columns };
  const given = core.put(floats(x));
  if (precision) {
    const [codes, scales] = [core.alloc(columns * depth), core.alloc(4 * columns)];
    core.call("quantize", { weight, codes, scales, rows: columns, depth });
    core.call("pack_codes", { codes, scales, panels, ...sizes });
  } else core.call("pack", { weight, panels, ...sizes, precision, transposed: 0 });
  core.call("product", { x: given, panels, y, count, depth, columns, block: columns, precision });
  return Buffer.from(new Uint8Array(core.memory.buffer, y, 4 * count * columns)).toString("base64");
});
process.stdout.write(JSON.stringify(found));
"""


@pytest.fixture
def products(wasm: Path, node: list[str], tmp_path: Path) -> Callable[..., list[Any]]:
    """``products([(x, w, precision), ...])``: x w^T of the module under Node."""
    script = tmp_path / "products.mjs"
    script.write_text(SCRIPT.replace("CORE", (Path(html_page.__file__).parent / "core.js").as_uri()))

    def run(cases: list[tuple[Any, Any, int]]) -> list[Any]:
        asked = [
            {
                "x": base64.b64encode(x.tobytes()).decode(),
                "w": base64.b64encode(w.tobytes()).decode(),
                "count": len(x),
                "depth": x.shape[1],
                "columns": len(w),
                "precision": precision,
            }
            for x, w, precision in cases
        ]
        ran = subprocess.run(
            [*node, script, wasm], input=json.dumps(asked), capture_output=True, text=True, encoding="utf-8"
        )
        assert ran.returncode == 0, ran.stderr
        sizes = [(len(x), len(w)) for x, w, _ in cases]
        return [
            np.frombuffer(base64.b64decode(text), np.float32).reshape(size)
            for text, size in zip(json.loads(ran.stdout), sizes, strict=True)
        ]

    return run


def drawn(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> Any:
    """Floats of a kind."""
    if kind == "codes":
        return rng.integers(-127, 128, shape).astype(np.float32)
    bits = {"few bits": 4, "twelve bits": 12}.get(kind, 24)
    whole = rng.integers(-(2**bits), 2**bits, shape).astype(np.float64)
    low, high = {"denormal": (-100, -70), "overflow": (35, 41), "wide": (-60, 60)}.get(kind, (-6, 6))
    found = (whole * 2.0 ** rng.integers(low, high, shape)).astype(np.float32)
    return np.where(rng.random(shape) < 0.1, np.float32(0), found)


def bits_of(array: Any) -> Any:
    """Every bit, but all that is not a number alike."""
    return np.where(np.isnan(array), np.uint32(1), array.view(np.uint32))


@pytest.mark.parametrize("kind", ["few bits", "twelve bits", "whole", "wide", "denormal", "overflow"])
def test_products_of_floats_have_the_bits_of_the_native_core(products: Any, kind: str) -> None:
    rng = np.random.default_rng(1)
    cases = []
    for rows, depth, columns in ((1, 1, 1), (2, 33, 16), (3, 200, 37), (5, 1500, 20)):
        cases.append((drawn(rng, (rows, depth), kind), drawn(rng, (columns, depth), kind), 0))
    with np.errstate(all="ignore"):
        for (x, w, _), found in zip(cases, products(cases), strict=True):
            right = native.pack(w).product(x)
            assert np.array_equal(bits_of(found), bits_of(right)), kind


def test_products_of_codes_have_the_bits_of_the_native_core(products: Any) -> None:
    rng = np.random.default_rng(2)
    sizes = ((1, 1, 1), (3, 31, 16), (2, 515, 37), (1, 9001, 5))
    cases = [(drawn(rng, (r, k), "codes"), drawn(rng, (c, k), "codes"), 2) for r, k, c in sizes]
    for (x, w, _), found in zip(cases, products(cases), strict=True):
        right = native.pack_codes(*native.quantize(w)).product(x)
        assert np.array_equal(bits_of(found), bits_of(right))
