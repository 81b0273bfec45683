// Rows of logits mixed with counted n-grams; a thread takes whole rows, so bits depend on the row alone.
#include "counts.h"

#include "../scratch.h"
#include "../threads.h"
#include "kernels.h"

namespace pantoum {
namespace PANTOUM_ISA {

int mix_counts(const pantoum_mix_counts_args& a) {
  if (a.counts->kept < 1 || a.counts->kept > kMostKept) return PANTOUM_BAD_ARGUMENT;
  const Counted counts(*a.counts, a.vocabulary);
  return run_each(static_cast<int>(a.count), [&](int row) -> int {
    char* scratch = thread_scratch(static_cast<std::size_t>(Counted::scratch(a.vocabulary)) * sizeof(float));
    if (!scratch) return PANTOUM_OUT_OF_MEMORY;
    counts.mix(a.nodes + row, a.count, a.weights[row], a.logits + row * a.vocabulary,
               reinterpret_cast<float*>(scratch));
    return PANTOUM_OK;
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
