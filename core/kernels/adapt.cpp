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
  return each_row(a.used, a.columns, kAtOnce, [&](Long u) {
    const Long row = a.rows ? a.rows[u] : u;
    const F16 speed = broadcast(-a.speed[row]), back = broadcast(a.back[row]);
    float* parameter = a.parameter + row * a.columns;
    const float *trained = a.trained + row * a.columns, *gradient = a.gradient + u * a.columns;
    each_lanes(0, a.columns, [&](Long c, auto n) {
      const F16 old = load(parameter + c, n);
      const F16 pulled = fma(load(trained + c, n) - old, back, old);
      store(parameter + c, fma(load(gradient + c, n), speed, pulled), n);
    });
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
