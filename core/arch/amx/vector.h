// AMX: the lanes of AVX-512, and products of bf16 and of bytes by a unit that multiplies tiles of 16 rows of 64 bytes.
#pragma once

#include "../../matrix_unit.h"
#include "../bf16/vector.h"

#define PANTOUM_HAS_AMX 1

namespace pantoum {
namespace PANTOUM_ISA {

constexpr int kUnitRows = 32;   // of a product: two tiles
constexpr int kUnitSteps = 16;  // of a panel: the rows of a tile

// Sum of tile products: bf16 pairs, or codes of which those of A have no sign.
#define PANTOUM_MULTIPLY(sum, x, y) \
  if constexpr (codes)              \
    _tile_dpbusd(sum, x, y);        \
  else                              \
    _tile_dpbf16ps(sum, x, y)

// The blocks of a product whose rows fill one tile or two, and whose columns one or two.
template <bool codes, bool lower, bool right>
inline void unit_blocks(const char* a, const char* below, long a_row, long a_block, const char* panel, long panel_row,
                        long blocks) {
  for (long k = 0; k < blocks; ++k, a += a_block, below += a_block, panel += kUnitSteps * panel_row) {
    _tile_loadd(6, panel, panel_row);
    _tile_loadd(4, a, a_row);
    PANTOUM_MULTIPLY(0, 4, 6);
    if constexpr (right) {
      _tile_loadd(7, panel + 64, panel_row);
      PANTOUM_MULTIPLY(1, 4, 7);
    }
    if constexpr (lower) {
      _tile_loadd(5, below, a_row);
      PANTOUM_MULTIPLY(2, 5, 6);
      if constexpr (right) {
        PANTOUM_MULTIPLY(3, 5, 7);
      }
    }
  }
}
#undef PANTOUM_MULTIPLY

// Up to kUnitRows rows of A times one panel, whose `right` half may have no columns. `a_block` is from kUnitSteps steps
// of A to the next ones, 64 bytes of each row. Tiles 0 to 3 are sums (two of the upper rows, two of the lower), 4 and 5
// rows of A, 6 and 7 the panel's columns. A sum takes the pairs of a block in two chains, and then both: its bits
// depend on nothing beside it.
template <bool codes>
inline void unit_tile(const char* a, long a_row, long a_block, const char* panel, long panel_row, long blocks,
                      float* out, long out_row, int rows, bool right, bool resume) {
  // The unit takes as long for few rows as for 16. So the lower rows are the last 16, some of which are computed twice,
  // and the registers keep their shape, which is dear to change.
  shape_tiles(rows < 16 ? rows : kUnitRows);
  const bool lower = rows > 16;
  const long down = lower ? rows - 16 : 0;
  const long next = out_row * static_cast<long>(sizeof(float));
  float* const below = out + down * out_row;
  if (!resume) {
    _tile_zero(0);
    _tile_zero(1);
    if (lower) _tile_zero(2);
    if (lower) _tile_zero(3);
  } else {
    _tile_loadd(0, out, next);
    if (right) _tile_loadd(1, out + 16, next);
    if (lower) _tile_loadd(2, below, next);
    if (lower && right) _tile_loadd(3, below + 16, next);
  }
  const auto blocks_of = lower   ? right ? unit_blocks<codes, true, true> : unit_blocks<codes, true, false>
                         : right ? unit_blocks<codes, false, true>
                                 : unit_blocks<codes, false, false>;
  blocks_of(a, a + down * a_row, a_row, a_block, panel, panel_row, blocks);
  _tile_stored(0, out, next);
  if (right) _tile_stored(1, out + 16, next);
  if (lower) _tile_stored(2, below, next);
  if (lower && right) _tile_stored(3, below + 16, next);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
