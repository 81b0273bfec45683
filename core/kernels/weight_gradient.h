// out = d^T x over many rows: the sum runs over the rows, which both operands are packed along.
#pragma once

#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {

// Rows of floats, or of operands of a product in its precision (as a scan leaves them).
template <class Element>
struct RowsOf {
  const Element* data;
  Long stride;  // in elements
  Long width;
};

template <class P, class D, class X>
int weight_gradient_of(RowsOf<D> d, RowsOf<X> x, Long count, float* out, bool resume = false);

}  // namespace PANTOUM_ISA
}  // namespace pantoum
