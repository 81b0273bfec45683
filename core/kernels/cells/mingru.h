// The minimal gated unit, gates z n, with no product of the state:
//
//   z = sigma(x_z)     n = x_n     h' = n + z * (h - n)
#pragma once

#include "cell.h"

namespace pantoum {
namespace PANTOUM_ISA {

struct MinGru : CellOf<2, 0> {
  static constexpr const char* kName = "mingru";
  static constexpr int kTaped = 1;  // n is its input projection

  template <class X>
  static Forward forward(const X& x) {
    const F16 z = sigmoid(x.input(0)), n = x.input(1);
    return {{z, n}, mix(z, x.h, n)};
  }
  template <class X>
  static Backward backward(const X& x, F16 d_h) {
    const F16 z = x.gate(0), n = x.gate(1);
    return {{d_h * (x.h() - n) * sigmoid_slope(z), d_h * (broadcast(1.0f) - z)}, d_h * z};
  }
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
