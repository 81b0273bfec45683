// The fastest that weights can be read: arrays summed as 32-bit words, each array shared by the
// threads, which meet before the next as they do between the layers of a step.
#include "kernels.h"

#include "../threads.h"
#include "quantize.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kWordsAStep = 8 * kLanes;

std::uint32_t sum_words(const std::uint32_t* p, Long count) {
  I16 sum[8];
  for (I16& s : sum) s = broadcast(0u);
  Long i = 0;
  for (; i + kWordsAStep <= count; i += kWordsAStep)
    for (int j = 0; j < 8; ++j) sum[j] = sum[j] + load(p + i + j * kLanes);
  alignas(64) std::uint32_t lane[kLanes];
  std::uint32_t total = 0;
  for (const I16& s : sum) {
    store(lane, s);
    for (std::uint32_t v : lane) total += v;
  }
  for (; i < count; ++i) total += p[i];
  return total;
}

}  // namespace

int read_words(const pantoum_read_words_args& a) {
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    std::uint32_t total = 0;
    for (Long round = 0; round < a.rounds; ++round)
      for (Long i = 0; i < a.count; ++i) {
        const Range r = part_of(a.words[i] / kWordsAStep, index, parts);
        const Long begin = r.begin * kWordsAStep, end = index + 1 == parts ? a.words[i] : r.end * kWordsAStep;
        total += sum_words(a.arrays[i] + begin, end - begin);
        if (parts > 1) barrier.wait(parts);
      }
    __atomic_fetch_add(a.total, total, __ATOMIC_RELAXED);
    return PANTOUM_OK;
  };
  return run_parts(thread_count(), part);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
