// Packed matrices: panels of kPanelColumns results, each a run of steps along k.
//
// `columns` results of depth `depth` are cut into blocks (the gates of a recurrent matrix, so that a
// hidden unit has the same place in each gate's panels), each block into panels; what a block does
// not fill is zero, and so is the rest of a last step. Panels of codes end with 128 times each
// column's sum, negative, and with the columns' scales.
#pragma once

#include "quantize.h"
#include "tile.h"

namespace pantoum {
namespace PANTOUM_ISA {

// Lanes of vector v that `width` columns fill.
inline int lanes(Long width, int v) {
  const Long n = width - v * kLanes;
  return static_cast<int>(n < 0 ? 0 : n < kLanes ? n : kLanes);
}

// Vectors that `width` columns begin.
inline int vectors_of(Long width) { return static_cast<int>(up(width, kLanes)); }

template <class P>
constexpr Long steps_of(Long depth) {
  constexpr Long elements = P::kPair * P::kSteps;
  return (depth + elements - 1) / elements * P::kSteps;
}

template <class P>
struct Panels {
  const char* data;
  Long columns, depth, block;

  Long steps() const { return steps_of<P>(depth); }
  Long code_bytes() const { return steps() * static_cast<Long>(kStepBytes); }
  Long bytes_each() const { return code_bytes() + (P::kCodes ? 2 * static_cast<Long>(kStepBytes) : 0); }
  Long each_block() const { return up(block, kPanelColumns); }
  Long count() const { return columns / block * each_block(); }
  const char* at(Long panel) const { return data + panel * bytes_each(); }
  Long first_column(Long panel) const { return panel / each_block() * block + panel % each_block() * kPanelColumns; }
  Long width(Long panel) const { return least(kPanelColumns, block - panel % each_block() * kPanelColumns); }
};

// Rows of A beside each other, as the tile reads them: converted to the product's precision, an odd
// number of cache lines a row (an even one would crowd few sets of the cache). A row of codes ends
// with its scale. The unit reads whole lines, also of the part of a row that begins in the middle of it.
template <class P>
constexpr Long scale_at(Long depth) {
  return (depth + kLanes - 1) / kLanes * kLanes;
}
template <class P>
constexpr Long operand_row(Long depth) {
  const Long bytes = P::kCodes ? scale_at<P>(depth) + 4 : (steps_of<P>(depth) + P::kSteps - 1) * 4;
  return (bytes + 63) / 64 * 64 + ((bytes + 63) / 64 % 2 == 0 ? 64 : 0);
}

template <class N>
inline void write_operand(Int8, void*, Long, F16, N) {}  // a row of codes is made as a whole
template <class N>
inline void write_operand(Float32, void* row, Long at, F16 x, N n) {
  store(static_cast<float*>(row) + at, x, n);
}
#ifdef PANTOUM_HAS_BF16
template <class N>
inline void write_operand(BFloat16, void* row, Long at, F16 x, N n) {
  store_half(static_cast<Half*>(row) + at, x, n);
}
#endif

// What follows the last element of a row of pairs meets zeros of the panel, but must not be a NaN.
template <class P>
inline void finish_operand(void* row, Long depth) {
  if (P::kPair != 2) return;
  const Long end = P::kSteps == 1 ? steps_of<P>(depth) * P::kPair : operand_row<P>(depth) / 2;
  for (Long k = depth; k < end; ++k) static_cast<std::uint16_t*>(row)[k] = 0;
}

template <class P>
inline void convert_row(void* row, const float* x, Long depth) {
  if constexpr (P::kCodes) {
    const float scale = quantize_row<P::kOffset>(static_cast<std::uint8_t*>(row), x, depth);
    __builtin_memcpy(static_cast<char*>(row) + scale_at<P>(depth), &scale, sizeof scale);
    return;
  }
  each_lanes(0, depth, [&](Long k, auto n) { write_operand(P{}, row, k, load(x + k, n), n); });
  finish_operand<P>(row, depth);
}

// A row of zeros.
template <class P>
inline void zero_row(void* row, Long depth) {
  const float scale = 0.0f;
  __builtin_memset(row, static_cast<int>(P::kOffset), static_cast<std::size_t>(scale_at<P>(depth)));
  __builtin_memcpy(static_cast<char*>(row) + scale_at<P>(depth), &scale, sizeof scale);
}

// Zeros in the steps of a panel behind those that `depth` begins.
template <class P>
inline void fill_steps(char* panel, Long depth) {
  const Long used = up(depth, P::kPair) * static_cast<Long>(kStepBytes);
  __builtin_memset(panel + used, 0, static_cast<std::size_t>(steps_of<P>(depth) * kStepBytes - used));
}

// Steps first .. last of a panel whose step k holds `width` values beginning at source + k * stride:
// k walks over rows of the source.
inline void pack_steps(Float32, char* panel, const float* source, Long stride, Long depth, Long width) {
  float* out = reinterpret_cast<float*>(panel);
  for (Long k = 0; k < depth; ++k, source += stride, out += kPanelColumns)
    for (int c = 0; c < kPanelVectors; ++c) {
      const Long n = width - c * kLanes;
      store(out + c * kLanes, n >= kLanes ? load(source + c * kLanes)
                              : n > 0     ? load(source + c * kLanes, static_cast<int>(n))
                                          : zero());
    }
}
#ifdef PANTOUM_HAS_BF16
// Steps k and k + 1 of `n` columns as pairs of bf16; there may be no step k + 1.
inline I16 paired(const float* even, const float* odd, int n) {
  return pairs(load(even, n), odd ? load(odd, n) : zero());
}
inline I16 paired(const Half* even, const Half* odd, int n) {
  return load_halves(even, n) | shift_left<16>(odd ? load_halves(odd, n) : broadcast(0u));
}
// From float32 rows, or rows that are bf16 already (`stride` in elements).
template <class Value>
inline void pack_steps(BFloat16, char* panel, const Value* source, Long stride, Long depth, Long width) {
  std::uint32_t* out = reinterpret_cast<std::uint32_t*>(panel);
  for (Long k = 0; k < depth; k += 2, source += 2 * stride, out += kPanelColumns)
    for (int c = 0; c < kPanelVectors; ++c) {
      const int n = static_cast<int>(least(width - c * kLanes, kLanes));
      if (n <= 0) {
        store(out + c * kLanes, broadcast(0u));
        continue;
      }
      const Value* even = source + c * kLanes;
      store(out + c * kLanes, paired(even, k + 1 < depth ? even + stride : nullptr, n));
    }
  fill_steps<BFloat16>(panel, depth);
}
#endif

constexpr int kMostPanels = 4;  // of a tile

constexpr int kMostTileRows = kUnitRows > kTileRows ? kUnitRows : kTileRows;

// Accumulators, the panels' vectors and one broadcast value have to stay in registers.
template <class P>
constexpr bool tile_fits(int rows, int panels) {
  return rows <= kTileRows && (rows + 1) * panels * kPanelVectors < P::kRegisters;
}

// Whether one call takes so many: the unit takes panels one after the other.
template <class P>
constexpr bool panels_fit(int rows, int panels) {
  return P::kUnitFrom > 0 && rows >= P::kUnitFrom ? rows <= kUnitRows : tile_fits<P>(rows, panels);
}

// One tile of a size that fits, chosen at run time.
template <class P>
void run_tile(const TileArguments& t, int rows, int panels, int vectors = kPanelVectors);

template <class P>
constexpr int kMostRows = P::kUnitFrom > 0 ? kUnitRows : kTileRows;

// How many of `left` rows the next tile takes: near-equal tiles, by vectors even ones where that is possible.
inline int next_tile_rows(Long left, int most) {
  const Long rows = up(left, up(left, most));
  return static_cast<int>(least(left, most > kTileRows ? rows : rows + rows % 2));
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
