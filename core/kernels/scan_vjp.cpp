// The backward pass through a cell over time steps: see scan.h and cell.h.
#include "cells.h"
#include "scan.h"
#include "weight_gradient.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

// What the equations of a cell see: sixteen units of a row, or the first few.
template <class N>
struct Taped {
  const pantoum_scan_vjp_args& a;
  const Rows& rows;
  const Place at;
  const N n;
  const float* gates;

  F16 gate(int gate) const { return load(gates + gate * a.units, n); }
  F16 candidate() const { return load(a.candidate + at.row * a.units + at.unit, n); }
  F16 h() const { return entering(rows, a.hidden, a.units, at, n); }
  F16 next() const { return load(a.hidden + (at.row + rows.each_step) * a.units + at.unit, n); }
  F16 c() const { return entering(rows, a.cell, a.units, at, n); }
  F16 next_c() const { return load(a.cell + (at.row + rows.each_step) * a.units + at.unit, n); }
  // The gradient of next_c() from the steps after.
  F16 d_c() const { return rows.begins(at.t + 1, at.b) ? zero() : load(a.d_cell + at.b * a.units + at.unit, n); }
};

// The parts of one stream, which the gradient passes each by itself, are as many streams that lie one after the other.
template <class P, class Cell>
class ScanVjp {
 public:
  explicit ScanVjp(const pantoum_scan_vjp_args& a)
      : a_(a),
        steps_(a.parts > 1 ? a.steps / a.parts : a.steps),
        batch_(a.parts > 1 ? a.parts : a.batch),
        rows_{a.reset, a.lengths, steps_, batch_, a.batch, a.parts > 1 ? steps_ : 1},
        d_{static_cast<char*>(a.d_operands), batch_, Cell::kGates * a.units, steps_, a.batch, rows_.each_stream},
        w_{static_cast<const char*>(a.panels), a.units, Cell::kSums * a.units, a.units},
        w_second_{static_cast<const char*>(a.more_panels), a.units, (Cell::kGates - Cell::kSums) * a.units, a.units} {}

  int run() const {
    if (a_.fresh_operands && Cell::kTwice) return PANTOUM_BAD_ARGUMENT;
    if (a_.fresh_operands) make_operands();
    Barrier barrier;
    auto part = [&](int index, int parts) -> int {
      steps(share_of<Cell>(batch_, a_.units, index, parts), parts, barrier);
      return PANTOUM_OK;
    };
    int status = run_parts(scan_parts<Cell>(steps_, batch_, a_.units), part);
    if (status == PANTOUM_OK && Cell::kSums > 0) status = weights(a_.operands, 0, Cell::kSums);
    if (status == PANTOUM_OK && Cell::kTwice) status = weights(a_.more_operands, Cell::kSums, Cell::kGates);
    if (status == PANTOUM_OK && Cell::kBiased) status = bias_gradient({a_.d_bias_rows, a_.d_bias, batch_, a_.units, 0});
    return status;
  }

 private:
  void steps(const Share& share, int parts, Barrier& barrier) const {
    auto meet = [&] {
      if (share.meets) barrier.wait(parts);
    };
    if (Cell::kSums > 0) d_.finish(share);
    if (Cell::kBiased) begin_bias(share);
    for (Long t = steps_ - 1; t >= 0; --t) {
      step(share, t);
      meet();
      if constexpr (Cell::kTwice) {
        early(share, t);
        meet();
      }
    }
    if (steps_ > 0) arrive(share);  // with no steps the state's gradient is the one that came in
  }

  // The gradients of the gates, and the share of the state's that no product carries.
  void step(const Share& share, Long t) const {
    each_product(share, t + 1, t, [&](Place at, auto n, F16 sum) {
      // What a later step's product and the shares beside it give, and what the outputs give. A row that has
      // ended passes on the first alone.
      const F16 passed = load(state(at), n) + sum;
      const F16 carried = rows_.begins(t + 1, at.b) ? zero() : passed;
      const F16 whole = carried + load(a_.d_outputs + at.row * a_.units + at.unit, n);
      if (rows_.ended(t, at.b)) {
        for (int g = Cell::kByOperand; g < Cell::kGates; ++g) give(at, n, g, zero(), zero());
        return store(state(at), carried, n);
      }
      const typename Cell::Backward found = Cell::backward(taped(at, n), whole);
      for (int g = Cell::kByOperand; g < Cell::kGates; ++g)
        give(at, n, g, found.gate[g], Cell::kBiased && g == Cell::kGates - 1 ? found.candidate : found.gate[g]);
      if (Cell::kMemory) store(a_.d_cell + at.b * a_.units + at.unit, found.c, n);
      if (Cell::kBiased) {  // a sum per stream: the order of additions then knows no threads
        float* bias = a_.d_bias_rows + at.b * a_.units + at.unit;
        store(bias, load(bias, n) + found.candidate, n);
      }
      store(state(at), found.h, n);
    });
  }

  // By way of the second product: the gradient of its operand, and of the gates that act by it.
  void early(const Share& share, Long t) const {
    const Long skip = Cell::kSums * a_.units * static_cast<Long>(sizeof(typename P::Element));
    alignas(64) float sums[kGateSums];
    each_tile(share, kMostRows<P>, [&](Long panel, Long b, int count) {
      multiply(w_second_, panel, 0, 1, d_.row(t, b) + skip, d_.stream_bytes(), count, sums);
      each_vector(t, batch_, a_.units, panel, b, count, [&](Place at, auto n, Long sum) {
        at.row = rows_.at(at.t, at.b);
        if (rows_.ended(t, at.b)) {
          for (int g = 0; g < Cell::kByOperand; ++g) give(at, n, g, zero(), zero());
          return;
        }
        const auto found = Cell::early_backward(taped(at, n), load(sums + sum), load(state(at), n));
        for (int g = 0; g < Cell::kByOperand; ++g) give(at, n, g, found.gate[g], found.gate[g]);
        store(state(at), found.h, n);
      });
    });
  }

