// Rows that do not know of each other, shared by threads.
#pragma once

#include "../pantoum_core.h"
#include "../threads.h"
#include "lanes.h"

namespace pantoum {
namespace PANTOUM_ISA {

// Calls body(row) for each of `count` rows of `columns` numbers; a thread takes whole rows, of some `at_once` numbers.
template <class Body>
int each_row(Long count, Long columns, Long at_once, Body&& body) {
  const Long rows = columns < at_once ? at_once / (columns > 0 ? columns : 1) : 1;
  return run_each(static_cast<int>(up(count, rows)), [&](int task) {
    const Long first = task * rows;
    for (Long r = first; r < least(first + rows, count); ++r) body(r);
    return PANTOUM_OK;
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
