// Sums of a table's rows, in order: what look-ups, their gradient and a step of a whole model share.
#pragma once

#include "../pantoum_core.h"
#include "lanes.h"

namespace pantoum {
namespace PANTOUM_ISA {

// A table's rows: floats, or codes of the rows that are kept.
class Table {
 public:
  Table(const pantoum_row_table_args& table, Long columns) : table_(table), columns_(columns) {}
  Table(const float* rows, Long columns) : table_{rows, nullptr, nullptr, nullptr}, columns_(columns) {}

  // Where a row is: its number, or the place of its codes.
  Long place(Long row) const { return table_.places ? table_.places[row] : row; }
  template <class N>
  F16 at(Long place, Long c, N n) const {
    const Long first = place * columns_ + c;
    if (table_.rows) return load(table_.rows + first, n);
    return to_float(load_bytes(table_.codes + first, n)) * broadcast(table_.scales[place]);
  }

 private:
  const pantoum_row_table_args table_;
  const Long columns_;
};

// `n` columns from c on of the sum of the `count` rows of a table at the places at(i); there is one at least.
template <class N, class At>
inline F16 sum_of_rows(const Table& table, Long count, Long c, N n, At&& at) {
  F16 sum = table.at(at(0), c, n);
  for (Long i = 1; i < count; ++i) sum = sum + table.at(at(i), c, n);
  return sum;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
