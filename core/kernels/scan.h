// What the scans of all cells share: who works on which rows and units, the products of a step, and
// the rows that begin anew or have ended.
//
// Forward, a task takes some units of a few rows: it multiplies the operands of the states (kept in
// the product's precision, one row a stream and step) with each gate's panel of these units, and
// applies the gates while the sums are in the first cache. In int8 a row's scale waits for the whole
// row, so each thread quantises the rows that it multiplies itself, at the step's beginning. Back in time it is the
// same with the gates' gradients and the transposed panels. With 8 streams a thread each thread takes streams and runs
// through all steps alone; with fewer they share the units and meet at every step.
#pragma once

#include "../scratch.h"
#include "../threads.h"
#include "cells.h"
#include "kernels.h"
#include "product.h"

namespace pantoum {
namespace PANTOUM_ISA {

// All sixteen lanes; an int in its place means the first few.
struct All {};
inline F16 load(const float* p, All) { return load(p); }
inline void store(float* p, F16 x, All) { store(p, x); }
template <class P>
inline void write_operand(P, void* row, Long at, F16 x, All) {
  write_operand(P{}, row, at, x);
}

// Where a vector of a step's units is.
struct Place {
  Long t, b;
  Long unit;
  Long row;  // t * B + b
};

// One part of a scan: rows first_row .. end_row, panels of units first_panel .. end_panel.
struct Share {
  Long first_row, end_row, first_panel, end_panel;
  bool meets;  // others work on the same rows: wait for them at each step
};

// How many parts a scan is worth, and which is whose.
inline int scan_parts(Long B, Long H, Long gates) {
  const Long threads = thread_count();
  if (B >= kRowsAThread * threads) return static_cast<int>(threads);
  return gates > 0 && B * H * H * gates >= kSmallestShared ? static_cast<int>(least(threads, up(H, kPanelColumns))) : 1;
}
inline Share share_of(Long B, Long H, int part, int parts) {
  const Long panels = up(H, kPanelColumns);
  if (parts == 1 || B >= kRowsAThread * parts) {
    const Range rows = part_of(B, part, parts);
    return {rows.begin, rows.end, 0, panels, false};
  }
  const Range units = part_of(panels, part, parts);
  return {0, B, units.begin, units.end, true};
}

// Calls body(panel, first row, rows) for every tile of a share.
template <class Body>
inline void each_tile(const Share& share, Body&& body) {
  for (Long panel = share.first_panel; panel < share.end_panel; ++panel)
    for (Long b = share.first_row; b < share.end_row;) {
      const int rows = next_tile_rows(share.end_row - b);
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

// Rows that are zeroed before a step, and rows that have ended.
struct Rows {
  const std::uint8_t* reset;    // [T, B] or null
  const std::int64_t* lengths;  // [B] or null
  Long steps, streams;

  bool ended(Long t, Long b) const { return lengths && t >= lengths[b]; }
  bool begins(Long t, Long b) const { return reset && t < steps && reset[t * streams + b] && !ended(t, b); }
};

// The operands of a scan's products: one row a stream and step, or two steps in turn without a tape.
template <class P>
struct Operands {
  static_assert(!P::kCodes, "codes are made for the step alone");
  char* data;
  Long streams, depth, kept;  // steps kept

  Long row_bytes() const { return operand_row<P>(depth); }
  char* row(Long t, Long b) const { return data + (t % kept * streams + b) * row_bytes(); }
  // Of the rows of a share: the half of a last pair that nobody writes.
  void finish(const Share& s) const {
    if (P::kPair == 1 || depth % 2 == 0) return;
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
  static std::size_t bytes(Long B, Long H, int parts) {
    return P::kCodes
               ? static_cast<std::size_t>((share_of(B, H, 0, parts).meets ? parts : 1) * B * operand_row<P>(H) + 64)
               : 0;
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

// The initial states as operands of step 0.
template <class P>
inline void enter_first(const Share& share, const Rows& rows, Long H, const float* hidden,
                        const Operands<P>& operands) {
  operands.finish(share);
  for (Long panel = share.first_panel; panel < share.end_panel; ++panel)
    for (Long b = share.first_row; b < share.end_row; ++b)
      each_vector(0, rows.streams, H, panel, b, 1, [&](Place at, auto n, Long) {
        const F16 h = rows.begins(0, b) ? zero() : load(hidden + b * H + at.unit, n);
        write_operand(P{}, operands.row(0, b), at.unit, h, n);
      });
}

// The state that a step begins with; `states` is [T + 1, B, H].
template <class N>
inline F16 entering(const Rows& rows, const float* states, Long H, Place at, N n) {
  return rows.begins(at.t, at.b) ? zero() : load(states + at.row * H + at.unit, n);
}

// Writes a step's new hidden state to wherever it is needed.
template <class P, class N>
inline void leave(const Rows& rows, const pantoum_scan_args& a, const Operands<P>& operands, Place at, N n, F16 before,
                  F16 after) {
  const bool ended = rows.ended(at.t, at.b);
  const F16 h = ended ? before : after;
  store(a.hidden + (at.row + a.batch) * a.units + at.unit, h, n);
  if (a.outputs) store(a.outputs + at.row * a.units + at.unit, ended ? zero() : h, n);
  if (operands.data && at.t + 1 < a.steps)
    write_operand(P{}, operands.row(at.t + 1, at.b), at.unit, rows.begins(at.t + 1, at.b) ? zero() : h, n);
}

// The states that enter step t, as codes.
template <class P>
inline void enter_step(const Codes<P>& codes, const Rows& rows, const float* hidden, Long H, Long t) {
  codes.make([&](Long b) { return rows.begins(t, b) ? nullptr : hidden + (t * rows.streams + b) * H; });
}

// The whole of a scan with one product a step. Cell has kGates and step(place, lanes, sums, h) -> h'.
template <class P, class Cell>
inline int run_scan(const pantoum_scan_args& a, const Cell& cell) {
  if (P::kCodes && a.tape) return PANTOUM_BAD_ARGUMENT;
  if (a.steps == 0) return PANTOUM_OK;
  const Rows rows{a.reset, a.lengths, a.steps, a.batch};
  const Long H = a.units, B = a.batch, next = up(H, kPanelColumns);
  const Operands<typename P::Stored> operands{P::kCodes ? nullptr : static_cast<char*>(a.operands), B, H,
                                              a.operands_kept};
  const Panels<P> w{static_cast<const char*>(a.panels), Cell::kGates * H, H, H};
  const int most = scan_parts(B, H, Cell::kGates);
  char* code_memory = P::kCodes ? thread_scratch(Codes<P>::bytes(B, H, most)) : nullptr;
  if (P::kCodes && !code_memory) return PANTOUM_OUT_OF_MEMORY;
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    const Share share = share_of(B, H, index, parts);
    const Codes<P> codes(code_memory, share, B, H, index);
    alignas(64) float sums[kMostGates * kGateSums];
    if (operands.data) enter_first(share, rows, H, a.hidden, operands);
    if (share.meets) barrier.wait(parts);
    for (Long t = 0; t < a.steps; ++t) {
      enter_step(codes, rows, a.hidden, H, t);
      each_tile(share, [&](Long panel, Long b, int count) {
        multiply(w, panel, next, Cell::kGates, step_rows(codes, operands, t, b), operand_row<P>(H), count, sums);
        each_vector(t, B, H, panel, b, count, [&](Place at, auto n, Long sum) {
          const F16 h = entering(rows, a.hidden, H, at, n);
          leave(rows, a, operands, at, n, h, cell.step(at, n, sums + sum, h));
        });
      });
      if (share.meets) barrier.wait(parts);
    }
    return PANTOUM_OK;
  };
  return run_parts(most, part);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
