// The gated recurrent unit with the reset gate after the product, gates r z n:
//
//   r = sigma(x_r + h W_r^T)     z = sigma(x_z + h W_z^T)
//   n = tanh(x_n + r * (h W_n^T + b_n))
//   h' = n + z * (h - n)
#pragma once

#include "cell.h"

namespace pantoum {
namespace PANTOUM_ISA {

struct Gru : CellOf<3, 3> {
  static constexpr const char* kName = "gru";
  static constexpr bool kBiased = true;

  template <class X>
  static Forward forward(const X& x) {
    const F16 r = sigmoid(x.sum(0) + x.input(0)), z = sigmoid(x.sum(1) + x.input(1));
    const F16 candidate = x.sum(2) + x.bias();
    const F16 n = tanh(fma(r, candidate, x.input(2)));
    return {{r, z, n}, mix(z, x.h, n), zero(), candidate};
  }
  template <class X>
  static Backward backward(const X& x, F16 d_h) {
    const F16 r = x.gate(0), z = x.gate(1), n = x.gate(2);
    const F16 d_n = d_h * (broadcast(1.0f) - z) * tanh_slope(n);
    const F16 d_r = d_n * x.candidate() * sigmoid_slope(r);
    const F16 d_z = d_h * (x.h() - n) * sigmoid_slope(z);
    return {{d_r, d_z, d_n}, d_h * z, zero(), d_n * r};
  }
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
