// Sums of exponentials of a row of logits, by lanes: what losses and the draw share.
#pragma once

#include "activation.h"
#include "panels.h"

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

}  // namespace PANTOUM_ISA
}  // namespace pantoum
