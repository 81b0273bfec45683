// Layer normalisation of each row, and its gradient:
//
//   y = normal * weight + bias,  normal = (x - mean) * scale,  scale = 1 / sqrt(variance + epsilon)
#include "kernels.h"

#include "each_row.h"
#include "normalise.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kSmallestPart = 1 << 14;  // floats that are worth waking a thread for

void normalise(const pantoum_layer_norm_args& a, Long row) {
  a.scale[row] =
      normalise_row(a.x + row * a.units, a.weight, a.bias, a.units, a.normal + row * a.units, a.y + row * a.units);
}

// d_x = (d - mean(d) - normal * mean(d * normal)) * scale, d = d_y * weight
void back(const pantoum_layer_norm_vjp_args& a, Long row) {
  const float *d_y = a.d_y + row * a.units, *normal = a.normal + row * a.units;
  float* d_x = a.d_x + row * a.units;
  F16 sum = zero(), along = zero();
  each_lanes(0, a.units, [&](Long c, auto n) {
    const F16 d = load(d_y + c, n) * load(a.weight + c, n);
    sum = sum + d;
    along = fma(d, load(normal + c, n), along);
  });
  const float width = static_cast<float>(a.units);
  const F16 mean = broadcast(sum_lanes(sum) / width), share = broadcast(-sum_lanes(along) / width);
  const F16 scale = broadcast(a.scale[row]);
  each_lanes(0, a.units, [&](Long c, auto n) {
    const F16 d = fma(load(d_y + c, n), load(a.weight + c, n), zero() - mean);
    store(d_x + c, fma(load(normal + c, n), share, d) * scale, n);
  });
}

}  // namespace

int layer_norm(const pantoum_layer_norm_args& a) {
  return each_row(a.count, a.units, kSmallestPart, [&](Long r) { normalise(a, r); });
}

int layer_norm_vjp(const pantoum_layer_norm_vjp_args& a) {
  each_row(a.count, a.units, kSmallestPart, [&](Long r) { back(a, r); });
  auto columns = [&](int index, int parts) -> int {
    const Range vectors = part_of(up(a.units, kLanes), index, parts);
    for (Long c = vectors.begin * kLanes; c < least(vectors.end * kLanes, a.units); c += kLanes) {
      const int n = static_cast<int>(least(kLanes, a.units - c));
      F16 weight = zero(), bias = zero();
      for (Long r = 0; r < a.count; ++r) {
        const F16 d = load(a.d_y + r * a.units + c, n);
        weight = fma(d, load(a.normal + r * a.units + c, n), weight);
        bias = bias + d;
      }
      store(a.d_weight + c, weight, n);
      store(a.d_bias + c, bias, n);
    }
    return PANTOUM_OK;
  };
  return run_parts(static_cast<int>(least(64, up(a.count * a.units, kSmallestPart))), columns);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
