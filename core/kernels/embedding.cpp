// Sums of rows: by token (the gradient of a table) or of all (that of a bias).
// Every sum runs over the rows in order; threads take columns.
#include "kernels.h"

#include "../scratch.h"
#include "../threads.h"
#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kSmallestPart = 1 << 15;  // floats that are worth waking a thread for

int parts_for(Long floats) {
  return static_cast<int>(1 + floats / kSmallestPart < 64 ? 1 + floats / kSmallestPart : 64);
}

void add_row(float* to, const float* from, Long width) {
  each_lanes(0, width, [&](Long c, auto n) { store(to + c, load(to + c, n) + load(from + c, n), n); });
}

}  // namespace

int bias_gradient(const pantoum_bias_gradient_args& a) {
  auto part = [&](int index, int parts) -> int {
    const Range vectors = part_of(up(a.columns, kLanes), index, parts);
    const Long begin = vectors.begin * kLanes, width = least(vectors.end * kLanes, a.columns) - begin;
    if (width <= 0) return PANTOUM_OK;
    for (Long c = 0; c < width && !a.resume; ++c) a.out[begin + c] = 0.0f;
    for (Long r = 0; r < a.count; ++r) add_row(a.out + begin, a.d + r * a.columns + begin, width);
    return PANTOUM_OK;
  };
  return run_parts(parts_for(a.count * a.columns), part);
}

int lookup_gradient(const pantoum_lookup_gradient_args& a) {
  auto part = [&](int index, int parts) -> int {
    const Range vectors = part_of(up(a.columns, kLanes), index, parts);
    const Long begin = vectors.begin * kLanes, width = least(vectors.end * kLanes, a.columns) - begin;
    if (width <= 0) return PANTOUM_OK;
    for (Long v = 0; v < a.vocabulary; ++v)
      for (Long c = 0; c < width; ++c) a.out[v * a.columns + begin + c] = 0.0f;
    for (Long r = 0; r < a.count; ++r)
      add_row(a.out + static_cast<Long>(a.tokens[r]) * a.columns + begin, a.d + r * a.columns + begin, width);
    return PANTOUM_OK;
  };
  return run_parts(parts_for(a.count * a.columns), part);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
