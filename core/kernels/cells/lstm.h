// The long short-term memory cell, gates i f g o:
//
//   i, f, o = sigma(x + h W^T)     g = tanh(x_g + h W_g^T)
//   c' = f * c + i * g
//   h' = o * tanh(c')
#pragma once

#include "cell.h"

namespace pantoum {
namespace PANTOUM_ISA {

struct Lstm : CellOf<4, 4> {
  static constexpr const char* kName = "lstm";
  static constexpr bool kMemory = true;

  template <class X>
  static Forward forward(const X& x) {
    const F16 i = sigmoid(x.sum(0) + x.input(0)), f = sigmoid(x.sum(1) + x.input(1));
    const F16 g = tanh(x.sum(2) + x.input(2)), o = sigmoid(x.sum(3) + x.input(3));
    const F16 c = fma(f, x.c, i * g);
    return {{i, f, g, o}, o * tanh(c), c};
  }
  template <class X>
  static Backward backward(const X& x, F16 d_h) {
    const F16 i = x.gate(0), f = x.gate(1), g = x.gate(2), o = x.gate(3);
    const F16 squashed = tanh(x.next_c());  // again: cheaper than an array of them
    const F16 d_c = fma(d_h * o, tanh_slope(squashed), x.d_c());
    const F16 d_i = d_c * g * sigmoid_slope(i), d_f = d_c * x.c() * sigmoid_slope(f);
    const F16 d_g = d_c * i * tanh_slope(g), d_o = d_h * squashed * sigmoid_slope(o);
    return {{d_i, d_f, d_g, d_o}, zero(), d_c * f};
  }
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
