// Sixteen float lanes in plain C++: for processors without a path of their own, and the proof that
// the others compute nothing else. The fused multiply-add may be a call here; no speed is promised.
// See avx512/vector.h.
#pragma once

#include <cstdint>

namespace pantoum {
namespace PANTOUM_ISA {

constexpr int kLanes = 16;
constexpr int kPanelVectors = 1;
constexpr int kTileRows = 4;
constexpr int kRegisters = 8;

struct F16 {
  float v[kLanes];
};
struct I16 {
  std::uint32_t v[kLanes];
};
struct M16 {
  bool v[kLanes];
};

// A value of type T whose lane i is `expression`.
#define PANTOUM_LANES(T, expression)                         \
  T result;                                                  \
  for (int i = 0; i < kLanes; ++i) result.v[i] = expression; \
  return result

inline F16 load(const float* p) { PANTOUM_LANES(F16, p[i]); }
inline F16 load(const float* p, int n) { PANTOUM_LANES(F16, i < n ? p[i] : 0.0f); }
inline void store(float* p, F16 x) {
  for (int i = 0; i < kLanes; ++i) p[i] = x.v[i];
}
inline void store(float* p, F16 x, int n) {
  for (int i = 0; i < n; ++i) p[i] = x.v[i];
}
inline F16 broadcast(float x) { PANTOUM_LANES(F16, x); }
inline F16 zero() { return broadcast(0.0f); }

inline F16 operator+(F16 a, F16 b) { PANTOUM_LANES(F16, a.v[i] + b.v[i]); }
inline F16 operator-(F16 a, F16 b) { PANTOUM_LANES(F16, a.v[i] - b.v[i]); }
inline F16 operator*(F16 a, F16 b) { PANTOUM_LANES(F16, a.v[i] * b.v[i]); }
inline F16 operator/(F16 a, F16 b) { PANTOUM_LANES(F16, a.v[i] / b.v[i]); }
// Each lane may call a function: it is one itself, so that a tile of a product is not made of thousands of calls.
[[gnu::noinline]] inline F16 fma(F16 a, F16 b, F16 c) { PANTOUM_LANES(F16, __builtin_fmaf(a.v[i], b.v[i], c.v[i])); }
inline F16 sqrt(F16 a) { PANTOUM_LANES(F16, __builtin_sqrtf(a.v[i])); }
inline F16 max(F16 a, F16 b) { PANTOUM_LANES(F16, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
inline F16 min(F16 a, F16 b) { PANTOUM_LANES(F16, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }

inline I16 bits(F16 a) {
  I16 result;
  __builtin_memcpy(&result, &a, sizeof a);
  return result;
}
inline F16 from_bits(I16 a) {
  F16 result;
  __builtin_memcpy(&result, &a, sizeof a);
  return result;
}
inline I16 load(const std::uint32_t* p) { PANTOUM_LANES(I16, p[i]); }
inline void store(std::uint32_t* p, I16 x) {
  for (int i = 0; i < kLanes; ++i) p[i] = x.v[i];
}
inline I16 broadcast(std::uint32_t x) { PANTOUM_LANES(I16, x); }
inline I16 operator+(I16 a, I16 b) { PANTOUM_LANES(I16, a.v[i] + b.v[i]); }
inline I16 operator*(I16 a, I16 b) { PANTOUM_LANES(I16, a.v[i] * b.v[i]); }
inline I16 operator^(I16 a, I16 b) { PANTOUM_LANES(I16, a.v[i] ^ b.v[i]); }
inline I16 operator&(I16 a, I16 b) { PANTOUM_LANES(I16, a.v[i] & b.v[i]); }
inline I16 operator|(I16 a, I16 b) { PANTOUM_LANES(I16, a.v[i] | b.v[i]); }
template <int n>
inline I16 shift_left(I16 a) {
  PANTOUM_LANES(I16, a.v[i] << n);
}
template <int n>
inline I16 shift_right(I16 a) {
  PANTOUM_LANES(I16, a.v[i] >> n);
}

inline M16 less(F16 a, F16 b) { PANTOUM_LANES(M16, a.v[i] < b.v[i]); }
inline M16 less(I16 a, I16 b) { PANTOUM_LANES(M16, a.v[i] < b.v[i]); }
inline F16 select(M16 m, F16 yes, F16 no) { PANTOUM_LANES(F16, m.v[i] ? yes.v[i] : no.v[i]); }
inline I16 select(M16 m, I16 yes, I16 no) { PANTOUM_LANES(I16, m.v[i] ? yes.v[i] : no.v[i]); }

inline F16 to_float(I16 a) { PANTOUM_LANES(F16, static_cast<float>(static_cast<std::int32_t>(a.v[i]))); }
inline void store_bytes(std::uint8_t* p, I16 x) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<std::uint8_t>(x.v[i]);
}
inline I16 load_bytes(const std::int8_t* p, int n) {
  PANTOUM_LANES(I16, static_cast<std::uint32_t>(static_cast<std::int32_t>(i < n ? p[i] : 0)));
}
inline I16 load_bytes(const std::int8_t* p) { return load_bytes(p, kLanes); }
// Byte j of a word, with its sign.
inline std::int32_t byte_of(std::uint32_t x, int j) { return static_cast<std::int8_t>(x >> (8 * j) & 0xffu); }
[[gnu::noinline]] inline I16 dot_bytes(I16 a, I16 b, I16 sum) {
  for (int i = 0; i < kLanes; ++i) {
    std::int32_t dot = 0;
    for (int j = 0; j < 4; ++j) dot += byte_of(a.v[i], j) * byte_of(b.v[i], j);
    sum.v[i] += static_cast<std::uint32_t>(dot);
  }
  return sum;
}

#undef PANTOUM_LANES

}  // namespace PANTOUM_ISA
}  // namespace pantoum
