// The one inner loop of every product: rows of A times panels of packed columns, by outer products.
//
// A panel is kPanelVectors * 16 columns of the packed matrix; one step of it is one row of k in
// float32 and a pair of rows in bf16, so that both precisions walk memory with the same strides.
// Each output element has one accumulator that takes k in ascending order by fused multiply-adds:
// the bits of a float32 result depend neither on the tile's size nor on the vectors' width.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

constexpr int kPanelColumns = kPanelVectors * kLanes;
constexpr std::size_t kStepBytes = kPanelColumns * sizeof(float);  // of a panel, a step

// How a step's operands become products.
struct Float32 {
  using Element = float;
  static constexpr int kPair = 1;  // elements of k a step
  static F16 step(const char* a, F16 b, F16 sum) {
    float x;
    __builtin_memcpy(&x, a, sizeof x);
    return fma(broadcast(x), b, sum);
  }
};

#ifdef PANTOUM_HAS_BF16
struct BFloat16 {
  using Element = Half;
  static constexpr int kPair = 2;
  static F16 step(const char* a, F16 b, F16 sum) {
    std::uint32_t x;
    __builtin_memcpy(&x, a, sizeof x);
    return dot_pairs(broadcast(x), bits(b), sum);
  }
};
#endif

// Where a tile finds its operands and puts its results; strides in bytes for A and panels.
struct TileArguments {
  const char* a;
  std::ptrdiff_t a_row;     // from a row to the next
  std::ptrdiff_t a_step;    // from a step to the next
  const char* panel;
  std::ptrdiff_t panel_next;  // to the panel of the next kPanelColumns results
  std::ptrdiff_t steps;
  float* out;
  std::ptrdiff_t out_row;   // in floats
  std::ptrdiff_t out_next;  // from a panel's results to the next panel's, in floats
  bool resume;              // go on from what `out` holds (K in blocks), instead of zero
};

template <class Precision, int rows, int panels>
[[gnu::noinline]] void tile(const TileArguments& t) {
  constexpr int columns = panels * kPanelVectors;
  F16 sum[rows][columns];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c)
      sum[r][c] = t.resume ? load(t.out + r * t.out_row + (c / kPanelVectors) * t.out_next +
                                  (c % kPanelVectors) * kLanes)
                           : zero();
  const std::ptrdiff_t row = t.a_row, step = t.a_step, next = t.panel_next;
  const char* a = t.a;
  const char* panel = t.panel;
  for (std::ptrdiff_t k = 0; k < t.steps; ++k) {
    F16 b[columns];
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c)
      b[c] = load(reinterpret_cast<const float*>(panel + (c / kPanelVectors) * next) +
                  (c % kPanelVectors) * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const char* x = a + r * row;
#pragma GCC unroll 16
      for (int c = 0; c < columns; ++c) sum[r][c] = Precision::step(x, b[c], sum[r][c]);
    }
    a += step;
    panel += kStepBytes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c)
      store(t.out + r * t.out_row + (c / kPanelVectors) * t.out_next + (c % kPanelVectors) * kLanes,
            sum[r][c]);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
