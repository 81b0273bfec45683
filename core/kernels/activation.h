// exp, log, the logistic function and tanh by their own polynomials: the same operations on every ISA,
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

// The natural logarithm of positive normal numbers: x = 2^k m with m from sqrt(1/2) to sqrt(2), and log m by the
// polynomial of Cephes (Moshier). NaN goes through.
inline F16 log(F16 x) {
  const I16 above = bits(x) + broadcast(0x3f800000u - 0x3f3504f3u);  // sqrt(1/2) at a whole exponent
  const F16 k = to_float(shift_right<23>(above) + broadcast(static_cast<std::uint32_t>(-127)));
  const F16 f = from_bits((above & broadcast(0x007fffffu)) + broadcast(0x3f3504f3u)) - broadcast(1.0f);
  F16 q = broadcast(7.0376836292e-2f);
  q = fma(q, f, broadcast(-1.1514610310e-1f));
  q = fma(q, f, broadcast(1.1676998740e-1f));
  q = fma(q, f, broadcast(-1.2420140846e-1f));
  q = fma(q, f, broadcast(1.4249322787e-1f));
  q = fma(q, f, broadcast(-1.6668057665e-1f));
  q = fma(q, f, broadcast(2.0000714765e-1f));
  q = fma(q, f, broadcast(-2.4999993993e-1f));
  q = fma(q, f, broadcast(3.3333331174e-1f));
  const F16 squared = f * f;
  q = fma(k, broadcast(-2.12194440e-4f), f * squared * q);
  q = fma(squared, broadcast(-0.5f), q);
  return fma(k, broadcast(0.693359375f), f + q) + (x - x);
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
