// Whether there is a fused multiply-add of four floats here, so that pantoum-fused.wasm has the bits of pantoum.wasm.
//
// WebAssembly's relaxed one rounds once or twice: the processor decides, and the choice is the same all the program long.

/** `f(a, b, c, sum)`: whether the relaxed a b + c is the sum, in all lanes. */
const MADD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 9, 1, 96, 4, 125, 125, 125, 125, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 28, 1, 26, 0,
  32, 0, 253, 19, 32, 1, 253, 19, 32, 2, 253, 19, 253, 133, 2, 32, 3, 253, 19, 253, 65, 253, 163, 1, 11,
]);
/** Factors, addend and sum: where rounding the product changes the sum, where rounding to double does, and denormal. */
const SUMS = [
  [1 + 2 ** -12, 1 + 2 ** -12, -1 - 2 ** -11, 2 ** -24],
  [2 ** -24 + 2 ** -42, 1 - 2 ** -18, 1 + 2 ** -23, 1 + 2 ** -23],
  [2 ** -75, 2 ** -75, 2 ** -149, 2 ** -148],
];

/** @returns {boolean} */
export function fuses() {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(MADD)) return false;
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(MADD)).exports;
  return SUMS.every((numbers) => /** @type {Function} */ (f)(...numbers) === 1);
}
