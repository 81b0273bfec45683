// Sixteen float lanes on WebAssembly's SIMD: four vectors of 128 bits each. See avx512/vector.h.
//
// Its only fused multiply-add is a relaxed one: fused or not, as the processor has it. Two modules are made. One has
// the relaxed one, and runs only where a probe has found it fused (web/fused.js). In the other one it is made of
// doubles: a product of floats is exact in double, the sum is rounded to double and then to float. Two roundings give
// another float than one only where the first one ends halfway between two floats, or where the float is denormal. So a
// few whole-number operations look for that, and where they find it, which is rare, a lane's sum is rounded to odd
// first: that is exact.
#pragma once

#include <wasm_simd128.h>

#include <cstdint>

namespace pantoum {
namespace PANTOUM_ISA {

constexpr int kLanes = 16;
constexpr int kPanelVectors = 1;  // a panel of packed weights is 16 columns wide
constexpr int kTileRows = 2;
#ifdef __wasm_relaxed_simd__
constexpr int kRegisters = 5;      // in sixteens of floats: a row of two panels, or two rows of one
constexpr int kCodeRegisters = 7;  // products.h takes one row after the other: three panels, a GRU's gates
#else
constexpr int kRegisters = 4, kCodeRegisters = 4;  // products.h takes one row after the other
#endif
#define PANTOUM_HAS_OWN_TILES 1  // products.h

struct F16 {
  v128_t v[4];
};
struct I16 {
  v128_t v[4];
};
struct M16 {
  v128_t v[4];
};

// A value of type T whose vector i is `expression`.
#define PANTOUM_EACH(T, expression)                     \
  T result;                                             \
  for (int i = 0; i < 4; ++i) result.v[i] = expression; \
  return result

inline F16 load(const float* p) { PANTOUM_EACH(F16, wasm_v128_load(p + 4 * i)); }
inline void store(float* p, F16 x) {
  for (int i = 0; i < 4; ++i) wasm_v128_store(p + 4 * i, x.v[i]);
}
inline F16 load(const float* p, int n) {
  float whole[kLanes] = {};
  for (int i = 0; i < n; ++i) whole[i] = p[i];
  return load(whole);
}
inline void store(float* p, F16 x, int n) {
  float whole[kLanes];
  store(whole, x);
  for (int i = 0; i < n; ++i) p[i] = whole[i];
}
inline F16 broadcast(float x) { PANTOUM_EACH(F16, wasm_f32x4_splat(x)); }
inline F16 zero() { return broadcast(0.0f); }

inline F16 operator+(F16 a, F16 b) { PANTOUM_EACH(F16, wasm_f32x4_add(a.v[i], b.v[i])); }
inline F16 operator-(F16 a, F16 b) { PANTOUM_EACH(F16, wasm_f32x4_sub(a.v[i], b.v[i])); }
inline F16 operator*(F16 a, F16 b) { PANTOUM_EACH(F16, wasm_f32x4_mul(a.v[i], b.v[i])); }
inline F16 operator/(F16 a, F16 b) { PANTOUM_EACH(F16, wasm_f32x4_div(a.v[i], b.v[i])); }
inline F16 sqrt(F16 a) { PANTOUM_EACH(F16, wasm_f32x4_sqrt(a.v[i])); }
// As x86 has it: the second operand unless the comparison holds.
inline F16 max(F16 a, F16 b) { PANTOUM_EACH(F16, wasm_f32x4_pmax(b.v[i], a.v[i])); }
inline F16 min(F16 a, F16 b) { PANTOUM_EACH(F16, wasm_f32x4_pmin(b.v[i], a.v[i])); }

#ifdef __wasm_relaxed_simd__
inline F16 fma(F16 a, F16 b, F16 c) { PANTOUM_EACH(F16, wasm_f32x4_relaxed_madd(a.v[i], b.v[i], c.v[i])); }
#else
// The first two and the last two of four floats as doubles, and two pairs as four floats.
inline v128_t low_wide(v128_t x) { return wasm_f64x2_promote_low_f32x4(x); }
inline v128_t high_wide(v128_t x) { return wasm_f64x2_promote_low_f32x4(wasm_i32x4_shuffle(x, x, 2, 3, 2, 3)); }
inline v128_t narrow(v128_t low, v128_t high) {
  return wasm_i32x4_shuffle(wasm_f32x4_demote_f64x2_zero(low), wasm_f32x4_demote_f64x2_zero(high), 0, 1, 4, 5);
}

// The least of what shows that rounding twice may be wrong. Of a double the lower word is 0 where the lower 29 bits are
// halfway between two floats; the upper word is small where the number is below 2^-125, but for 0, which is exact.
struct Doubt {
  v128_t least = wasm_i32x4_const(-1, -1, -1, -1);
  void look(v128_t sums) {
    const v128_t looked_at = wasm_i32x4_const(0x1fffffff, 0x7fffffff, 0x1fffffff, 0x7fffffff);
    const v128_t halfway = wasm_i32x4_const(0x10000000, 1, 0x10000000, 1);
    least = wasm_u32x4_min(least, wasm_i32x4_sub(wasm_v128_and(sums, looked_at), halfway));
  }
  bool any() const {
    const v128_t from = wasm_i32x4_const(1, 0x38200000, 1, 0x38200000);
    return wasm_v128_any_true(wasm_u32x4_lt(least, from));
  }
};

// a b + c, rounded once: the sum in double is rounded to odd, so that rounding it again cannot be wrong.
inline float fma_exactly(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b), addend = static_cast<double>(c);
  double sum = product + addend;
  const double back = sum - product, error = (product - (sum - back)) + (addend - back);
  std::uint64_t word;
  __builtin_memcpy(&word, &sum, sizeof word);
  if ((error > 0.0 || error < 0.0) && word % 2 == 0) word += (error > 0.0) == (sum > 0.0) ? 1u : ~std::uint64_t{0};
  __builtin_memcpy(&sum, &word, sizeof sum);
  return static_cast<float>(sum);
}
[[gnu::noinline]] inline F16 fma_exactly(F16 a, F16 b, F16 c) {
  float x[kLanes], y[kLanes], z[kLanes];
  store(x, a);
  store(y, b);
  store(z, c);
  for (int i = 0; i < kLanes; ++i) z[i] = fma_exactly(x[i], y[i], z[i]);
  return load(z);
}
// Inline: a call would give sixteen lanes by way of memory, which takes twice the time.
[[gnu::always_inline]] inline F16 fma(F16 a, F16 b, F16 c) {
  F16 result;
  Doubt doubt;
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; ++i) {
    const v128_t low = wasm_f64x2_add(wasm_f64x2_mul(low_wide(a.v[i]), low_wide(b.v[i])), low_wide(c.v[i]));
    const v128_t high = wasm_f64x2_add(wasm_f64x2_mul(high_wide(a.v[i]), high_wide(b.v[i])), high_wide(c.v[i]));
    doubt.look(low);
    doubt.look(high);
    result.v[i] = narrow(low, high);
  }
  return doubt.any() ? fma_exactly(a, b, c) : result;
}
#endif

