// Rows of floats as codes of eight bits and one scale per row:
//
//   scale = max |x| / 127      code = x * (127 / max |x|), to the nearest whole number, ties to even
//
// so codes are -127 to 127. A row whose greatest is below 2^-100 counts as zeros, with scale 0. A row
// with a number that is not finite has codes 0 and the scale NaN: every product with it is NaN.
#pragma once

#include <cstdint>

#include "lanes.h"

namespace pantoum {
namespace PANTOUM_ISA {

inline float float_of(std::uint32_t word) {
  float x;
  __builtin_memcpy(&x, &word, sizeof x);
  return x;
}

// The bits of the greatest |x|: as whole numbers they have the floats' order, infinity and NaN last.
inline std::uint32_t greatest_bits(const float* x, Long depth) {
  const I16 positive = broadcast(0x7fffffffu);
  I16 top = broadcast(0u);
  each_lanes(0, depth, [&](Long k, auto n) {
    const I16 v = bits(load(x + k, n)) & positive;
    top = select(less(top, v), v, top);
  });
  alignas(64) std::uint32_t lane[kLanes];
  store(lane, top);
  std::uint32_t greatest = 0;
  for (int i = 0; i < kLanes; ++i) greatest = lane[i] > greatest ? lane[i] : greatest;
  return greatest;
}

// Writes the codes, `offset` (0 or 128) added, and returns the scale. Up to the next multiple of
// kLanes the rest of the row is code 0.
template <std::uint32_t offset>
inline float quantize_row(std::uint8_t* codes, const float* x, Long depth) {
  const std::uint32_t greatest = greatest_bits(x, depth);
  const bool finite = greatest < 0x7f800000u, zeros = greatest < 0x0d800000u;  // 2^-100
  const F16 round = broadcast(0x1.8p23f);  // adding it leaves the nearest whole number in the low bits
  const I16 flip = broadcast(offset);      // a byte plus 128 is the byte with its first bit turned
  if (!finite || zeros) {
    for (Long k = 0; k < depth; k += kLanes) store_bytes(codes + k, flip);
    return finite ? 0.0f : float_of(0x7fc00000u);
  }
  const float most = float_of(greatest);
  const F16 inverse = broadcast(127.0f / most);
  each_lanes(0, depth, [&](Long k, auto n) { store_bytes(codes + k, bits(load(x + k, n) * inverse + round) ^ flip); });
  return most / 127.0f;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
