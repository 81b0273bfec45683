// Sixteen float lanes on AVX-512: one register each.
//
// Every ISA has a file of this name with the same types and functions, so that a kernel is written
// once and its float32 results have the same bits on all of them: only correctly rounded operations
// are in here, and every reduction over lanes is one fixed tree.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace pantoum {
namespace PANTOUM_ISA {

constexpr int kLanes = 16;
constexpr int kPanelVectors = 2;  // a panel of packed weights is 32 columns wide
constexpr int kTileRows = 10;     // 8 and 10 rows reach 99 % of the peak; gcc has no addresses for 12 to 14
constexpr int kRegisters = 32;    // in sixteens of floats

struct F16 {
  __m512 v;
};
struct I16 {
  __m512i v;
};
struct M16 {
  __mmask16 v;
};

inline M16 first(int n) { return {static_cast<__mmask16>((1u << n) - 1u)}; }

inline F16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F16 load(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n).v, p)}; }
inline void store(float* p, F16 x) { _mm512_storeu_ps(p, x.v); }
inline void store(float* p, F16 x, int n) { _mm512_mask_storeu_ps(p, first(n).v, x.v); }
inline F16 broadcast(float x) { return {_mm512_set1_ps(x)}; }
inline F16 zero() { return {_mm512_setzero_ps()}; }

inline F16 operator+(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F16 operator-(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16 operator*(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16 operator/(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F16 fma(F16 a, F16 b, F16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F16 sqrt(F16 a) { return {_mm512_sqrt_ps(a.v)}; }
// The second operand where either is not a number: keep the data second and NaN goes through.
inline F16 max(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F16 min(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }

inline I16 bits(F16 a) { return {_mm512_castps_si512(a.v)}; }
inline F16 from_bits(I16 a) { return {_mm512_castsi512_ps(a.v)}; }
inline I16 load(const std::uint32_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store(std::uint32_t* p, I16 x) { _mm512_storeu_si512(p, x.v); }
inline I16 broadcast(std::uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
inline I16 operator+(I16 a, I16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline I16 operator*(I16 a, I16 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline I16 operator^(I16 a, I16 b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline I16 operator&(I16 a, I16 b) { return {_mm512_and_si512(a.v, b.v)}; }
inline I16 operator|(I16 a, I16 b) { return {_mm512_or_si512(a.v, b.v)}; }
template <int n>
inline I16 shift_left(I16 a) {
  return {_mm512_slli_epi32(a.v, n)};
}
template <int n>
inline I16 shift_right(I16 a) {
  return {_mm512_srli_epi32(a.v, n)};
}

inline M16 less(F16 a, F16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline M16 less(I16 a, I16 b) { return {_mm512_cmplt_epu32_mask(a.v, b.v)}; }
inline F16 select(M16 m, F16 yes, F16 no) { return {_mm512_mask_blend_ps(m.v, no.v, yes.v)}; }
inline I16 select(M16 m, I16 yes, I16 no) { return {_mm512_mask_blend_epi32(m.v, no.v, yes.v)}; }

// Whole numbers, 32 bits a lane and with a sign: to the nearest float, ties to even.
inline F16 to_float(I16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
// The lowest byte of each lane.
inline void store_bytes(std::uint8_t* p, I16 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x.v));
}
// Bytes with a sign, one per lane.
inline I16 load_bytes(const std::int8_t* p) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline I16 load_bytes(const std::int8_t* p, int n) {
  return {_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first(n).v, p))};
}
// Four bytes a lane, each -127 to 127: sum + a0 b0 + a1 b1 + a2 b2 + a3 b3, exactly.
inline I16 dot_bytes(I16 a, I16 b, I16 sum) {
  const __m512i signed_b = _mm512_mask_sub_epi8(b.v, _mm512_movepi8_mask(a.v), _mm512_setzero_si512(), b.v);
  const __m512i halves = _mm512_maddubs_epi16(_mm512_abs_epi8(a.v), signed_b);  // at most 2 * 127 * 127: fits
  return {_mm512_add_epi32(sum.v, _mm512_madd_epi16(halves, _mm512_set1_epi16(1)))};
}
// The same in one instruction, with a's bytes 0 to 255. Written out, so that the compiler may use it
// nowhere else: this file also runs on processors that have not got it.
#define PANTOUM_HAS_VNNI 1
inline I16 dot_bytes_vnni(I16 a, I16 b, I16 sum) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.v) : "v"(a.v), "v"(b.v));
  return sum;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
