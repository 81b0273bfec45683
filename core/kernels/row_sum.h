// Sums of a table's rows, in order: what look-ups, their gradient and a step of a whole model share.
#pragma once

#include "../pantoum_core.h"
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

// A table's rows: floats, or codes of the rows that are kept.
class Table {
 public:
  Table(const pantoum_row_table_args& table, Long columns) : table_(table), columns_(columns) {}
  Table(const float* rows, Long columns) : table_{rows, nullptr, nullptr, nullptr}, columns_(columns) {}

  // Where a row is: its number, or the place of its codes.
  Long place(Long row) const { return table_.places ? table_.places[row] : row; }
  F16 at(Long place, Long c, int n) const {
    const Long first = place * columns_ + c;
    if (table_.rows) return load(table_.rows + first, n);
    const I16 codes = n == kLanes ? load_bytes(table_.codes + first) : load_bytes(table_.codes + first, n);
    return to_float(codes) * broadcast(table_.scales[place]);
  }

 private:
  const pantoum_row_table_args table_;
  const Long columns_;
};

// `n` columns from c on of the sum of the `count` rows of a table at the places at(i); there is one at least.
template <class At>
inline F16 sum_of_rows(const Table& table, Long count, Long c, int n, At&& at) {
  F16 sum = table.at(at(0), c, n);
  for (Long i = 1; i < count; ++i) sum = sum + table.at(at(i), c, n);
  return sum;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
