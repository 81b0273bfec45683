// The inner loops of products on WebAssembly: of codes, and of floats where the fused multiply-add is made of doubles.
//
// Floats: a sum is a double that holds its float times 2^-896. Such a double has the exponent of the float, and is
// denormal where the float is; so to round it to a float is whole-number arithmetic on its lower 29 bits. A product of
// floats is exact in double, but the sum is rounded to double first. That is wrong only where it then ends halfway
// between two floats; and beyond the floats' range, which the exponent shows, a sum is infinite. Where either may have
// happened, which is rare, nothing is written, and the tile is computed by `fma`.
//
// Codes, without relaxed SIMD: products of sixteen bits are added in pairs. A number of sixteen bits holds the codes of
// two columns, the one of the first with 128 added: low + 256 high. The product with it and the product with `high`
// give both columns' sums.
//
// kernels/tile.h, which declares TileArguments, includes this.
#pragma once

#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

// The sum of what `of` makes of each code, in all lanes. Behind the end of a row there are zeros.
template <class Of>
inline v128_t sum_of_codes(const char* a, std::ptrdiff_t steps, Of of) {
  v128_t sum = wasm_i32x4_const(0, 0, 0, 0);
  for (std::ptrdiff_t k = 0; k < 4 * steps; k += 16)
    sum = wasm_i32x4_add(sum,
                         wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extadd_pairwise_i8x16(of(wasm_v128_load(a + k)))));
  sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
  return wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 1, 0, 3, 2));
}
inline void write_codes(float* out, v128_t sum, bool resume) {
  wasm_v128_store(out, resume ? wasm_i32x4_add(sum, wasm_v128_load(out)) : sum);
}

#ifdef __wasm_relaxed_simd__
template <int rows>
inline bool tile_of_floats(const TileArguments&) {
  return false;  // tile.h has them
}

// Four codes of a column go to their place in a step of a panel.
inline void place_codes(std::uint32_t* step, std::ptrdiff_t column, const std::uint8_t* codes) {
  __builtin_memcpy(step + column, codes, sizeof *step);
}

// One row of codes. A relaxed product takes a factor of seven bits, without a sign, so that it is the same on every
// processor. Where the factor is negative, the other one is -1 less itself, and the factor has to be added once more.
template <int panels>
inline void row_of_codes(const char* a, const char* panel, std::ptrdiff_t next, std::ptrdiff_t steps, float* out,
                         std::ptrdiff_t out_next, bool resume) {
  const v128_t ones = wasm_i16x8_const_splat(1);
  v128_t zero = wasm_i8x16_const_splat(0), sum[4 * panels];
  for (v128_t& one : sum) one = zero;
  __asm__("" : "+r"(zero));  // otherwise clang makes a shift of the comparison, for which x86 has no instruction
  for (std::ptrdiff_t k = 0; k < steps; ++k, panel += kLanes * sizeof(float)) {
    const v128_t codes = wasm_v128_load32_splat(a + 4 * k);
    const v128_t sign = wasm_i8x16_lt(codes, zero), size = wasm_i8x16_abs(codes);
#pragma clang loop unroll(full)
    for (int p = 0; p < panels; ++p) {
      const char* at = panel + p * next;
      __asm__("" : "+r"(at));  // otherwise clang adds to a pointer for every load
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; ++i) {
        const v128_t b = wasm_v128_xor(wasm_v128_load(at + 16 * i), sign);
        const v128_t pairs = wasm_i16x8_relaxed_dot_i8x16_i7x16(b, size);
        sum[4 * p + i] = wasm_i32x4_add(sum[4 * p + i], wasm_i32x4_dot_i16x8(pairs, ones));
      }
    }
  }
  const v128_t once_more = sum_of_codes(a, steps, [=](v128_t x) { return wasm_i8x16_min(x, zero); });
  for (int i = 0; i < 4 * panels; ++i)
    write_codes(out + i / 4 * out_next + i % 4 * 4, wasm_i32x4_sub(sum[i], once_more), resume);
}
#else
constexpr int kPairs = 4;  // of columns: with more, sums do not stay in registers, of which x86 has sixteen
constexpr double kScale = 0x1p-896;

inline v128_t load_pair(const float* p) { return wasm_f64x2_promote_low_f32x4(wasm_v128_load64_zero(p)); }

