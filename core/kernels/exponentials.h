// Sums of exponentials of a row of logits, by lanes: what losses, the draw, counts and frequencies share.
#pragma once

#include "activation.h"
#include "panels.h"
#include "reduce.h"

namespace pantoum {
namespace PANTOUM_ISA {

// Adds exp(x - top) to the sums of the lanes.
inline F16 add_exponentials(const float* x, Long width, float top, F16 sum) {
  const F16 shift = broadcast(top);
  Long c = 0;
  for (; c + kLanes <= width; c += kLanes) sum = sum + exp(load(x + c) - shift);
  if (c == width) return sum;
  alignas(64) float rest[kLanes] = {};
  const int n = static_cast<int>(width - c);
  store(rest, exp(load(x + c, n) - shift), n);
  return sum + load(rest);
}

constexpr Long kSummedAtOnce = 512;  // exponentials in floats, before their sum goes on in double

// x [width] becomes exp(x - the largest); returns the sum, which is not finite where x is not.
inline double exponentials(float* x, Long width) {
  F16 most = broadcast(-__builtin_inff());
  Long whole = 0;
  for (; whole + kLanes <= width; whole += kLanes) most = max(load(x + whole), most);
  alignas(64) float lanes[kLanes];
  store(lanes, most);
  float top = lanes[0];
  for (const float lane : lanes) top = lane > top ? lane : top;
  for (Long c = whole; c < width; ++c) top = x[c] > top ? x[c] : top;
  const F16 shift = broadcast(top);
  double total = 0.0;
  for (Long begin = 0; begin < width; begin += kSummedAtOnce) {
    F16 sum = zero();
    each_lanes(begin, least(begin + kSummedAtOnce, width), [&](Long c, auto n) {
      const F16 e = exp(load(x + c, n) - shift);
      store(x + c, e, n);
      alignas(64) float rest[kLanes] = {};
      if (n < kLanes) store(rest, e, n);
      sum = sum + (n < kLanes ? load(rest) : e);
    });
    total += static_cast<double>(sum_lanes(sum));
  }
  return total;
}

// Logits x [width] become logarithms of v softmax(x) + u p.
inline void mix_row(float* x, float v, const float* p, float u, Long width) {
  const F16 scale = broadcast(static_cast<float>(static_cast<double>(v) / exponentials(x, width)));
  const F16 other = broadcast(u), least_of_all = broadcast(0x1p-126f);
  each_lanes(0, width, [&](Long c, auto n) {
    store(x + c, log(load(x + c, n) * scale + load(p + c, n) * other + least_of_all), n);
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
