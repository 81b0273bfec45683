// exp and log in double, by plain additions and multiplications: the same bits on every ISA, whatever
// width the compiler takes for a loop over them. Within 2 units in the last place.
#pragma once

#include <cstdint>

namespace pantoum {
namespace PANTOUM_ISA {

// Where a loop handles this many values side by side, each with a sum or a maximum of its own; the
// result then follows from the length alone.
constexpr int kWideLanes = 8;

inline double from_word(std::uint64_t word) {
  double x;
  __builtin_memcpy(&x, &word, sizeof x);
  return x;
}
inline std::uint64_t word_of(double x) {
  std::uint64_t word;
  __builtin_memcpy(&word, &x, sizeof word);
  return word;
}

// e^x of x <= 0: x = n ln 2 + r with |r| <= ln 2 / 2, and e^r by its series. The power of two goes in by
// halves, so that the smallest results are rounded once. Minus infinity gives 0, NaN goes through.
inline double wide_exp(double x) {
  x = x < -746.0 ? -746.0 : x;
  const double round = 0x1.8p52;  // adding it leaves the nearest whole number in the low bits
  const double t = x * 0x1.71547652b82fep0 + round;
  const double n = t - round;
  const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
  double q = 1.0 / 6227020800.0;
  q = q * r + 1.0 / 479001600.0;
  q = q * r + 1.0 / 39916800.0;
  q = q * r + 1.0 / 3628800.0;
  q = q * r + 1.0 / 362880.0;
  q = q * r + 1.0 / 40320.0;
  q = q * r + 1.0 / 5040.0;
  q = q * r + 1.0 / 720.0;
  q = q * r + 1.0 / 120.0;
  q = q * r + 1.0 / 24.0;
  q = q * r + 1.0 / 6.0;
  q = q * r + 0.5;
  const double power = (q * r) * r + r + 1.0;
  const std::uint64_t exponent = word_of(t) - word_of(round) + 2046;  // n + 2046: from 970 to 2046
  const std::uint64_t half = exponent >> 1;
  return power * from_word(half << 52) * from_word((exponent - half) << 52);
}

// The natural logarithm of a sum of at least 1: x = 2^k m with m near 1, log m = 2 artanh((m - 1) / (m + 1)).
inline double wide_log(double x) {
  std::uint64_t word = word_of(x);
  const std::uint64_t exponent = word >> 52;
  if (!(x > 0.0) || exponent == 0x7ff) return x;  // not a number, or infinite: it is told by being so
  word = (word & 0x000fffffffffffffu) | 0x3ff0000000000000u;
  double m = from_word(word), k = static_cast<double>(static_cast<std::int64_t>(exponent) - 1023);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k += 1.0;
  }
  const double s = (m - 1.0) / (m + 1.0), squared = s * s;
  double series = 0.0;
  for (int power = 19; power > 0; power -= 2) series = series * squared + 1.0 / power;
  return k * 0.6931471805599453 + 2.0 * s * series;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