  // After the first step: the rest of the initial state's gradient.
  void arrive(const Share& share) const {
    each_product(share, 0, 0, [&](Place at, auto n, F16 sum) {
      const bool begins = rows_.begins(0, at.b);
      store(state(at), begins ? zero() : load(state(at), n) + sum, n);
      if (Cell::kMemory && begins) store(a_.d_cell + at.b * a_.units + at.unit, zero(), n);
    });
  }

  // Calls body(place, lanes, sum) for every vector of a step, `sum` being the product of the gates' gradients of step
  // `later` with the weights: zero where there is none.
  template <class Body>
  void each_product(const Share& share, Long later, Long t, Body&& body) const {
    alignas(64) float sums[kGateSums] = {};
    const bool any = Cell::kSums > 0 && later < steps_;
    each_tile(share, kMostRows<P>, [&](Long panel, Long b, int count) {
      if constexpr (Cell::kSums > 0) {
        const Long H = a_.units, first = panel * kPanelColumns, units = rows_.at(t, b) * H + first;
        const Long next = rows_.each_stream * H;
        for (int g = 0; g < Cell::kGates; ++g)
          ask_for(a_.gates + (rows_.at(t, b) * Cell::kGates + g) * H + first, Cell::kGates * next, count);
        ask_for(a_.hidden + units, next, count);
        ask_for(a_.d_outputs + units, next, count);
        if (Cell::kBiased) ask_for(a_.candidate + units, next, count);
        if (Cell::kMemory) ask_for(a_.cell + units, next, count);
        if (any) multiply(w_, panel, 0, 1, d_.row(later, b), d_.stream_bytes(), count, sums);
      }
      each_vector(t, batch_, a_.units, panel, b, count, [&](Place at, auto n, Long sum) {
        at.row = rows_.at(at.t, at.b);
        body(at, n, any ? load(sums + sum) : zero());
      });
    });
  }

  // Writes the gradients of gate g: that of its input projection, and, as an operand of the product, that of its sum.
  template <class N>
  void give(Place at, N n, Long g, F16 input, F16 sum) const {
    store(a_.d_projection + (at.row * Cell::kGates + g) * a_.units + at.unit, input, n);
    if (Cell::kSums > 0) write_operand(P{}, d_.row(at.t, at.b), g * a_.units + at.unit, sum, n);
  }

  void begin_bias(const Share& share) const {
    for (Long b = share.first_row; b < share.end_row; ++b)
      for (Long u = share.first_panel * kPanelColumns; u < least(share.end_panel * kPanelColumns, a_.units); ++u)
        a_.d_bias_rows[b * a_.units + u] = 0.0f;
  }

  Operands<P> operands_at(void* data) const { return {static_cast<char*>(data), a_.batch, a_.units, a_.steps}; }

  // A scan of codes left no operands: these are the states.
  void make_operands() const {
    const Operands<P> made = operands_at(a_.operands);
    const Rows rows{a_.reset, a_.lengths, a_.steps, a_.batch};
    const Share all{0, a_.batch, 0, up(a_.units, kPanelColumns), false};
    made.finish(all);
    for (Long t = 0; t < a_.steps; ++t) enter(t, all, rows, a_.units, a_.hidden, made);
  }

  // The gradient of the weights of the gates first .. end - 1, whose product took these operands.
  int weights(void* operands, Long first, Long end) const {
    using Matrix = RowsOf<typename P::Element>;
    const Long H = a_.units;
    const Operands<P> x = operands_at(operands);
    return weight_gradient_of<P>(Matrix{d_.elements() + first * H, d_.stride(), (end - first) * H},
                                 Matrix{x.elements(), x.stride(), H}, a_.steps * a_.batch, a_.d_weight + first * H * H);
  }

  template <class N>
  Taped<N> taped(Place at, N n) const {
    return {a_, rows_, at, n, a_.gates + at.row * Cell::kGates * a_.units + at.unit};
  }
  float* state(Place at) const { return a_.d_state + at.b * a_.units + at.unit; }

  const pantoum_scan_vjp_args& a_;
  const Long steps_, batch_;
  const Rows rows_;
  const Operands<P> d_;
  const Panels<P> w_, w_second_;
};

template <class P>
int scan_vjp_as(const pantoum_scan_vjp_args& a) {
  return with_cell(a.kind, [&](auto cell) {
    using Cell = decltype(cell);
    if constexpr (has_precision<P, Cell>) {
      return ScanVjp<P, Cell>(a).run();
    } else {
      const pantoum_scan_vjp_args same = in_float32(a);
      return PANTOUM_AS_FLOAT32(scan_vjp, same);
    }
  });
}

}  // namespace

int scan_vjp(const pantoum_scan_vjp_args& a) {
  if (a.parts > 1 && (a.batch != 1 || a.lengths || a.steps % a.parts != 0)) return PANTOUM_BAD_ARGUMENT;
  PANTOUM_CHOOSE_TRAINING_PRECISION(scan_vjp, a);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
