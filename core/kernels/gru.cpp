// The gated recurrent unit with the reset gate after the product:
//
//   r = sigma(drive_r + h W_r^T)     z = sigma(drive_z + h W_z^T)
//   n = tanh(drive_n + r * (h W_n^T + b_n))
//   h' = n + z * (h - n)
#include "scan_vjp.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

struct Forward {
  static constexpr int kGates = 3;
  const pantoum_scan_args& a;

  template <class N>
  F16 step(Place at, N n, const float* sums, F16 h) const {
    const Long H = a.units;
    float* gates = a.drive + at.row * 3 * H + at.unit;
    const GruStep s = gru_cell(load(sums), load(sums + kGateSums), load(sums + 2 * kGateSums), load(gates, n),
                               load(gates + H, n), load(gates + 2 * H, n), load(a.bias + at.unit, n), h);
    if (a.tape) {
      store(gates, s.r, n);
      store(gates + H, s.z, n);
      store(gates + 2 * H, s.candidate, n);
      store(a.candidate + at.row * H + at.unit, s.inner, n);
    }
    return s.h;
  }
};

struct Backward {
  static constexpr int kGates = 3;
  const pantoum_scan_vjp_args& a;

  void begin(const Share& share) const {
    for (Long b = share.first_row; b < share.end_row; ++b)
      for (Long u = share.first_panel * kPanelColumns; u < least(share.end_panel * kPanelColumns, a.units); ++u)
        a.d_bias_rows[b * a.units + u] = 0.0f;
  }
  template <class P, class N>
  F16 back(const Rows& rows, const Operands<P>& d, Place at, N n, F16 d_h) const {
    const Long H = a.units;
    const float* gates = a.gates + at.row * 3 * H + at.unit;
    const F16 one = broadcast(1.0f);
    const F16 r = load(gates, n), z = load(gates + H, n), c = load(gates + 2 * H, n);
    const F16 h = entering(rows, a.hidden, H, at, n);
    const F16 d_c = d_h * (one - z) * fma(zero() - c, c, one);
    const F16 d_r = d_c * load(a.candidate + at.row * H + at.unit, n) * (r * (one - r));
    const F16 d_z = d_h * (h - c) * (z * (one - z));
    const F16 inner = d_c * r;
    give(a, d, kGates, at, n, 0, d_r, d_r);
    give(a, d, kGates, at, n, 1, d_z, d_z);
    give(a, d, kGates, at, n, 2, d_c, inner);
    // A sum a stream: the order of additions then knows no threads.
    float* bias = a.d_bias_rows + at.b * H + at.unit;
    store(bias, load(bias, n) + inner, n);
    return d_h * z;
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
  const int status = run_scan_vjp<P>(a, Backward{a});
  return status == PANTOUM_OK ? bias_gradient({a.d_bias_rows, a.d_bias, a.batch, a.units, 0}) : status;
}

}  // namespace

int gru_scan(const pantoum_scan_args& a) { PANTOUM_CHOOSE_PRECISION(forward, a); }
int gru_scan_vjp(const pantoum_scan_vjp_args& a) { PANTOUM_CHOOSE_TRAINING_PRECISION(backward, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
