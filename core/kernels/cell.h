// What the equations of a cell are written in.
//
// A cell is a struct of equations on sixteen units, written once; the scan over time, its backward pass and
// the step of a whole model are templates over it. It has
//
//   forward(x)        the new state, from x.h (and x.c), x.sum(gate), the product of the state with the
//                     gate's weights, and x.input(gate), the input projection: all of the gate that is known before
//   backward(x, d_h)  the gradients of its gates and of the state before, from that of its new state;
//                     x.gate(gate) is what forward gave, x.h() and x.next() the states around the step
//
// A cell with a second product, which waits for the first, also has
//
//   early(x)                         the gates of the first product, and the operand of the second
//   early_backward(x, d_operand, d)  the gradients of the gates that act by that operand alone, and d, the
//                                    gradient of the state before, with the operand's share
#pragma once

#include "activation.h"

namespace pantoum {
namespace PANTOUM_ISA {

// Facts and types that a cell inherits. It overrides a fact where it differs.
template <int gates, int sums>
struct CellOf {
  static constexpr int kGates = gates;
  static constexpr int kSums = sums;      // the first gates, which the product of the state adds to
  static constexpr int kTaped = gates;    // the first gates, which backward reads
  static constexpr int kByOperand = 0;    // the first gates, which act by the second product's operand alone
  static constexpr bool kMemory = false;  // there is a state c beside h
  static constexpr bool kBiased = false;  // the last gate's sum has a bias of its own, and is kept with it
  static constexpr bool kTwice = sums > 0 && sums < gates;  // the other gates take a second product

  struct Forward {
    F16 gate[gates];
    F16 h;
    F16 c = zero();          // kMemory
    F16 candidate = zero();  // kBiased: the last gate's sum and bias
  };
  struct Early {
    F16 gate[gates];  // the first kSums
    F16 operand;
  };
  struct Backward {
    F16 gate[gates];         // of the input projection
    F16 h = zero();          // the share of the state before that no product carries
    F16 c = zero();          // kMemory
    F16 candidate = zero();  // kBiased: of the last gate's sum, which differs from that of its input
  };
  struct EarlyBackward {
    F16 gate[gates];  // the first kByOperand
    F16 h;
  };
};

// The mean of the old state and a candidate that a gate between 0 and 1 weighs.
inline F16 mix(F16 z, F16 h, F16 candidate) { return fma(z, h - candidate, candidate); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
