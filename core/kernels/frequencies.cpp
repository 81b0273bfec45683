// Rows of logits as the frequencies of an entropy coder. Encoder and decoder must have the same ones, so from the
// exponentials on all is a product, a truncation and sums of whole numbers; a row depends on nothing but itself.
#include "each_row.h"
#include "exponentials.h"
#include "kernels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kSmallestPart = 1 << 12;  // logits that are worth waking a thread for

int row_of(float* x, Long V, Long total) {
  const double sum = exponentials(x, V);
  if (!(sum - sum == 0.0)) return PANTOUM_NOT_FINITE;
  const float scale = static_cast<float>(static_cast<double>(total) / sum);
  std::int32_t held = 0, highest = 0;  // `held` is nearly `total`; whole numbers are added and compared in lanes
  for (Long c = 0; c < V; ++c) {
    const std::int32_t frequency = static_cast<std::int32_t>(x[c] * scale);
    x[c] = static_cast<float>(frequency);
    held += frequency;
    highest = frequency > highest ? frequency : highest;
  }
  const float most = static_cast<float>(highest);
  Long at = 0;
  while (x[at] != most) ++at;
  Long left = total - held;
  if (left >= 0) x[at] += static_cast<float>(left);
  for (; left < 0; at = at + 1 < V ? at + 1 : 0) {  // the sum was a little too small
    const Long taken = least(static_cast<Long>(x[at]), -left);
    x[at] -= static_cast<float>(taken);
    left += taken;
  }
  return PANTOUM_OK;
}

}  // namespace

int frequencies(const pantoum_frequencies_args& a) {
  if (a.vocabulary < 1 || a.total < 1 || a.total > 1 << 24) return PANTOUM_BAD_ARGUMENT;
  const Long rows = a.vocabulary < kSmallestPart ? kSmallestPart / a.vocabulary : 1;
  return run_each(static_cast<int>(up(a.count, rows)), [&](int task) {
    const Long first = task * rows;
    int status = PANTOUM_OK;
    for (Long r = first; r < least(first + rows, a.count) && status == PANTOUM_OK; ++r)
      status = row_of(a.logits + r * a.vocabulary, a.vocabulary, a.total);
    return status;
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
