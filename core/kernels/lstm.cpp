// The long short-term memory cell, gates i f g o:
//
//   i, f, o = sigma(drive + h W^T)     g = tanh(drive_g + h W_g^T)
//   c' = f * c + i * g
//   h' = o * tanh(c')
#include "scan_vjp.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

struct Forward {
  static constexpr int kGates = 4;
  const pantoum_scan_args& a;
  const Rows rows;

  template <class N>
  F16 step(Place at, N n, const float* sums, F16) const {
    const Long H = a.units;
    float* gates = a.drive + at.row * 4 * H + at.unit;
    const F16 before = entering(rows, a.cell, H, at, n);
    const LstmStep s =
        lstm_cell({load(sums), load(sums + kGateSums), load(sums + 2 * kGateSums), load(sums + 3 * kGateSums)},
                  {load(gates, n), load(gates + H, n), load(gates + 2 * H, n), load(gates + 3 * H, n)}, before);
    store(a.cell + (at.row + a.batch) * H + at.unit, rows.ended(at.t, at.b) ? before : s.c, n);
    if (a.tape) {
      store(gates, s.i, n);
      store(gates + H, s.f, n);
      store(gates + 2 * H, s.g, n);
      store(gates + 3 * H, s.o, n);
    }
    return s.h;
  }
};

struct Backward {
  static constexpr int kGates = 4;
  const pantoum_scan_vjp_args& a;

  void begin(const Share&) const {}
  template <class P, class N>
  F16 back(const Rows& rows, const Operands<P>& d, Place at, N n, F16 d_h) const {
    const Long H = a.units;
    const float* gates = a.gates + at.row * 4 * H + at.unit;
    const F16 one = broadcast(1.0f);
    const F16 i = load(gates, n), f = load(gates + H, n), g = load(gates + 2 * H, n), o = load(gates + 3 * H, n);
    // tanh(c') again is cheaper than an array of them.
    const F16 squashed = tanh(load(a.cell + (at.row + a.batch) * H + at.unit, n));
    float* carried = a.d_cell + at.b * H + at.unit;
    const F16 later = rows.begins(at.t + 1, at.b) ? zero() : load(carried, n);
    const F16 d_c = fma(d_h * o, fma(zero() - squashed, squashed, one), later);
    const F16 d_i = d_c * g * (i * (one - i));
    const F16 d_f = d_c * entering(rows, a.cell, H, at, n) * (f * (one - f));
    const F16 d_g = d_c * i * fma(zero() - g, g, one);
    const F16 d_o = d_h * squashed * (o * (one - o));
    give(a, d, kGates, at, n, 0, d_i, d_i);
    give(a, d, kGates, at, n, 1, d_f, d_f);
    give(a, d, kGates, at, n, 2, d_g, d_g);
    give(a, d, kGates, at, n, 3, d_o, d_o);
    store(carried, d_c * f, n);
    return zero();
  }
  template <class N>
  void arrive(const Rows& rows, Place at, N n) const {
    if (rows.begins(0, at.b)) store(a.d_cell + at.b * a.units + at.unit, zero(), n);
  }
};

template <class P>
int forward(const pantoum_scan_args& a) {
  return run_scan<P>(a, Forward{a, Rows{a.reset, a.lengths, a.steps, a.batch}});
}
template <class P>
int backward(const pantoum_scan_vjp_args& a) {
  return run_scan_vjp<P>(a, Backward{a});
}

}  // namespace

int lstm_scan(const pantoum_scan_args& a) { PANTOUM_CHOOSE_PRECISION(forward, a); }
int lstm_scan_vjp(const pantoum_scan_vjp_args& a) { PANTOUM_CHOOSE_TRAINING_PRECISION(backward, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
