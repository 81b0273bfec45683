// The update of weights: the gradients' norm, AdamW and the moving average, a block at a time.
#include "kernels.h"

#include "../scratch.h"
#include "each_row.h"
#include "reduce.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kBlock = 1 << 14;

// Calls body(first, count) for each block of `size` elements, over threads.
template <class Body>
int each_block(Long size, Body&& body) {
  return run_each(static_cast<int>(up(size, kBlock)), [&](int block) {
    const Long first = block * kBlock;
    body(first, least(kBlock, size - first));
    return PANTOUM_OK;
  });
}

}  // namespace

// Blocks are summed in float by lanes, then in double in order: threads change nothing.
int sum_of_squares(const pantoum_sum_of_squares_args& a) {
  Long most = 0;
  for (Long i = 0; i < a.count; ++i) most = a.sizes[i] > most ? a.sizes[i] : most;
  double* sums = reinterpret_cast<double*>(thread_scratch(static_cast<std::size_t>(up(most, kBlock)) * sizeof(double)));
  if (!sums && most > 0) return PANTOUM_OUT_OF_MEMORY;
  double total = 0.0;
  for (Long i = 0; i < a.count; ++i) {
    const float* x = a.arrays[i];
    const int status = each_block(a.sizes[i], [&](Long first, Long count) {
      F16 sum = zero();
      each_lanes(first, first + count, [&](Long at, auto n) {
        const F16 v = load(x + at, n);
        sum = fma(v, v, sum);
      });
      sums[first / kBlock] = static_cast<double>(sum_lanes(sum));
    });
    if (status != PANTOUM_OK) return status;
    for (Long block = 0; block < up(a.sizes[i], kBlock); ++block) total += sums[block];
  }
  *a.total = total;
  return PANTOUM_OK;
}

namespace {

// The update of a vector of numbers.
class AdamW {
 public:
  explicit AdamW(const pantoum_adamw_args& a)
      : b1_(broadcast(a.beta1)),
        b2_(broadcast(a.beta2)),
        g1_(broadcast(a.share1)),
        g2_(broadcast(a.share2)),
        root_(broadcast(a.root)),
        epsilon_(broadcast(a.epsilon)),
        rate_(broadcast(-a.rate)),
        keep_(broadcast(a.keep)) {}

  template <class N>
  void operator()(float* parameter, const float* gradient, float* first, float* second, N n) const {
    const F16 g = load(gradient, n);
    const F16 m = fma(load(first, n), b1_, g * g1_);
    const F16 v = fma(load(second, n), b2_, g * g * g2_);
    store(first, m, n);
    store(second, v, n);
    store(parameter, fma(m / fma(sqrt(v), root_, epsilon_), rate_, load(parameter, n) * keep_), n);
  }

 private:
  const F16 b1_, b2_, g1_, g2_, root_, epsilon_, rate_, keep_;
};

}  // namespace

int adamw(const pantoum_adamw_args& a) {
  const AdamW update(a);
  if (!a.rows)
    return each_block(a.used * a.columns, [&](Long first, Long count) {
      each_lanes(first, first + count,
                 [&](Long i, auto n) { update(a.parameter + i, a.gradient + i, a.first + i, a.second + i, n); });
    });
  return each_row(a.used, a.columns, kBlock, [&](Long u) {
    const Long row = a.rows[u] * a.columns;
    each_lanes(0, a.columns, [&](Long c, auto n) {
      update(a.parameter + row + c, a.gradient + u * a.columns + c, a.first + row + c, a.second + row + c, n);
    });
  });
}

int average(const pantoum_average_args& a) {
  const F16 share = broadcast(a.share);
  return each_block(a.size, [&](Long first, Long count) {
    each_lanes(first, first + count, [&](Long i, auto n) {
      const F16 old = load(a.averaged + i, n);
      store(a.averaged + i, fma(load(a.parameter + i, n) - old, share, old), n);
    });
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
