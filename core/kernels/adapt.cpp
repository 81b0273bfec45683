// Adapting: the mean squares of a gradient's rows, which training collects, and the step that adapting takes.
#include "kernels.h"

#include "each_row.h"
#include "reduce.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kAtOnce = 1 << 14;  // numbers of the rows that a thread takes

}  // namespace

// A row is summed by lanes, then over lanes by one tree: neither threads nor the ISA change a bit.
int row_squares(const pantoum_row_squares_args& a) {
  if (a.columns < 1) return PANTOUM_BAD_ARGUMENT;
  return each_row(a.rows, a.columns, kAtOnce, [&](Long r) {
    const float* g = a.gradient + r * a.columns;
    F16 sum = zero();
    each_lanes(0, a.columns, [&](Long c, auto n) {
      const F16 v = load(g + c, n);
      sum = fma(v, v, sum);
    });
    a.squares[r] = a.keep * a.squares[r] + a.share * sum_lanes(sum);
  });
}

int adapt(const pantoum_adapt_args& a) {
  if (a.columns < 1) return PANTOUM_BAD_ARGUMENT;
  return each_row(a.rows, a.columns, kAtOnce, [&](Long r) {
    const F16 speed = broadcast(-a.speed[r]), back = broadcast(a.back[r]);
    const Long first = r * a.columns;
    each_lanes(first, first + a.columns, [&](Long i, auto n) {
      const F16 old = load(a.parameter + i, n);
      const F16 pulled = fma(load(a.trained + i, n) - old, back, old);
      store(a.parameter + i, fma(load(a.gradient + i, n), speed, pulled), n);
    });
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
