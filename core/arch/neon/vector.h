// Sixteen float lanes on Arm's Advanced SIMD: four registers each. See avx512/vector.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace pantoum {
namespace PANTOUM_ISA {

constexpr int kLanes = 16;
constexpr int kPanelVectors = 1;  // a panel of packed weights is 16 columns wide
constexpr int kTileRows = 6;      // 6 x 4 accumulators + 4 of the panel + 1 broadcast = 29 registers
constexpr int kRegisters = 8;     // in sixteens of floats

struct F16 {
  float32x4_t v[4];
};
struct I16 {
  uint32x4_t v[4];
};
struct M16 {
  uint32x4_t v[4];
};

#define PANTOUM_EACH(expression)                                                     \
  {                                                                                  \
    {                                                                                \
      [&](int i) { return expression; }(0), [&](int i) { return expression; }(1),    \
          [&](int i) { return expression; }(2), [&](int i) { return expression; }(3) \
    }                                                                                \
  }

inline F16 load(const float* p) { return PANTOUM_EACH(vld1q_f32(p + 4 * i)); }
inline void store(float* p, F16 x) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.v[i]);
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
inline F16 broadcast(float x) { return PANTOUM_EACH((static_cast<void>(i), vdupq_n_f32(x))); }
inline F16 zero() { return broadcast(0.0f); }

inline F16 operator+(F16 a, F16 b) { return PANTOUM_EACH(vaddq_f32(a.v[i], b.v[i])); }
inline F16 operator-(F16 a, F16 b) { return PANTOUM_EACH(vsubq_f32(a.v[i], b.v[i])); }
inline F16 operator*(F16 a, F16 b) { return PANTOUM_EACH(vmulq_f32(a.v[i], b.v[i])); }
inline F16 operator/(F16 a, F16 b) { return PANTOUM_EACH(vdivq_f32(a.v[i], b.v[i])); }
inline F16 fma(F16 a, F16 b, F16 c) { return PANTOUM_EACH(vfmaq_f32(c.v[i], a.v[i], b.v[i])); }
inline F16 sqrt(F16 a) { return PANTOUM_EACH(vsqrtq_f32(a.v[i])); }
// As x86 has it: the second operand unless the comparison holds.
inline F16 max(F16 a, F16 b) { return PANTOUM_EACH(vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }
inline F16 min(F16 a, F16 b) { return PANTOUM_EACH(vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }

inline I16 bits(F16 a) { return PANTOUM_EACH(vreinterpretq_u32_f32(a.v[i])); }
inline F16 from_bits(I16 a) { return PANTOUM_EACH(vreinterpretq_f32_u32(a.v[i])); }
inline I16 load(const std::uint32_t* p) { return PANTOUM_EACH(vld1q_u32(p + 4 * i)); }
inline void store(std::uint32_t* p, I16 x) {
  for (int i = 0; i < 4; ++i) vst1q_u32(p + 4 * i, x.v[i]);
}
inline I16 broadcast(std::uint32_t x) { return PANTOUM_EACH((static_cast<void>(i), vdupq_n_u32(x))); }
inline I16 operator+(I16 a, I16 b) { return PANTOUM_EACH(vaddq_u32(a.v[i], b.v[i])); }
inline I16 operator*(I16 a, I16 b) { return PANTOUM_EACH(vmulq_u32(a.v[i], b.v[i])); }
inline I16 operator^(I16 a, I16 b) { return PANTOUM_EACH(veorq_u32(a.v[i], b.v[i])); }
inline I16 operator&(I16 a, I16 b) { return PANTOUM_EACH(vandq_u32(a.v[i], b.v[i])); }
inline I16 operator|(I16 a, I16 b) { return PANTOUM_EACH(vorrq_u32(a.v[i], b.v[i])); }
template <int n>
inline I16 shift_left(I16 a) {
  return PANTOUM_EACH(vshlq_n_u32(a.v[i], n));
}
template <int n>
inline I16 shift_right(I16 a) {
  return PANTOUM_EACH(vshrq_n_u32(a.v[i], n));
}

inline M16 less(F16 a, F16 b) { return PANTOUM_EACH(vcltq_f32(a.v[i], b.v[i])); }
inline M16 less(I16 a, I16 b) { return PANTOUM_EACH(vcltq_u32(a.v[i], b.v[i])); }
inline F16 select(M16 m, F16 yes, F16 no) { return PANTOUM_EACH(vbslq_f32(m.v[i], yes.v[i], no.v[i])); }
inline I16 select(M16 m, I16 yes, I16 no) { return PANTOUM_EACH(vbslq_u32(m.v[i], yes.v[i], no.v[i])); }

inline F16 to_float(I16 a) { return PANTOUM_EACH(vcvtq_f32_s32(vreinterpretq_s32_u32(a.v[i]))); }
inline void store_bytes(std::uint8_t* p, I16 x) {
  const uint16x8_t low = vcombine_u16(vmovn_u32(x.v[0]), vmovn_u32(x.v[1]));
  const uint16x8_t high = vcombine_u16(vmovn_u32(x.v[2]), vmovn_u32(x.v[3]));
  vst1q_u8(p, vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
}
inline I16 load_bytes(const std::int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
  return {{vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(low))), vreinterpretq_u32_s32(vmovl_s16(vget_high_s16(low))),
           vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(high))),
           vreinterpretq_u32_s32(vmovl_s16(vget_high_s16(high)))}};
}
inline I16 load_bytes(const std::int8_t* p, int n) {
  std::int8_t whole[kLanes] = {};
  for (int i = 0; i < n; ++i) whole[i] = p[i];
  return load_bytes(whole);
}
inline uint32x4_t dot_bytes(uint32x4_t a, uint32x4_t b, uint32x4_t sum) {
  const int8x16_t x = vreinterpretq_s8_u32(a), y = vreinterpretq_s8_u32(b);
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)));
  const int32x4_t high = vpaddlq_s16(vmull_high_s8(x, y));
  return vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, high)));
}
inline I16 dot_bytes(I16 a, I16 b, I16 sum) { return PANTOUM_EACH(dot_bytes(a.v[i], b.v[i], sum.v[i])); }

#undef PANTOUM_EACH

}  // namespace PANTOUM_ISA
}  // namespace pantoum
