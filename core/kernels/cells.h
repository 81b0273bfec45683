// Every cell of the core.
#pragma once

#include "cells/gru.h"
#include "cells/gru_before.h"
#include "cells/lstm.h"
#include "cells/mingru.h"
#include "cells/rnn.h"

#include "../pantoum_core.h"

namespace pantoum {
namespace PANTOUM_ISA {

template <class... Cells>
struct CellList {};
// A cell's number is its place here.
using AllCells = CellList<Rnn, Gru, GruBefore, Lstm, MinGru>;

// body(cell) for the cell of this number, any value of its type.
template <class Body, class... Cells>
inline int with_cell(int kind, Body&& body, CellList<Cells...>) {
  int number = 0, status = PANTOUM_BAD_ARGUMENT;
  static_cast<void>(((number++ == kind && ((status = body(Cells{})), true)) || ...));
  return status;
}
template <class Body>
inline int with_cell(int kind, Body&& body) {
  return with_cell(kind, body, AllCells{});
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
