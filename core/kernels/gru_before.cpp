// The gated recurrent unit with the reset gate before the candidate's product:
//
//   r = sigma(drive_r + h W_r^T)     z = sigma(drive_z + h W_z^T)
//   n = tanh(drive_n + (r * h) W_n^T)
//   h' = n + z * (h - n)
//
// Two products a step, the second waiting for the first, hence loops of its own.
#include "scan_vjp.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

template <class P>
class Forward {
 public:
  explicit Forward(const pantoum_scan_args& a)
      : a_(a),
        rows_{a.reset, a.lengths, a.steps, a.batch},
        states_{P::kCodes ? nullptr : static_cast<char*>(a.operands), a.batch, a.units, a.operands_kept},
        kept_{static_cast<char*>(a.more_operands), a.batch, a.units, a.operands_kept},
        gates_{static_cast<const char*>(a.panels), 2 * a.units, a.units, a.units},
        candidate_{static_cast<const char*>(a.more_panels), a.units, a.units, a.units} {}

  void run(const Share& share, const Codes<P>& codes, int parts, Barrier& barrier) const {
    if (states_.data) enter_first(share, rows_, a_.units, a_.hidden, states_);
    kept_.finish(share);
    if (share.meets) barrier.wait(parts);
    for (Long t = 0; t < a_.steps; ++t) {
      enter_step(codes, rows_, a_.hidden, a_.units, t);
      first(share, codes, t);
      if (share.meets) barrier.wait(parts);
      codes.make([&](Long b) { return reinterpret_cast<const float*>(kept_.row(t, b)); });
      second(share, codes, t);
      if (share.meets) barrier.wait(parts);
    }
  }

 private:
  // r and z, in place of their drives; r * h as the second product's operand.
  void first(const Share& share, const Codes<P>& codes, Long t) const {
    const Long H = a_.units, row = operand_row<P>(H);
    alignas(64) float sums[2 * kGateSums];
    each_tile(share, [&](Long panel, Long b, int count) {
      multiply(gates_, panel, gates_.each_block(), 2, step_rows(codes, states_, t, b), row, count, sums);
      each_vector(t, a_.batch, H, panel, b, count, [&](Place at, auto n, Long sum) {
        float* gates = a_.drive + at.row * 3 * H + at.unit;
        const F16 r = gate_cell(load(sums + sum), load(gates, n));
        store(gates, r, n);
        store(gates + H, gate_cell(load(sums + kGateSums + sum), load(gates + H, n)), n);
        write_operand(Stored{}, kept_.row(t, at.b), at.unit, r * entering(rows_, a_.hidden, H, at, n), n);
      });
    });
  }

  void second(const Share& share, const Codes<P>& codes, Long t) const {
    const Long H = a_.units, row = operand_row<P>(H);
    alignas(64) float sums[kGateSums];
    each_tile(share, [&](Long panel, Long b, int count) {
      multiply(candidate_, panel, 0, 1, step_rows(codes, kept_, t, b), row, count, sums);
      each_vector(t, a_.batch, H, panel, b, count, [&](Place at, auto n, Long sum) {
        float* gates = a_.drive + at.row * 3 * H + at.unit;
        const F16 h = entering(rows_, a_.hidden, H, at, n), z = load(gates + H, n);
        const F16 c = rnn_cell(load(sums + sum), load(gates + 2 * H, n));
        store(gates + 2 * H, c, n);
        leave(rows_, a_, states_, at, n, h, mix_cell(z, h, c));
      });
    });
  }

  using Stored = typename P::Stored;
  const pantoum_scan_args& a_;
  const Rows rows_;
  const Operands<Stored> states_, kept_;
  const Panels<P> gates_, candidate_;
};

template <class P>
class Backward {
 public:
  explicit Backward(const pantoum_scan_vjp_args& a)
      : a_(a),
        rows_{a.reset, a.lengths, a.steps, a.batch},
        d_{static_cast<char*>(a.d_operands), a.batch, 3 * a.units, a.steps},
        gates_{static_cast<const char*>(a.panels), a.units, 2 * a.units, a.units},
        candidate_{static_cast<const char*>(a.more_panels), a.units, a.units, a.units} {}

  void run(const Share& share, int parts, Barrier& barrier) const {
    d_.finish(share);
    for (Long t = a_.steps - 1; t >= 0; --t) {
      first(share, t);
      if (share.meets) barrier.wait(parts);
      second(share, t);
      if (share.meets) barrier.wait(parts);
    }
    if (a_.steps == 0) return;
    alignas(64) float sums[kGateSums];
    each_tile(share, [&](Long panel, Long b, int count) {
      multiply(gates_, panel, 0, 1, d_.row(0, b), d_.row_bytes(), count, sums);
      each_vector(0, a_.batch, a_.units, panel, b, count,
                  [&](Place at, auto n, Long sum) { arrive(rows_, a_, at, n, load(sums + sum)); });
    });
  }

