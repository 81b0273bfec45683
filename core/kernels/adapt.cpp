// Adapting: the mean squares of a gradient's rows, which training collects, and the step that adapting takes.
#include "kernels.h"

#include "../threads.h"
#include "panels.h"
#include "reduce.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kFloatsATask = 1 << 14;

// Calls body(row) for every row; threads take blocks of whole rows.
template <class Body>
int each_row(Long rows, Long columns, Body&& body) {
  const Long block = columns < kFloatsATask ? kFloatsATask / columns : 1;
  return run_each(static_cast<int>(up(rows, block)), [&](int task) {
    const Long end = least((task + 1) * block, rows);
    for (Long r = task * block; r < end; ++r) body(r);
    return PANTOUM_OK;
  });
}

}  // namespace

// A row is summed by lanes, then over lanes by one tree: neither threads nor the ISA change a bit.
int row_squares(const pantoum_row_squares_args& a) {
  if (a.columns < 1) return PANTOUM_BAD_ARGUMENT;
  return each_row(a.rows, a.columns, [&](Long r) {
    const float* g = a.gradient + r * a.columns;
    F16 sum = zero();
    Long c = 0;
    for (; c + kLanes <= a.columns; c += kLanes) {
      const F16 v = load(g + c);
      sum = fma(v, v, sum);
    }
    if (c < a.columns) {
      const F16 v = load(g + c, static_cast<int>(a.columns - c));
      sum = fma(v, v, sum);
    }
    a.squares[r] = a.keep * a.squares[r] + a.share * sum_lanes(sum);
  });
}

int adapt(const pantoum_adapt_args& a) {
  if (a.columns < 1) return PANTOUM_BAD_ARGUMENT;
  return each_row(a.rows, a.columns, [&](Long r) {
    const F16 speed = broadcast(-a.speed[r]), back = broadcast(a.back[r]);
    const Long first = r * a.columns, end = first + a.columns;
    for (Long i = first; i < end; i += kLanes) {
      const int n = static_cast<int>(least(kLanes, end - i));
      const F16 old = load(a.parameter + i, n);
      const F16 pulled = fma(load(a.trained + i, n) - old, back, old);
      store(a.parameter + i, fma(load(a.gradient + i, n), speed, pulled), n);
    }
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
