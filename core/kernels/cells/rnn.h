// The plain recurrent cell (Elman 1990): h' = tanh(x + h W^T)
#pragma once

#include "cell.h"

namespace pantoum {
namespace PANTOUM_ISA {

struct Rnn : CellOf<1, 1> {
  static constexpr const char* kName = "rnn";
  static constexpr int kTaped = 0;

  template <class X>
  static Forward forward(const X& x) {
    const F16 h = tanh(x.sum(0) + x.input(0));
    return {{h}, h};
  }
  template <class X>
  static Backward backward(const X& x, F16 d_h) {
    return {{d_h * tanh_slope(x.next())}};
  }
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