inline I16 bits(F16 a) { PANTOUM_EACH(I16, a.v[i]); }
inline F16 from_bits(I16 a) { PANTOUM_EACH(F16, a.v[i]); }
inline I16 load(const std::uint32_t* p) { PANTOUM_EACH(I16, wasm_v128_load(p + 4 * i)); }
inline void store(std::uint32_t* p, I16 x) {
  for (int i = 0; i < 4; ++i) wasm_v128_store(p + 4 * i, x.v[i]);
}
inline I16 broadcast(std::uint32_t x) { PANTOUM_EACH(I16, wasm_u32x4_splat(x)); }
inline I16 operator+(I16 a, I16 b) { PANTOUM_EACH(I16, wasm_i32x4_add(a.v[i], b.v[i])); }
inline I16 operator*(I16 a, I16 b) { PANTOUM_EACH(I16, wasm_i32x4_mul(a.v[i], b.v[i])); }
inline I16 operator^(I16 a, I16 b) { PANTOUM_EACH(I16, wasm_v128_xor(a.v[i], b.v[i])); }
inline I16 operator&(I16 a, I16 b) { PANTOUM_EACH(I16, wasm_v128_and(a.v[i], b.v[i])); }
inline I16 operator|(I16 a, I16 b) { PANTOUM_EACH(I16, wasm_v128_or(a.v[i], b.v[i])); }
template <int n>
inline I16 shift_left(I16 a) {
  PANTOUM_EACH(I16, wasm_i32x4_shl(a.v[i], n));
}
template <int n>
inline I16 shift_right(I16 a) {
  PANTOUM_EACH(I16, wasm_u32x4_shr(a.v[i], n));
}

inline M16 less(F16 a, F16 b) { PANTOUM_EACH(M16, wasm_f32x4_lt(a.v[i], b.v[i])); }
inline M16 less(I16 a, I16 b) { PANTOUM_EACH(M16, wasm_u32x4_lt(a.v[i], b.v[i])); }
inline F16 select(M16 m, F16 yes, F16 no) { PANTOUM_EACH(F16, wasm_v128_bitselect(yes.v[i], no.v[i], m.v[i])); }
inline I16 select(M16 m, I16 yes, I16 no) { PANTOUM_EACH(I16, wasm_v128_bitselect(yes.v[i], no.v[i], m.v[i])); }

inline F16 to_float(I16 a) { PANTOUM_EACH(F16, wasm_f32x4_convert_i32x4(a.v[i])); }
inline void store_bytes(std::uint8_t* p, I16 x) {
  const v128_t low = wasm_i8x16_shuffle(x.v[0], x.v[1], 0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
  const v128_t high = wasm_i8x16_shuffle(x.v[2], x.v[3], 0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
  wasm_v128_store(p, wasm_i64x2_shuffle(low, high, 0, 2));
}
inline I16 load_bytes(const std::int8_t* p) {
  const v128_t bytes = wasm_v128_load(p);
  const v128_t low = wasm_i16x8_extend_low_i8x16(bytes), high = wasm_i16x8_extend_high_i8x16(bytes);
  return {{wasm_i32x4_extend_low_i16x8(low), wasm_i32x4_extend_high_i16x8(low), wasm_i32x4_extend_low_i16x8(high),
           wasm_i32x4_extend_high_i16x8(high)}};
}
inline I16 load_bytes(const std::int8_t* p, int n) {
  std::int8_t whole[kLanes] = {};
  for (int i = 0; i < n; ++i) whole[i] = p[i];
  return load_bytes(whole);
}
#undef PANTOUM_EACH

}  // namespace PANTOUM_ISA
}  // namespace pantoum