  int weights() const {
    using Matrix = RowsOf<typename P::Element>;
    const Long H = a_.units, count = a_.steps * a_.batch;
    const Operands<P> h{static_cast<char*>(const_cast<void*>(a_.operands)), a_.batch, H, a_.steps};
    const Operands<P> rh{static_cast<char*>(const_cast<void*>(a_.more_operands)), a_.batch, H, a_.steps};
    const int status = weight_gradient_of<P>(Matrix{d_.elements(), d_.stride(), 2 * H},
                                             Matrix{h.elements(), h.stride(), H}, count, a_.d_weight);
    if (status != PANTOUM_OK) return status;
    return weight_gradient_of<P>(Matrix{d_.elements() + 2 * H, d_.stride(), H}, Matrix{rh.elements(), rh.stride(), H},
                                 count, a_.d_weight + 2 * H * H);
  }

 private:
  // Gradients of z and of the candidate.
  void first(const Share& share, Long t) const {
    const Long H = a_.units;
    alignas(64) float sums[kGateSums];
    each_tile(share, [&](Long panel, Long b, int count) {
      const bool later = t + 1 < a_.steps;
      if (later) multiply(gates_, panel, 0, 1, d_.row(t + 1, b), d_.row_bytes(), count, sums);
      each_vector(t, a_.batch, H, panel, b, count, [&](Place at, auto n, Long sum) {
        const Incoming in = incoming(rows_, a_, at, n, later ? load(sums + sum) : zero());
        const float* gates = a_.gates + at.row * 3 * H + at.unit;
        const F16 one = broadcast(1.0f), z = load(gates + H, n), c = load(gates + 2 * H, n);
        const F16 h = entering(rows_, a_.hidden, H, at, n);
        const bool ended = rows_.ended(t, at.b);
        const F16 d_z = ended ? zero() : in.whole * (h - c) * (z * (one - z));
        const F16 d_c = ended ? zero() : in.whole * (one - z) * fma(zero() - c, c, one);
        give(a_, d_, 3, at, n, 1, d_z, d_z);
        give(a_, d_, 3, at, n, 2, d_c, d_c);
        store(a_.d_state + at.b * H + at.unit, ended ? in.carried : in.whole * z, n);
      });
    });
  }

  // The gradient of r * h, hence of r.
  void second(const Share& share, Long t) const {
    const Long H = a_.units, skip = 2 * H * static_cast<Long>(sizeof(typename P::Element));
    alignas(64) float sums[kGateSums];
    each_tile(share, [&](Long panel, Long b, int count) {
      multiply(candidate_, panel, 0, 1, d_.row(t, b) + skip, d_.row_bytes(), count, sums);
      each_vector(t, a_.batch, H, panel, b, count, [&](Place at, auto n, Long sum) {
        const F16 r = load(a_.gates + at.row * 3 * H + at.unit, n), d_rh = load(sums + sum);
        const F16 h = entering(rows_, a_.hidden, H, at, n);
        const bool ended = rows_.ended(t, at.b);
        const F16 d_r = ended ? zero() : d_rh * h * (r * (broadcast(1.0f) - r));
        give(a_, d_, 3, at, n, 0, d_r, d_r);
        float* carried = a_.d_state + at.b * H + at.unit;
        if (!ended) store(carried, fma(d_rh, r, load(carried, n)), n);
      });
    });
  }

  const pantoum_scan_vjp_args& a_;
  const Rows rows_;
  const Operands<P> d_;
  const Panels<P> gates_, candidate_;
};

template <class P>
int forward(const pantoum_scan_args& a) {
  if (P::kCodes && a.tape) return PANTOUM_BAD_ARGUMENT;
  if (a.steps == 0) return PANTOUM_OK;
  const Forward<P> scan(a);
  const int most = scan_parts(a.batch, a.units, 3);
  char* code_memory = P::kCodes ? thread_scratch(Codes<P>::bytes(a.batch, a.units, most)) : nullptr;
  if (P::kCodes && !code_memory) return PANTOUM_OUT_OF_MEMORY;
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    const Share share = share_of(a.batch, a.units, index, parts);
    scan.run(share, Codes<P>(code_memory, share, a.batch, a.units, index), parts, barrier);
    return PANTOUM_OK;
  };
  return run_parts(most, part);
}

template <class P>
int backward(const pantoum_scan_vjp_args& a) {
  const Backward<P> scan(a);
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    scan.run(share_of(a.batch, a.units, index, parts), parts, barrier);
    return PANTOUM_OK;
  };
  run_parts(scan_parts(a.batch, a.units, 3), part);
  return scan.weights();
}

}  // namespace

int gru_before_scan(const pantoum_scan_args& a) { PANTOUM_CHOOSE_PRECISION(forward, a); }
int gru_before_scan_vjp(const pantoum_scan_vjp_args& a) { PANTOUM_CHOOSE_TRAINING_PRECISION(backward, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
