// AVX-512 with VDPBF16PS: the lanes of AVX-512, and products whose operands are pairs of bf16.
#pragma once

#include "../avx512/vector.h"

#define PANTOUM_BASE avx512
#define PANTOUM_HAS_BF16 1

namespace pantoum {
namespace PANTOUM_ISA {

using Half = std::uint16_t;  // the upper half of a float32, rounded to nearest even

inline void store_half(Half* p, F16 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(x.v));
}
inline void store_half(Half* p, F16 x, int n) {
  _mm256_mask_storeu_epi16(p, first(n).v, (__m256i)_mm512_cvtneps_pbh(x.v));
}
inline I16 widen(__m256i halves) { return {_mm512_cvtepu16_epi32(halves)}; }
// Lane l is the pair (even[l], odd[l]): what one step of a product reads.
inline I16 pairs(F16 even, F16 odd) {
  return widen((__m256i)_mm512_cvtneps_pbh(even.v)) | shift_left<16>(widen((__m256i)_mm512_cvtneps_pbh(odd.v)));
}
inline I16 load_halves(const Half* p, int n) { return widen(_mm256_maskz_loadu_epi16(first(n).v, p)); }
inline F16 dot_pairs(I16 a, I16 b, F16 sum) { return {_mm512_dpbf16_ps(sum.v, (__m512bh)a.v, (__m512bh)b.v)}; }

// Sixteen vectors, `from_next` words apart, become sixteen whose lanes are those vectors' lanes of one number.
inline void transpose(const std::uint32_t* from, long from_next, std::uint32_t* to, long to_next) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_si512(from + i * from_next);
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      a[i + 2 * j] = _mm512_unpacklo_epi64(b[i + j], b[i + j + 2]);
      a[i + 2 * j + 1] = _mm512_unpackhi_epi64(b[i + j], b[i + j + 2]);
    }
  // a[4 g + c] holds of rows 4 g to 4 g + 3 the columns c, c + 4, c + 8 and c + 12, a quarter each.
  for (int c = 0; c < 4; ++c) {
    const __m512i p = _mm512_shuffle_i32x4(a[c], a[c + 4], 0x88), q = _mm512_shuffle_i32x4(a[c], a[c + 4], 0xdd);
    const __m512i r = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0x88);
    const __m512i s = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0xdd);
    _mm512_storeu_si512(to + c * to_next, _mm512_shuffle_i32x4(p, r, 0x88));
    _mm512_storeu_si512(to + (c + 4) * to_next, _mm512_shuffle_i32x4(q, s, 0x88));
    _mm512_storeu_si512(to + (c + 8) * to_next, _mm512_shuffle_i32x4(p, r, 0xdd));
    _mm512_storeu_si512(to + (c + 12) * to_next, _mm512_shuffle_i32x4(q, s, 0xdd));
  }
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
