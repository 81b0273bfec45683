// What a scan over time and a step of a whole model share: who works on which rows and units, the operands
// of products, and the rows that begin anew or have ended.
//
// Forward (scan.cpp), a task takes some units of a few rows: it multiplies the operands of the states (kept
// in the product's precision, one row per stream and step) with each gate's panel of these units, and
// applies the cell's equations while the sums are in the first cache. In int8 the scale of a row needs the
// whole row, so each thread quantises the rows that it multiplies, at the beginning of the step. The
// backward pass (scan_vjp.cpp) does the same with the gradients of the gates and the transposed panels. With
// 8 streams per thread, each thread takes streams and runs through all steps alone. With fewer streams the
// threads share the units and meet at every step; without a product they share the units and never meet.
#pragma once

#include "../scratch.h"
#include "../threads.h"
#include "kernels.h"
#include "product.h"

#include <type_traits>

namespace pantoum {
namespace PANTOUM_ISA {

// Where a vector of a step's units is.
struct Place {
  Long t, b;
  Long unit;
  Long row;  // t * B + b, or where the rows of a scan say that it is
};

// One part of a scan: rows first_row .. end_row, panels of units first_panel .. end_panel.
struct Share {
  Long first_row, end_row, first_panel, end_panel;
  bool meets;  // others work on the same rows: wait for them at each step
};

constexpr Long kSmallestPart = 1 << 14;  // elements of a scan without products that are worth waking a thread for

// How many parts the scan of a cell is worth, and which part is whose.
template <class Cell>
inline int scan_parts(Long T, Long B, Long H) {
  const Long threads = thread_count(), panels = up(H, kPanelColumns);
  if (Cell::kSums == 0) return static_cast<int>(least(panels, up(T * B * H, kSmallestPart)));
  if (B >= kRowsAThread * threads) return static_cast<int>(threads);
  return B * H * H * Cell::kGates >= kSmallestShared ? static_cast<int>(least(threads, panels)) : 1;
}
template <class Cell>
inline Share share_of(Long B, Long H, int part, int parts) {
  const Long panels = up(H, kPanelColumns);
  if (Cell::kSums == 0) {
    const Range units = part_of(panels, part, parts);
    return {0, B, units.begin, units.end, false};
  }
  if (parts == 1 || B >= kRowsAThread * parts) {
    const Range rows = part_of(B, part, parts);
    return {rows.begin, rows.end, 0, panels, false};
  }
  const Range units = part_of(panels, part, parts);
  return {0, B, units.begin, units.end, true};
}

// Calls body(panel, first row, rows) for every tile of a share, of `most` rows.
template <class Body>
inline void each_tile(const Share& share, int most, Body&& body) {
  for (Long panel = share.first_panel; panel < share.end_panel; ++panel)
    for (Long b = share.first_row; b < share.end_row;) {
      const int rows = next_tile_rows(share.end_row - b, most);
      body(panel, b, rows);
      b += rows;
    }
}

// Calls body(place, lanes, index in the sums of a gate) for every vector of a tile.
template <class Body>
inline void each_vector(Long t, Long B, Long H, Long panel, Long first, int rows, Body&& body) {
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) {
      const Long unit = panel * kPanelColumns + v * kLanes;
      const Place at{t, first + r, unit, t * B + first + r};
      const Long sum = static_cast<Long>(r) * kPanelColumns + v * kLanes;
      if (unit + kLanes <= H)
        body(at, All{}, sum);
      else if (unit < H)
        body(at, static_cast<int>(H - unit), sum);
    }
}

// Asks for a panel's units of some rows, `next` floats apart. They come from the third cache while the product before
// them runs: each row is two lines at a time, too few for the processor to foresee.
inline void ask_for(const float* first, Long next, int rows) {
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) __builtin_prefetch(first + r * next + v * kLanes);
}

// Rows that are zeroed before a step, and rows that have ended.
struct Rows {
  const std::uint8_t* reset;    // [T, B] or null
  const std::int64_t* lengths;  // [B] or null
  Long steps, streams;
  Long each_step = streams, each_stream = 1;  // how far it is from one to the next, in rows