// A row of A times some columns of the panel, each pair of sums where `found` has it; whether they are certain.
inline bool row_of_floats(const char* a, std::ptrdiff_t a_step, const char* panel, std::ptrdiff_t steps,
                          const float* from, v128_t* found) {
  const v128_t lower = wasm_i64x2_const(0x1fffffff, 0x1fffffff), below_half = wasm_i64x2_const(0x0fffffff, 0x0fffffff);
  // The least of what these bits of a sum lack, below_half added: in the lower word 0 halfway between two floats, in
  // the upper one 511 less the greatest exponent, of which 255 and more are beyond the floats.
  const v128_t looked_at = wasm_i64x2_const(0x1ff000001fffffff, 0x1ff000001fffffff);
  const v128_t doubtful = wasm_i64x2_const(0x1000000000000000, 0x1000000000000000);
  const v128_t scale = wasm_f64x2_const(kScale, kScale), back = wasm_f64x2_const(1 / kScale, 1 / kScale);
  v128_t least = wasm_i32x4_const(-1, -1, -1, -1), sum[kPairs];
  for (int i = 0; i < kPairs; ++i)
    sum[i] = from ? wasm_f64x2_mul(load_pair(from + 2 * i), scale) : wasm_f64x2_const(0, 0);
#pragma clang loop unroll_count(2)
  for (std::ptrdiff_t k = 0; k < steps; ++k, a += a_step, panel += kLanes * sizeof(float)) {
    const v128_t factor = wasm_f64x2_mul(low_wide(wasm_v128_load32_splat(a)), scale);
    for (int i = 0; i < kPairs; ++i) {
      const v128_t product = wasm_f64x2_mul(factor, load_pair(reinterpret_cast<const float*>(panel) + 2 * i));
      v128_t moved = wasm_i64x2_add(wasm_f64x2_add(product, sum[i]), below_half);
      __asm__("" : "+r"(moved));  // otherwise clang makes one more subtraction of ~(x + c)
      sum[i] = wasm_v128_andnot(moved, lower);
      least = wasm_u32x4_min(least, wasm_v128_andnot(looked_at, moved));
    }
  }
  for (int i = 0; i < kPairs; ++i) found[i] = wasm_f32x4_demote_f64x2_zero(wasm_f64x2_mul(sum[i], back));
  return wasm_i32x4_all_true(wasm_u32x4_gt(least, doubtful));
}

// Writes a tile of floats, or nothing where a sum is in doubt.
template <int rows>
inline bool tile_of_floats(const TileArguments& t) {
  v128_t found[rows][kLanes / 2];
  for (int r = 0; r < rows; ++r)
    for (int pair = 0; pair < kLanes / 2; pair += kPairs) {
      const float* from = t.resume ? t.out + r * t.out_row + 2 * pair : nullptr;
      const char* panel = t.panel + 2 * pair * static_cast<int>(sizeof(float));
      if (!row_of_floats(t.a + r * t.a_row, t.a_step, panel, t.steps, from, found[r] + pair)) return false;
    }
  for (int r = 0; r < rows; ++r)
    for (int pair = 0; pair < kLanes / 2; ++pair)
      wasm_v128_store64_lane(t.out + r * t.out_row + 2 * pair, found[r][pair], 0);
  return true;
}

// Where the codes of column c lie in a step of a panel: in pairs with those of column c + 8.
inline void place_codes(std::uint32_t* step, std::ptrdiff_t column, const std::uint8_t* codes) {
  const std::ptrdiff_t low = column % 8;
  std::uint8_t* to = reinterpret_cast<std::uint8_t*>(step) + 8 * low + column / 8;
  for (int k = 0; k < 4; ++k) to[2 * k] = static_cast<std::uint8_t>(codes[k] + (column == low ? 128 : 0));
}

// The even and the odd lanes of two vectors, added.
inline v128_t added_pairs(v128_t a, v128_t b) {
  return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}

// One row of codes; whole numbers are the same in any order.
inline void panel_of_codes(const char* a, const char* panel, std::ptrdiff_t steps, float* out, bool resume) {
  v128_t both[4], high[4];
  for (int i = 0; i < 4; ++i) both[i] = high[i] = wasm_i32x4_const(0, 0, 0, 0);
  for (std::ptrdiff_t k = 0; k < steps; ++k, panel += kLanes * sizeof(float)) {
    const v128_t codes = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(a + 4 * k));
    for (int i = 0; i < 4; ++i) {
      const v128_t b = wasm_v128_load(panel + 16 * i);
      both[i] = wasm_i32x4_add(both[i], wasm_i32x4_dot_i16x8(b, codes));
      high[i] = wasm_i32x4_add(high[i], wasm_i32x4_dot_i16x8(wasm_i16x8_shr(b, 8), codes));
    }
  }
  const v128_t offset = wasm_i32x4_shl(sum_of_codes(a, steps, [](v128_t x) { return x; }), 7);
  for (int i = 0; i < 2; ++i) {
    const v128_t second = added_pairs(high[2 * i], high[2 * i + 1]);
    const v128_t first =
        wasm_i32x4_sub(added_pairs(both[2 * i], both[2 * i + 1]), wasm_i32x4_add(wasm_i32x4_shl(second, 8), offset));
    write_codes(out + 4 * i, first, resume);
    write_codes(out + 8 + 4 * i, second, resume);
  }
}
template <int panels>
inline void row_of_codes(const char* a, const char* panel, std::ptrdiff_t next, std::ptrdiff_t steps, float* out,
                         std::ptrdiff_t out_next, bool resume) {
  for (int p = 0; p < panels; ++p) panel_of_codes(a, panel + p * next, steps, out + p * out_next, resume);
}
#endif

template <int rows, int panels>
inline void tile_of_codes(const TileArguments& t) {
  for (int r = 0; r < rows; ++r)
    row_of_codes<panels>(t.a + r * t.a_row, t.panel, t.panel_next, t.steps, t.out + r * t.out_row, t.out_next,
                         t.resume);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
