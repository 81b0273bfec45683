// Large tables of which a batch uses few rows: sums of rows, sums into rows, and the update of those rows.
// A sum runs over its rows in order; threads take whole rows of the result.
#include "kernels.h"

#include "each_row.h"
#include "row_sum.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kAtOnce = 1 << 13;  // numbers of the rows that a thread takes

// to = the sum of the `count` rows of a table at the places at(i). One row is only copied.
template <class At>
void sum_rows(float* to, const Table table, Long columns, Long count, At&& at) {
  if (count == 1) {
    const Long place = at(0);
    return each_lanes(0, columns, [&](Long c, auto n) { store(to + c, table.at(place, c, n), n); });
  }
  each_lanes(0, columns, [&](Long c, auto n) { store(to + c, sum_of_rows(table, count, c, n, at), n); });
}

}  // namespace

int lookup_sum(const pantoum_lookup_sum_args& a) {
  const Table table(*a.table, a.columns);
  return each_row(a.count, a.columns, kAtOnce, [&](Long r) {
    const std::int32_t* rows = a.rows + r * a.each;
    sum_rows(a.out + r * a.columns, table, a.columns, a.each, [&](Long i) { return table.place(rows[i]); });
  });
}

int sum_uses(const pantoum_sum_uses_args& a) {
  const Table d(a.d, a.columns);
  return each_row(a.used, a.columns, kAtOnce, [&](Long u) {
    const std::int64_t* uses = a.uses + a.starts[u];
    const Long end = u + 1 < a.used ? a.starts[u + 1] : a.count;
    sum_rows(a.out + u * a.columns, d, a.columns, end - a.starts[u], [&](Long i) { return uses[i] / a.each; });
  });
}

int rms_rows(const pantoum_rms_rows_args& a) {
  const F16 factor = broadcast(a.factor), keep = broadcast(a.keep), share = broadcast(a.share);
  const F16 epsilon = broadcast(a.epsilon), rate = broadcast(a.rate);
  return each_row(a.used, a.columns, kAtOnce, [&](Long u) {
    float* row = a.table + a.rows[u] * a.columns;
    float* squares = a.squares + a.rows[u] * a.columns;
    const float* gradient = a.gradient + u * a.columns;
    each_lanes(0, a.columns, [&](Long c, auto n) {
      const F16 g = load(gradient + c, n) * factor;
      const F16 v = fma(load(squares + c, n), keep, g * g * share);
      store(squares + c, v, n);
      store(row + c, load(row + c, n) - g / (sqrt(v) + epsilon) * rate, n);
    });
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
