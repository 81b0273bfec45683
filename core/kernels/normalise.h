// Layer normalisation of one row: what training and a step of a whole model share.
#pragma once

#include "lanes.h"
#include "reduce.h"

namespace pantoum {
namespace PANTOUM_ISA {

constexpr float kEpsilon = 1e-5f;

// y = normal * weight + bias; returns 1 / the old deviation. `normal` may be y; x is another row.
inline float normalise_row(const float* x, const float* weight, const float* bias, Long units, float* normal,
                           float* y) {
  const float width = static_cast<float>(units);
  F16 sum = zero();
  each_lanes(0, units, [&](Long c, auto n) { sum = sum + load(x + c, n); });
  const F16 mean = broadcast(sum_lanes(sum) / width);
  F16 squares = zero();
  each_lanes(0, units, [&](Long c, auto n) {
    store(normal + c, load(x + c, n) - mean, n);
    const F16 own = load(normal + c, n);  // zeros past the row's end
    squares = fma(own, own, squares);
  });
  const float scale = 1.0f / __builtin_sqrtf(sum_lanes(squares) / width + kEpsilon);
  each_lanes(0, units, [&](Long c, auto n) {
    const F16 own = load(normal + c, n) * broadcast(scale);
    store(normal + c, own, n);
    store(y + c, fma(own, load(weight + c, n), load(bias + c, n)), n);
  });
  return scale;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
