// Softmax, cross-entropy in nats and the most probable symbol of rows of logits, in place.
//
// The logits of a chunk of rows are made by a product, and become here, where the caller wants
// gradients, what the loss gives back to them. The largest logit of equals is the first.
#include "kernels.h"

#include "../threads.h"
#include "activation.h"
#include "panels.h"
#include "reduce.h"
#include "wide.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kSmallestPart = 1 << 12;  // logits that are worth waking a thread for

struct Largest {
  float value;
  Long at;
};

Largest largest(const float* x, Long width) {
  alignas(64) std::uint32_t index[kLanes];
  for (int i = 0; i < kLanes; ++i) index[i] = static_cast<std::uint32_t>(i);
  const I16 lane = load(index);
  const F16 least_of_all = broadcast(-__builtin_inff());
  F16 best = least_of_all;
  I16 where = lane;
  for (Long c = 0; c < width; c += kLanes) {
    const int n = static_cast<int>(least(kLanes, width - c));
    const F16 v = n == kLanes
                      ? load(x + c)
                      : select(less(lane, broadcast(static_cast<std::uint32_t>(n))), load(x + c, n), least_of_all);
    const M16 better = less(best, v);
    best = select(better, v, best);
    where = select(better, lane + broadcast(static_cast<std::uint32_t>(c)), where);
  }
  alignas(64) float value[kLanes];
  store(value, best);
  store(index, where);
  int at = 0;
  for (int i = 1; i < kLanes; ++i)
    if (value[i] > value[at] || (value[i] == value[at] && index[i] < index[at])) at = i;
  return {value[at], static_cast<Long>(index[at])};
}

// x becomes exp(x - top); returns the sum.
float exponentials(float* x, Long width, float top) {
  F16 sum = zero();
  const F16 shift = broadcast(top);
  for (Long c = 0; c < width; c += kLanes) {
    const int n = static_cast<int>(least(kLanes, width - c));
    store(x + c, exp(load(x + c, n) - shift), n);
    sum = sum + load(x + c, n);
  }
  return sum_lanes(sum);
}

void row_of(const pantoum_softmax_args& a, Long row) {
  float* x = a.logits + row * a.vocabulary;
  const Long target = a.targets[row];
  const Largest top = largest(x, a.vocabulary);
  const float of_target = x[target] - top.value;
  const float sum = exponentials(x, a.vocabulary, top.value);
  a.nats[row] = static_cast<float>(wide_log(static_cast<double>(sum)) - static_cast<double>(of_target));
  a.predictions[row] = static_cast<std::int32_t>(top.at);
  if (a.weight == 0.0f) return;
  const F16 scale = broadcast(a.weight / sum);
  for (Long c = 0; c < a.vocabulary; c += kLanes) {
    const int n = static_cast<int>(least(kLanes, a.vocabulary - c));
    store(x + c, load(x + c, n) * scale, n);
  }
  x[target] -= a.weight;
}

}  // namespace

int softmax(const pantoum_softmax_args& a) {
  auto part = [&](int index, int parts) -> int {
    const Range rows = part_of(a.count, index, parts);
    for (Long r = rows.begin; r < rows.end; ++r) row_of(a, r);
    return PANTOUM_OK;
  };
  return run_parts(static_cast<int>(least(64, up(a.count * a.vocabulary, kSmallestPart))), part);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
