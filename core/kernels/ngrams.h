// The n-grams that end with a token: which row of the table each of them has, and the state that keeps the
// tokens before. `network/mixers/ngrams.py` says what they are for; the numbers here are the same.
#pragma once

#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ull;  // 2^64 over the golden ratio

// A token of the state, its number + 1; 0 for none and for what can be no token.
inline std::uint64_t kept_token(float x) { return x >= 1.0f && x < 0x1p31f ? static_cast<std::uint64_t>(x) : 0; }

// The row of each order, whatever the state holds within the order's table.
inline void find_rows(const pantoum_step_args& a, std::int32_t token, const float* recent, Long* rows) {
  const std::uint64_t base = static_cast<std::uint64_t>(a.vocabulary) + 1;
  const int shift = __builtin_clzll(static_cast<unsigned long long>(a.ngram_rows)) + 1;
  std::uint64_t key = static_cast<std::uint64_t>(token) + 1, power = 1;
  Long length = 1;
  for (Long o = 0; o < a.order_count; ++o) {
    for (; length < a.orders[o]; ++length) {
      power *= base;
      key += kept_token(recent[a.recent_kept - length]) * power;
    }
    rows[o] = o * a.ngram_rows + static_cast<Long>(key * kGolden >> shift);
  }
}

// The state after the token.
inline void keep_token(std::int32_t token, Long kept, float* recent) {
  for (Long k = 0; k + 1 < kept; ++k) recent[k] = static_cast<float>(kept_token(recent[k + 1]));
  recent[kept - 1] = static_cast<float>(token) + 1.0f;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
