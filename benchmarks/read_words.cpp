// The fastest that weights can be read: arrays summed as 32-bit words, each array shared by the
// threads, which meet before the next as they do between the layers of a step. `read_words.py` builds it.
#include "lanes.h"
#include "threads.h"

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

}  // namespace PANTOUM_ISA
}  // namespace pantoum

// The sum of all words of `count` arrays, `rounds` times over, in at most `threads` threads.
extern "C" std::uint32_t read_words(const std::uint32_t* const* arrays, const std::int64_t* words, std::int64_t count,
                                    std::int64_t rounds, int threads) {
  using namespace pantoum;
  using namespace PANTOUM_ISA;
  std::atomic<std::uint32_t> all{0};
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    std::uint32_t total = 0;
    for (Long round = 0; round < rounds; ++round)
      for (Long i = 0; i < count; ++i) {
        const Range r = part_of(words[i] / kWordsAStep, index, parts);
        const Long begin = r.begin * kWordsAStep, end = index + 1 == parts ? words[i] : r.end * kWordsAStep;
        total += sum_words(arrays[i] + begin, end - begin);
        if (parts > 1) barrier.wait(parts);
      }
    all.fetch_add(total, std::memory_order_relaxed);
    return 0;
  };
  run_parts(threads, part);
  return all.load();
}
