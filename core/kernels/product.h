// Operand rows times ranges of panels: what a scan, a step and a product share. Threads that split the
// panels of a few rows, or the rows of many, call these for their part.
#pragma once

#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {

constexpr Long kRowsAThread = 8;           // with so many rows a thread, threads split rows; else columns
constexpr Long kSmallestShared = 1 << 17;  // multiplications that are worth a meeting of threads

// Sums of a tile: gate g of row r begins at sums + g * kGateSums + r * kPanelColumns.
// (A vector more than they need: at a distance of a page, gates would crowd few sets of the cache.)
constexpr Long kGateSums = static_cast<Long>(kMostTileRows) * kPanelColumns + kLanes;

// Sums of codes, kPanelColumns a row, become what they stand for; nothing to do in other precisions.
template <class P>
inline void scale_sums(const Panels<P>& w, Long panel, const char* operands, Long row, int rows, float* sums) {
  if constexpr (P::kCodes) {
    const float* end = reinterpret_cast<const float*>(w.at(panel) + w.code_bytes());
    for (int v = 0; v < vectors_of(w.width(panel)); ++v) {
      const I16 correction = bits(load(end + v * kLanes));
      const F16 scales = load(end + kPanelColumns + v * kLanes);
      for (int r = 0; r < rows; ++r) {
        float scale, *sum = sums + r * kPanelColumns + v * kLanes;
        __builtin_memcpy(&scale, operands + r * row + scale_at<P>(w.depth), sizeof scale);
        store(sum, to_float(bits(load(sum)) + correction) * (broadcast(scale) * scales));
      }
    }
  }
}

// The panels of the same units in `gates` gates, which are `next` panels apart, times the
// operand rows of a tile.
template <class P>
inline void multiply(const Panels<P>& w, Long panel, Long next, int gates, const char* operands, Long row, int rows,
                     float* sums, Long gate_sums = kGateSums) {
  TileArguments t{operands, row,           4,         w.at(panel), next * w.bytes_each(), w.steps(),
                  sums,     kPanelColumns, gate_sums, false};
  for (int g = 0, at_once; g < gates; g += at_once) {
    for (at_once = gates - g; at_once > 1 && !panels_fit<P>(rows, at_once);) --at_once;
    run_tile<P>(t, rows, at_once, vectors_of(w.width(panel)));
    t.panel += at_once * t.panel_next;
    t.out += at_once * gate_sums;
  }
  for (int g = 0; g < gates; ++g) scale_sums(w, panel + g * next, operands, row, rows, sums + g * gate_sums);
}

// y = operands W^T + bias (or null) for the columns of panels first .. last-1; row r of y begins at
// y + r * y_row. Any number of rows; some hundred keep their operands in the second cache.
template <class P>
void product_panels(const Panels<P>& w, Long first, Long last, const char* operands, Long row, Long rows,
                    const float* bias, float* y, Long y_row);

}  // namespace PANTOUM_ISA
}  // namespace pantoum
