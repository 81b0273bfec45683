// The gated recurrent unit with the reset gate before the candidate's product, gates r z n:
//
//   r = sigma(x_r + h W_r^T)     z = sigma(x_z + h W_z^T)
//   n = tanh(x_n + (r * h) W_n^T)
//   h' = n + z * (h - n)
#pragma once

#include "cell.h"

namespace pantoum {
namespace PANTOUM_ISA {

struct GruBefore : CellOf<3, 2> {
  static constexpr const char* kName = "gru_before";
  static constexpr int kByOperand = 1;

  template <class X>
  static Early early(const X& x) {
    const F16 r = sigmoid(x.sum(0) + x.input(0)), z = sigmoid(x.sum(1) + x.input(1));
    return {{r, z}, r * x.h};
  }
  template <class X>
  static Forward forward(const X& x) {
    const F16 r = x.gate(0), z = x.gate(1), n = tanh(x.sum(2) + x.input(2));
    return {{r, z, n}, mix(z, x.h, n)};
  }
  template <class X>
  static Backward backward(const X& x, F16 d_h) {
    const F16 z = x.gate(1), n = x.gate(2), one = broadcast(1.0f);
    const F16 d_z = d_h * (x.h() - n) * sigmoid_slope(z);
    const F16 d_n = d_h * (one - z) * tanh_slope(n);
    return {{zero(), d_z, d_n}, d_h * z};
  }
  template <class X>
  static EarlyBackward early_backward(const X& x, F16 d_operand, F16 d_h) {
    const F16 r = x.gate(0);
    return {{d_operand * x.h() * sigmoid_slope(r)}, fma(d_operand, r, d_h)};
  }
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
