// Counted n-grams: the contexts that end with a token, and their probabilities mixed with those of a network.
// `network/mixers/counts.py` says what they are, `kernels/reference/counts.py` has the equations.
#pragma once

#include "../pantoum_core.h"
#include "exponentials.h"
#include "row_sum.h"

namespace pantoum {
namespace PANTOUM_ISA {

constexpr Long kMostKept = 7;      // tokens of a context
constexpr Long kSizesALength = 8;  // classes of contexts of one length

// Counts, for one row of logits after the other.
class Counted {
 public:
  Counted(const pantoum_counts_args& a, Long vocabulary) : a_(a), V_(vocabulary) {}

  // Floats of scratch memory that `mix` needs.
  static Long scratch(Long vocabulary) { return vocabulary; }

  // The contexts of 1, 2, .. tokens that end with this token [kept]; -1: it did not occur.
  void find(std::int32_t token, const float* recent, std::int64_t* nodes) const {
    Long history[kMostKept] = {token};  // the newest first
    Long known = 1;
    for (; known < a_.kept; ++known) {
      const Long before = kept_number(recent[a_.kept - known]);
      if (before == 0) break;
      history[known] = before - 1;
    }
    for (Long length = 1; length <= a_.kept; ++length) {
      Long node = length <= known ? history[length - 1] : -1;
      for (Long k = 1; k < length && node >= 0; ++k) node = continuation(k, node, history[length - 1 - k]);
      nodes[length - 1] = node;
    }
  }

  // The state after the token.
  void keep(std::int32_t token, float* recent) const {
    for (Long k = 0; k + 1 < a_.kept; ++k) recent[k] = static_cast<float>(kept_number(recent[k + 1]));
    recent[a_.kept - 1] = static_cast<float>(token) + 1.0f;
    bool known = true;
    for (Long k = a_.kept - 1; k >= 0; --k) {
      known = known && recent[k] != 0.0f;
      if (!known) recent[k] = 0.0f;
    }
  }

  // The weight of the network after these contexts.
  float weight(const std::int64_t* nodes) const {
    Long found = a_.shortest;
    for (Long length = 1; length <= a_.kept; ++length) {
      const Long node = nodes[length - 1], size = node < 0 ? -1 : a_.lengths[length - 1].sizes[node];
      if (size >= 0) found = length * kSizesALength + size;
    }
    return a_.weights[found];
  }

  // Logits [V] become logarithms of probabilities, v being the weight of the network; the context of length k is
  // nodes[(k - 1) * stride], and p [V] is scratch memory.
  void mix(const std::int64_t* nodes, Long stride, float v, float* x, float* p) const {
    float remains[kMostKept + 1];  // of the contexts of each length, after the longer ones
    remains[a_.kept] = 1.0f;
    for (Long length = a_.kept; length > 0; --length) {
      const Long node = nodes[(length - 1) * stride];
      remains[length - 1] = remains[length] * (node < 0 ? 1.0f : a_.lengths[length - 1].left[node]);
    }
    const F16 rest = broadcast(remains[0]);
    each_lanes(0, V_, [&](Long c, auto n) { store(p + c, rest * load(a_.unigrams + c, n), n); });
    for (Long length = 1; length <= a_.kept; ++length)
      add_shares(a_.lengths[length - 1], nodes[(length - 1) * stride], remains[length], p);
    mix_row(x, v, p, 1.0f - v, V_);
  }

 private:
  // A token of the state, its number + 1; 0 for none and for what can be no token.
  Long kept_number(float x) const { return x >= 1.0f && x <= static_cast<float>(V_) ? static_cast<Long>(x) : 0; }

  // The context that a token makes of one of length k; -1: it did not occur.
  Long continuation(Long k, Long node, Long token) const {
    const pantoum_contexts_args& contexts = a_.lengths[k - 1];
    Long low = contexts.starts[node], high = contexts.starts[node + 1];
    const Long end = high;
    while (low < high) {
      const Long middle = low + (high - low) / 2;
      if (contexts.tokens[middle] < static_cast<std::uint32_t>(token))
        low = middle + 1;
      else
        high = middle;
    }
    return low < end && contexts.tokens[low] == static_cast<std::uint32_t>(token) ? low : -1;
  }

  static void add_shares(const pantoum_contexts_args& contexts, Long node, float remains, float* p) {
    if (node < 0) return;
    for (Long i = contexts.starts[node]; i < contexts.starts[node + 1]; ++i)
      p[contexts.tokens[i]] += contexts.shares[i] * remains;
  }

  const pantoum_counts_args& a_;
  const Long V_;
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
