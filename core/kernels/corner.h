// Parts of a product's output: a tile whose last panel may be narrower than a panel, and all rows of one panel
// against another, for products whose operands are both packed along the sum.
#pragma once

#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {

// One tile of `width` columns; what is narrower than a panel goes by way of a small buffer.
template <class P>
void tile_into(TileArguments t, int rows, Long width) {
  if (width == kPanelColumns) return run_tile<P>(t, rows, 1);
  alignas(64) float buffer[kMostTileRows * kPanelColumns];
  float* const to = t.out;
  const Long row = t.out_row;
  t.out = buffer;
  t.out_row = kPanelColumns;
  for (int i = 0; t.resume && i < rows; ++i)
    for (int v = 0; v < kPanelVectors; ++v)
      store(buffer + i * kPanelColumns + v * kLanes, load(to + i * row + v * kLanes, lanes(width, v)));
  run_tile<P>(t, rows, 1, vectors_of(width));
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < vectors_of(width); ++v)
      store(to + i * row + v * kLanes, load(buffer + i * kPanelColumns + v * kLanes), lanes(width, v));
}

// What `corner` takes of a panel as its first operand: the panel itself, or for the unit its columns as rows, block
// after block.
template <class P>
const char* as_rows(const char* panel, Long steps, char* rows) {
#ifdef PANTOUM_HAS_AMX
  if constexpr (P::kUnitFrom > 0) {
    const std::uint32_t* from = reinterpret_cast<const std::uint32_t*>(panel);
    std::uint32_t* to = reinterpret_cast<std::uint32_t*>(rows);
    for (Long block = 0; block < steps; block += kUnitSteps, from += kUnitSteps * kPanelColumns)
      for (Long c = 0; c < kPanelColumns; c += kLanes, to += kUnitSteps * kLanes)
        transpose(from + c, kPanelColumns, to, kUnitSteps);
    return rows;
  }
#endif
  (void)steps, (void)rows;
  return panel;
}

// One panel of d, by way of as_rows, against one of x: up to kPanelColumns rows of the output and kPanelColumns of its
// columns.
template <class P>
void corner(const char* d, const char* x, Long steps, float* out, Long out_row, Long rows, Long width, bool resume) {
  constexpr Long next = 4 * static_cast<Long>(P::kUnitFrom > 0 ? kUnitSteps : 1);
  for (Long r = 0; r < rows;) {
    const int n = next_tile_rows(rows - r, kMostRows<P>);
    tile_into<P>(TileArguments{d + r * next, next, static_cast<Long>(kStepBytes), x, 0, steps, out + r * out_row,
                               out_row, 0, resume},
                 n, width);
    r += n;
  }
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
