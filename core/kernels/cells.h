// Every cell of the core: its equations, and below its name. cell.h says what they are written in.
#pragma once

#include "cell.h"

#include "../pantoum_core.h"

namespace pantoum {
namespace PANTOUM_ISA {

// The plain recurrent cell (Elman 1990): h' = tanh(x + h W^T)
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

// The gated recurrent unit with the reset gate after the product, gates r z n:
//
//   r = sigma(x_r + h W_r^T)     z = sigma(x_z + h W_z^T)
//   n = tanh(x_n + r * (h W_n^T + b_n))
//   h' = n + z * (h - n)
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

// The gated recurrent unit with the reset gate before the candidate's product, gates r z n:
//
//   r = sigma(x_r + h W_r^T)     z = sigma(x_z + h W_z^T)
//   n = tanh(x_n + (r * h) W_n^T)
//   h' = n + z * (h - n)
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

// The long short-term memory cell, gates i f g o:
//
//   i, f, o = sigma(x + h W^T)     g = tanh(x_g + h W_g^T)
//   c' = f * c + i * g
//   h' = o * tanh(c')
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

// The minimal gated unit, gates z n, with no product of the state:
//
//   z = sigma(x_z)     n = x_n     h' = n + z * (h - n)
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

template <class... Cells>
struct CellList {};
// A cell's number is its place here.
using AllCells = CellList<Rnn, Gru, GruBefore, Lstm, MinGru>;

// body(cell) for the cell of this number, any value of its type.
template <class Body, class... Cells>
inline int with_cell(int kind, Body&& body, CellList<Cells...>) {
  int number = 0, status = PANTOUM_BAD_ARGUMENT;
  static_cast<void>(((number++ == kind && ((status = body(Cells{})), true)) || ...));
  return status;
}
template <class Body>
inline int with_cell(int kind, Body&& body) {
  return with_cell(kind, body, AllCells{});
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
