// exp, the logistic function and tanh by their own polynomials: the same operations on every ISA,
// hence the same bits; within 2 units in the last place, as tests/parity checks.
#pragma once

#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

// x = n ln 2 + r with |r| <= ln 2 / 2, e^r = 1 + r + r^2 q(r).
struct Reduced {
  F16 less_one;  // e^r - 1
  I16 exponent;  // n, in place to be added to a float's exponent
};

inline Reduced reduce(F16 x) {
  const F16 round = broadcast(0x1.8p23f);  // adding it leaves the nearest whole number in the low bits
  const F16 t = fma(x, broadcast(0x1.715476p0f), round);
  const F16 n = t - round;
  const F16 r = fma(n, broadcast(-0x1.7f7d1cp-20f), fma(n, broadcast(-0x1.62e4p-1f), x));
  // Minimax on that interval, 0.22 units in the last place of e^r - 1.
  F16 q = broadcast(0x1.6bebfep-10f);
  q = fma(q, r, broadcast(0x1.1227bp-7f));
  q = fma(q, r, broadcast(0x1.555674p-5f));
  q = fma(q, r, broadcast(0x1.5554bp-3f));
  q = fma(q, r, broadcast(0x1.fffffep-2f));
  return {fma(r * r, q, r), shift_left<23>(bits(t))};
}

// Results stay normal numbers: below -87 and above 88 it is the end's value. NaN goes through.
inline F16 exp(F16 x) {
  const Reduced e = reduce(min(broadcast(88.0f), max(broadcast(-87.0f), x)));
  return from_bits(bits(e.less_one + broadcast(1.0f)) + e.exponent);
}

inline F16 sigmoid(F16 x) {
  const F16 one = broadcast(1.0f);
  return one / (one + exp(zero() - x));
}

// tanh |x| = (e^2|x| - 1) / (e^2|x| + 1), by e^y - 1 so that nothing cancels near zero.
inline F16 tanh(F16 x) {
  const I16 sign = bits(x) & broadcast(0x80000000u);
  const F16 y = min(broadcast(20.0f), from_bits(bits(x + x) ^ sign));
  const Reduced e = reduce(y);
  const F16 one = broadcast(1.0f), power = from_bits(bits(one) + e.exponent);
  const F16 less_one = fma(power, e.less_one, power - one);
  return from_bits(bits(less_one / (less_one + broadcast(2.0f))) | sign);
}

// Their slopes, from their values.
inline F16 sigmoid_slope(F16 s) { return s * (broadcast(1.0f) - s); }
inline F16 tanh_slope(F16 t) { return fma(zero() - t, t, broadcast(1.0f)); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
