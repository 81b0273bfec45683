// Softmax, cross-entropy in nats and the most probable symbol of rows of logits.
//
// If the caller wants gradients, a product has made the logits of a chunk of rows, and `softmax` overwrites them with
// their gradient. If it wants losses alone, `losses` makes the logits itself, a tile of rows and columns at a time: for
// a vocabulary of 33,000 the logits of a chunk would be 68 MB, written and read several times. Both take a row tile by
// tile, with the largest logit so far and the sum of the exponentials (Milakov and Gimelshein 2018, "Online normalizer
// calculation for softmax"), so that they give the same bits. The largest logit of equals is the first.
#include "kernels.h"

#include "../scratch.h"
#include "../threads.h"
#include "each_row.h"
#include "exponentials.h"
#include "product.h"
#include "reduce.h"
#include "wide.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kSmallestPart = 1 << 12;  // logits that are worth waking a thread for
constexpr Long kRowsATask = 120;         // their operands and a tile of their logits stay in the second cache
constexpr Long kColumnsATile = 512;      // whole panels on every ISA, so that bits do not depend on it

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

// What is known of a row of logits, tile after tile: the largest so far, the target's, and by lanes the sum of
// exp(logit - largest).
struct Known {
  alignas(64) float sums[kLanes];
  Largest top;
  float of_target;

  // The columns from `first` on; `target` is counted from there.
  void take(const float* x, Long first, Long columns, Long target) {
    if (target >= 0 && target < columns) of_target = x[target];
    const Largest here = largest(x, columns);
    F16 sum = zero();
    if (first == 0) {
      top = here;
    } else {
      sum = load(sums);
      if (here.value > top.value) {
        sum = sum * exp(broadcast(top.value - here.value));
        top = {here.value, first + here.at};
      }
    }
    store(sums, add_exponentials(x, columns, top.value, sum));
  }
  float sum() const { return sum_lanes(load(sums)); }
  float nats() const {
    return static_cast<float>(wide_log(static_cast<double>(sum())) - static_cast<double>(of_target - top.value));
  }
  std::int32_t prediction() const { return static_cast<std::int32_t>(top.at); }
};

void row_of(const pantoum_softmax_args& a, Long row) {
  float* x = a.logits + row * a.vocabulary;
  const Long target = a.targets[row];
  Known known{};
  for (Long first = 0; first < a.vocabulary; first += kColumnsATile)
    known.take(x + first, first, least(kColumnsATile, a.vocabulary - first), target - first);
  a.nats[row] = known.nats();
  a.predictions[row] = known.prediction();
  if (a.weight == 0.0f) return;
  const F16 shift = broadcast(known.top.value), scale = broadcast(a.weight / known.sum());
  each_lanes(0, a.vocabulary, [&](Long c, auto n) { store(x + c, exp(load(x + c, n) - shift) * scale, n); });
  x[target] -= a.weight;
}

// The losses of some rows, tile after tile.
template <class P>
class Losses {
 public:
  explicit Losses(const pantoum_losses_args& a)
      : a_(a),
        panels_(static_cast<const char*>(a.panels)),
        row_(operand_row<P>(a.depth)) {}

  int run() const {
    const Long threads = thread_count();
    const Long tasks = least(up(up(a_.count, kRowsATask), threads) * threads, up(a_.count, kTileRows));
    return run_each(static_cast<int>(tasks),
                    [&](int task) { return rows_of(part_of(a_.count, task, static_cast<int>(tasks))); });
  }

 private:
  int rows_of(Range range) const {
    const Long rows = range.end - range.begin, width = least(a_.vocabulary, kColumnsATile);
    Layout layout;
    const std::size_t operands_at = layout.reserve(static_cast<std::size_t>(rows * row_));
    const std::size_t known_at = layout.reserve(static_cast<std::size_t>(rows) * sizeof(Known));
    const std::size_t logits_at = layout.reserve(static_cast<std::size_t>(rows * width) * sizeof(float));
    char* scratch = thread_scratch(layout.size());
    if (!scratch) return PANTOUM_OUT_OF_MEMORY;
    char* operands = scratch + operands_at;
    Known* known = reinterpret_cast<Known*>(scratch + known_at);
    float* logits = reinterpret_cast<float*>(scratch + logits_at);
    for (Long r = 0; r < rows; ++r) convert_row<P>(operands + r * row_, a_.x + (range.begin + r) * a_.depth, a_.depth);
    for (Long first = 0; first < a_.vocabulary; first += kColumnsATile) {
      const Long columns = least(kColumnsATile, a_.vocabulary - first);
      const Panels<P> all{panels_, a_.vocabulary, a_.depth, a_.vocabulary};
      const Panels<P> tile{all.at(first / kPanelColumns), columns, a_.depth, columns};
      product_panels<P>(tile, 0, tile.count(), operands, row_, rows, a_.bias + first, logits, columns);
      for (Long r = 0; r < rows; ++r) {
        const Long number = range.begin + r;
        float* x = logits + r * columns;
        if (a_.given) add(x, a_.given + number * a_.vocabulary + first, columns);
        known[r].take(x, first, columns, a_.targets[number] - first);
      }
    }
    for (Long r = 0; r < rows; ++r) {
      a_.nats[range.begin + r] = known[r].nats();
      a_.predictions[range.begin + r] = known[r].prediction();
    }
    return PANTOUM_OK;
  }

  static void add(float* x, const float* given, Long columns) {
    for (Long c = 0; c < columns; ++c) x[c] += given[c];
  }

  const pantoum_losses_args& a_;
  const char* const panels_;
  const Long row_;
};

template <class P>
int losses_as(const pantoum_losses_args& a) {
  return Losses<P>(a).run();
}

}  // namespace

int losses(const pantoum_losses_args& a) { PANTOUM_CHOOSE_PRECISION(losses, a); }

int softmax(const pantoum_softmax_args& a) {
  return each_row(a.count, a.vocabulary, kSmallestPart, [&](Long r) { row_of(a, r); });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
