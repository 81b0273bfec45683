// Sums and maxima over lanes by one fixed tree, the same on every ISA.
#pragma once

#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

inline float sum_lanes(F16 x) {
  alignas(64) float v[kLanes];
  store(v, x);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) v[i] += v[i + half];
  return v[0];
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
