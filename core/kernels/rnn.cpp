// h' = tanh(drive + h W^T)
#include "scan_vjp.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

struct Forward {
  static constexpr int kGates = 1;
  const pantoum_scan_args& a;

  template <class N>
  F16 step(Place at, N n, const float* sums, F16) const {
    return rnn_cell(load(sums), load(a.drive + at.row * a.units + at.unit, n));
  }
};

struct Backward {
  static constexpr int kGates = 1;
  const pantoum_scan_vjp_args& a;

  void begin(const Share&) const {}
  template <class P, class N>
  F16 back(const Rows&, const Operands<P>& d, Place at, N n, F16 d_h) const {
    const F16 h = load(a.hidden + (at.row + a.batch) * a.units + at.unit, n);
    const F16 d_a = d_h * fma(zero() - h, h, broadcast(1.0f));
    give(a, d, kGates, at, n, 0, d_a, d_a);
    return zero();
  }
  template <class N>
  void arrive(const Rows&, Place, N) const {}
};

template <class P>
int forward(const pantoum_scan_args& a) {
  return run_scan<P>(a, Forward{a});
}
template <class P>
int backward(const pantoum_scan_vjp_args& a) {
  return run_scan_vjp<P>(a, Backward{a});
}

}  // namespace

int rnn_scan(const pantoum_scan_args& a) { PANTOUM_CHOOSE_PRECISION(forward, a); }
int rnn_scan_vjp(const pantoum_scan_vjp_args& a) { PANTOUM_CHOOSE_TRAINING_PRECISION(backward, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
