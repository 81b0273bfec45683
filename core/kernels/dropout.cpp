// Dropout whose mask is a hash of where it falls; the definition is in kernels/reference/dropout.py.
#include "kernels.h"

#include "each_row.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr std::uint32_t kStart = 0x70616e74u, kGolden = 0x9e3779b9u;
constexpr std::uint32_t kFirst = 0x7feb352du, kSecond = 0x846ca68bu;
constexpr Long kSmallestPart = 1 << 13;  // floats that are worth waking a thread for

std::uint32_t mix(std::uint32_t x) {
  x = (x ^ x >> 16) * kFirst;
  x = (x ^ x >> 15) * kSecond;
  return x ^ x >> 16;
}

inline I16 mix(I16 x) {
  x = (x ^ shift_right<16>(x)) * broadcast(kFirst);
  x = (x ^ shift_right<15>(x)) * broadcast(kSecond);
  return x ^ shift_right<16>(x);
}

std::uint32_t key_of(const pantoum_dropout_args& a) {
  std::uint32_t key = mix(kStart ^ static_cast<std::uint32_t>(a.seed));
  key = mix(key ^ static_cast<std::uint32_t>(a.seed >> 32));
  key = mix(key ^ a.step);
  return mix(key ^ a.layer);
}

void drop_row(const pantoum_dropout_args& a, std::uint32_t row, const float* x, float* y) {
  alignas(64) static constexpr std::uint32_t kOdd[kLanes] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  alignas(64) static constexpr std::uint32_t kWord[kLanes] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7};
  const I16 key = broadcast(row), golden = broadcast(kGolden), low = broadcast(0xffffu);
  const M16 even = less(load(kOdd), broadcast(1u));
  const I16 threshold = broadcast(a.threshold);
  const F16 scale = broadcast(a.scale);
  each_lanes(0, a.units, [&](Long u, auto n) {
    // One word serves two units: the even one takes its low half.
    const I16 word = mix(key + (load(kWord) + broadcast(static_cast<std::uint32_t>(u / 2))) * golden);
    const I16 draw = select(even, word & low, shift_right<16>(word));
    store(y + u, select(less(draw, threshold), zero(), load(x + u, n) * scale), n);
  });
}

}  // namespace

int dropout(const pantoum_dropout_args& a) {
  const std::uint32_t key = key_of(a);
  return each_row(a.steps * a.batch, a.units, kSmallestPart, [&](Long r) {
    const std::uint32_t position = a.variational ? 0u : static_cast<std::uint32_t>(r / a.batch);
    const std::uint32_t stream = mix(key ^ a.streams[r % a.batch]);
    drop_row(a, mix(stream ^ position), a.x + r * a.units, a.y + r * a.units);
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
