// Sums of a table's rows, in order: what look-ups, their gradient and a step of a whole model share.
#pragma once

#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {

// Calls body(column, lanes) for the vectors of the columns begin .. end - 1.
template <class Body>
inline void each_lanes(Long begin, Long end, Body&& body) {
  Long c = begin;
  for (; c + kLanes <= end; c += kLanes) body(c, kLanes);
  if (c < end) body(c, static_cast<int>(end - c));
}

// `n` columns from c on of the sum of the `count` rows of `from` that at(i) numbers; there is one at least.
template <class At>
inline F16 sum_of_rows(const float* from, Long columns, Long count, Long c, int n, At&& at) {
  F16 sum = load(from + at(0) * columns + c, n);
  for (Long i = 1; i < count; ++i) sum = sum + load(from + at(i) * columns + c, n);
  return sum;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
