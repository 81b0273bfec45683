// The way back through a scan: see scan.h.
#pragma once

#include "scan.h"
#include "weight_gradient.h"

namespace pantoum {
namespace PANTOUM_ISA {

// The gradient of a step's new state, from what is carried back (`d_state`, the part that passes the
// step by element), the sums of the later step's product and the outputs' gradient.
struct Incoming {
  F16 carried;  // without the output's share: what an ended row passes on
  F16 whole;
};
template <class N>
inline Incoming incoming(const Rows& rows, const pantoum_scan_vjp_args& a, Place at, N n, F16 sums) {
  const F16 passed = load(a.d_state + at.b * a.units + at.unit, n) + sums;
  const F16 carried = rows.begins(at.t + 1, at.b) ? zero() : passed;
  return {carried, carried + load(a.d_outputs + at.row * a.units + at.unit, n)};
}

// Writes gate g's gradient: to d_drive, and (`inner`, which may differ) as an operand of the product.
template <class P, class N>
inline void give(const pantoum_scan_vjp_args& a, const Operands<P>& d, Long gates, Place at, N n, Long g, F16 outer,
                 F16 inner) {
  store(a.d_drive + (at.row * gates + g) * a.units + at.unit, outer, n);
  if (d.data) write_operand(P{}, d.row(at.t, at.b), g * a.units + at.unit, inner, n);
}

// After the first step: the rest of the initial state's gradient.
template <class N>
inline void arrive(const Rows& rows, const pantoum_scan_vjp_args& a, Place at, N n, F16 sums) {
  float* d = a.d_state + at.b * a.units + at.unit;
  store(d, rows.begins(0, at.b) ? zero() : load(d, n) + sums, n);
}

// The whole way back with one product a step. Cell has kGates and back(place, lanes, d_h) -> carried,
// which calls give() for each gate; ended(place, lanes) does what is left to do for an ended row.
template <class P, class Cell>
inline int run_scan_vjp(const pantoum_scan_vjp_args& a, const Cell& cell) {
  const Rows rows{a.reset, a.lengths, a.steps, a.batch};
  const Long H = a.units, B = a.batch, G = Cell::kGates * H;
  const Operands<P> d{static_cast<char*>(a.d_operands), B, G, a.steps};
  const Panels<P> w{static_cast<const char*>(a.panels), H, G, H};
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    const Share share = share_of(B, H, index, parts);
    alignas(64) float sums[kGateSums] = {};
    d.finish(share);
    cell.begin(share);
    for (Long t = a.steps - 1; t >= 0; --t) {
      each_tile(share, [&](Long panel, Long b, int count) {
        if (t + 1 < a.steps) multiply(w, panel, 0, 1, d.row(t + 1, b), d.row_bytes(), count, sums);
        each_vector(t, B, H, panel, b, count, [&](Place at, auto n, Long sum) {
          const Incoming in = incoming(rows, a, at, n, t + 1 < a.steps ? load(sums + sum) : zero());
          F16 carried = in.carried;
          if (rows.ended(t, at.b)) {
            for (Long g = 0; g < Cell::kGates; ++g) give(a, d, Cell::kGates, at, n, g, zero(), zero());
          } else {
            carried = cell.back(rows, d, at, n, in.whole);
          }
          store(a.d_state + at.b * H + at.unit, carried, n);
        });
      });
      if (share.meets) barrier.wait(parts);
    }
    if (a.steps == 0) return PANTOUM_OK;  // the state's gradient is the one that came in
    each_tile(share, [&](Long panel, Long b, int count) {
      multiply(w, panel, 0, 1, d.row(0, b), d.row_bytes(), count, sums);
      each_vector(0, B, H, panel, b, count, [&](Place at, auto n, Long sum) {
        arrive(rows, a, at, n, load(sums + sum));
        cell.arrive(rows, at, n);
      });
    });
    return PANTOUM_OK;
  };
  const int status = run_parts(scan_parts(B, H, Cell::kGates), part);
  if (status != PANTOUM_OK) return status;
  const Operands<P> h{static_cast<char*>(const_cast<void*>(a.operands)), B, H, a.steps};
  using Matrix = RowsOf<typename P::Element>;
  return weight_gradient_of<P>(Matrix{d.elements(), d.stride(), G}, Matrix{h.elements(), h.stride(), H}, a.steps * B,
                               a.d_weight);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
