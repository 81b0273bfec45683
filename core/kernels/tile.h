// The inner loop of every product by vectors: rows of A times panels of packed columns, by outer products.
//
// A panel is kPanelVectors * 16 columns of the packed matrix; one step of it is one row of k in
// float32, two in bf16 and four in int8, so that all precisions walk memory with the same strides.
// Each output element has one accumulator that takes k in ascending order by fused multiply-adds:
// the bits of a float32 result depend neither on the tile's size nor on the vectors' width. Those of
// int8 are whole numbers, the same in any order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

// Where a tile finds its operands and puts its results; strides in bytes for A and panels.
struct TileArguments {
  const char* a;
  std::ptrdiff_t a_row;   // from a row to the next
  std::ptrdiff_t a_step;  // from a step to the next
  const char* panel;
  std::ptrdiff_t panel_next;  // to the panel of the next kPanelColumns results
  std::ptrdiff_t steps;
  float* out;
  std::ptrdiff_t out_row;   // in floats
  std::ptrdiff_t out_next;  // from a panel's results to the next panel's, in floats
  bool resume;              // go on from what `out` holds (K in blocks), instead of zero
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum

#ifdef PANTOUM_HAS_OWN_TILES
#include "products.h"
#endif

namespace pantoum {
namespace PANTOUM_ISA {

#ifndef PANTOUM_HAS_OWN_TILES
// Four codes of a column go to their place in a step of a panel.
inline void place_codes(std::uint32_t* step, std::ptrdiff_t column, const std::uint8_t* codes) {
  __builtin_memcpy(step + column, codes, sizeof *step);
}
#endif

constexpr int kPanelColumns = kPanelVectors * kLanes;
constexpr std::size_t kStepBytes = kPanelColumns * sizeof(float);  // of a panel, a step

// Where there is a unit that multiplies tiles (AMX): the rows that it takes, and the steps of k, up to a multiple of
// which its operands are filled with zeros.
#ifdef PANTOUM_HAS_AMX
constexpr bool kHasUnit = true;
#else
constexpr bool kHasUnit = false;
constexpr int kUnitRows = kTileRows, kUnitSteps = 1;
#endif

// How a step's operands become products. `Stored` is what a scan keeps of a row that is not whole yet; kUnitFrom is the
// number of rows from which on the unit multiplies, 0 for never.
struct Float32 {
  using Element = float;
  using Stored = Float32;
  using Sum = F16;
  static constexpr int kRegisters = PANTOUM_ISA::kRegisters;  // that a tile may take
  static constexpr int kPair = 1;                             // elements of k a step
  static constexpr int kSteps = 1;                            // that panels and rows are filled up to
  static constexpr int kUnitFrom = 0;
  static constexpr bool kCodes = false;
  static F16 step(const char* a, F16 b, F16 sum) {
    float x;
    __builtin_memcpy(&x, a, sizeof x);
    return fma(broadcast(x), b, sum);
  }
};

#ifdef PANTOUM_HAS_BF16
struct BFloat16 {
  using Element = Half;
  using Stored = BFloat16;
  using Sum = F16;
  static constexpr int kRegisters = PANTOUM_ISA::kRegisters;
  static constexpr int kPair = 2;
  static constexpr int kSteps = kUnitSteps;
  static constexpr int kUnitFrom = kHasUnit ? 1 : 0;  // the bits of a row are the same among any others
  static constexpr bool kCodes = false;
  static F16 step(const char* a, F16 b, F16 sum) {
    std::uint32_t x;
    __builtin_memcpy(&x, a, sizeof x);
    return dot_pairs(broadcast(x), bits(b), sum);
  }
};
#endif

// Codes of -127 to 127; a row of A and a column of the panel have a scale each (quantize.h). The
// codes of A are kept with kOffset added, as the processor likes them.
struct Int8 {
  using Element = std::int8_t;
  using Stored = Float32;
  using Sum = I16;
#ifdef PANTOUM_HAS_OWN_TILES
  static constexpr int kRegisters = kCodeRegisters;
#else
  static constexpr int kRegisters = PANTOUM_ISA::kRegisters;
#endif
  static constexpr int kPair = 4;
  static constexpr int kSteps = kUnitSteps;
  static constexpr int kUnitFrom = 0;
  static constexpr bool kCodes = true;
  static constexpr std::uint32_t kOffset = 0;
#ifndef PANTOUM_HAS_OWN_TILES
  static I16 step(const char* a, F16 b, I16 sum) {
    std::uint32_t x;
    __builtin_memcpy(&x, a, sizeof x);
    return dot_bytes(broadcast(x), bits(b), sum);
  }
#endif
};

#ifdef PANTOUM_HAS_VNNI
struct Int8VNNI : Int8 {
  static constexpr int kUnitFrom = kHasUnit ? 4 : 0;  // fewer rows are read faster by vectors
  static constexpr std::uint32_t kOffset = 128;
  static I16 step(const char* a, F16 b, I16 sum) {
    std::uint32_t x;
    __builtin_memcpy(&x, a, sizeof x);
    return dot_bytes_vnni(broadcast(x), bits(b), sum);
  }
};
#endif

// Sums as `out` holds them: floats, or the bits of whole numbers.
inline void read_sum(const float* p, F16& sum) { sum = load(p); }
inline void read_sum(const float* p, I16& sum) { sum = bits(load(p)); }
inline void no_sum(F16& sum) { sum = zero(); }
inline void no_sum(I16& sum) { sum = broadcast(0u); }
inline void write_sum(float* p, F16 sum) { store(p, sum); }
inline void write_sum(float* p, I16 sum) { store(p, from_bits(sum)); }

// The precisions whose products this path has; the others are those of its base (kernels.h).
#if defined(PANTOUM_HAS_AMX)
#define PANTOUM_OWN_PRECISIONS(X) X(BFloat16) X(Int8VNNI)
#elif defined(PANTOUM_BASE)
#define PANTOUM_OWN_PRECISIONS(X) X(BFloat16)
#elif defined(PANTOUM_HAS_VNNI)
#define PANTOUM_OWN_PRECISIONS(X) X(Float32) X(Int8) X(Int8VNNI)
#else
#define PANTOUM_OWN_PRECISIONS(X) X(Float32) X(Int8)
#endif

template <class P, int rows, int panels, int vectors>
[[gnu::always_inline]] inline void tile_by_steps(const TileArguments& t) {
  constexpr int columns = panels * vectors;
  typename P::Sum sum[rows][columns];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c) {
      const float* out = t.out + r * t.out_row + (c / vectors) * t.out_next + (c % vectors) * kLanes;
      if (t.resume)
        read_sum(out, sum[r][c]);
      else
        no_sum(sum[r][c]);
    }
  const std::ptrdiff_t row = t.a_row, step = t.a_step, next = t.panel_next;
  const char* a = t.a;
  const char* panel = t.panel;
  for (std::ptrdiff_t k = 0; k < t.steps; ++k) {
    F16 b[columns];
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c)
      b[c] = load(reinterpret_cast<const float*>(panel + (c / vectors) * next) + (c % vectors) * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const char* x = a + r * row;
#pragma GCC unroll 16
      for (int c = 0; c < columns; ++c) sum[r][c] = P::step(x, b[c], sum[r][c]);
    }
    a += step;
    panel += kStepBytes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c)
      write_sum(t.out + r * t.out_row + (c / vectors) * t.out_next + (c % vectors) * kLanes, sum[r][c]);
}

// `vectors`: those of each panel that hold columns at all. The results of the others are not written.
template <class P, int rows, int panels, int vectors>
[[gnu::noinline]] void tile(const TileArguments& t) {
#ifdef PANTOUM_HAS_OWN_TILES
  if constexpr (P::kCodes)
    tile_of_codes<rows, panels>(t);
  else if (!tile_of_floats<rows>(t))
    tile_by_steps<P, rows, panels, vectors>(t);
#else
  tile_by_steps<P, rows, panels, vectors>(t);
#endif
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