  Long at(Long t, Long b) const { return t * each_step + b * each_stream; }
  bool ended(Long t, Long b) const { return lengths && t >= lengths[b]; }
  bool begins(Long t, Long b) const { return reset && t < steps && reset[at(t, b)] && !ended(t, b); }
};

// The operands of a scan's products: one row per stream and step, or two steps in turn without a tape.
template <class P>
struct Operands {
  static_assert(!P::kCodes, "codes are made for the step alone");
  char* data;
  Long streams, depth, kept;                  // steps kept
  Long each_step = streams, each_stream = 1;  // as of Rows

  Long row_bytes() const { return operand_row<P>(depth); }
  Long stream_bytes() const { return each_stream * row_bytes(); }
  char* row(Long t, Long b) const { return data + (t % kept * each_step + b * each_stream) * row_bytes(); }
  // Of the rows of a share: the half of a last pair that nobody writes.
  void finish(const Share& s) const {
    if (P::kPair == 1) return;
    for (Long t = 0; t < kept; ++t)
      for (Long b = s.first_row; b < s.end_row; ++b) finish_operand<P>(row(t, b), depth);
  }
  auto elements() const { return reinterpret_cast<typename P::Element*>(data); }
  Long stride() const { return row_bytes() / static_cast<Long>(sizeof(typename P::Element)); }
};

// The rows of codes that one part of a scan multiplies in a step; in other precisions nothing, and the
// scan's operands are read as they are.
template <class P>
class Codes {
 public:
  // Bytes for all parts of a scan, and the rows of this part among them.
  static std::size_t bytes(Long B, Long H, int parts, bool meets) {
    return static_cast<std::size_t>((meets ? parts : 1) * B * operand_row<P>(H) + 64);
  }
  Codes(char* data, const Share& share, Long B, Long H, int part)
      : data_(P::kCodes && share.meets ? data + part * B * operand_row<P>(H) : data),
        share_(share),
        depth_(H) {}

  // `row_of(b)` gives a row of floats, or null for zeros.
  template <class RowOf>
  void make(RowOf&& row_of) const {
    if constexpr (P::kCodes)
      for (Long b = share_.first_row; b < share_.end_row; ++b) {
        const float* x = row_of(b);
        if (x)
          convert_row<P>(row(b), x, depth_);
        else
          zero_row<P>(row(b), depth_);
      }
  }
  char* row(Long b) const { return data_ + b * operand_row<P>(depth_); }

 private:
  char* data_;
  const Share share_;
  const Long depth_;
};

// The rows of step t that a product reads, from row b on.
template <class P>
inline const char* step_rows(const Codes<P>& codes, const Operands<typename P::Stored>& kept, Long t, Long b) {
  if constexpr (P::kCodes)
    return codes.row(b);
  else
    return kept.row(t, b);
}

// Whether a cell's scan differs by precision: without a product it does not, and is that of float32.
template <class P, class Cell>
constexpr bool has_precision = Cell::kSums > 0 || std::is_same_v<P, Float32>;
template <class Arguments>
inline Arguments in_float32(Arguments a) {
  a.precision = PANTOUM_FLOAT32;
  return a;
}

// The state that a step begins with; `states` is [T + 1, B, H].
template <class N>
inline F16 entering(const Rows& rows, const float* states, Long H, Place at, N n) {
  return rows.begins(at.t, at.b) ? zero() : load(states + at.row * H + at.unit, n);
}

// Writes the states that step t begins with as operands, of which `finish` was called.
template <class P>
inline void enter(Long t, const Share& share, const Rows& rows, Long H, const float* states,
                  const Operands<P>& operands) {
  for (Long panel = share.first_panel; panel < share.end_panel; ++panel)
    for (Long b = share.first_row; b < share.end_row; ++b)
      each_vector(t, rows.streams, H, panel, b, 1, [&](Place at, auto n, Long) {
        write_operand(P{}, operands.row(t, b), at.unit, entering(rows, states, H, at, n), n);
      });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
