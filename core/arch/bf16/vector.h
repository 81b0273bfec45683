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

}  // namespace PANTOUM_ISA
}  // namespace pantoum
