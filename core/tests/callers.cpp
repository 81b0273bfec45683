// Several threads call the core at once, as Python threads do while ctypes has let go of the interpreter's lock:
// each gets the bits that it gets alone, whoever has the pool and whose calls use one thread. For ThreadSanitizer, and
// without it for the results.
#include <atomic>
#include <thread>
#include <vector>

#include "reading.h"

namespace {

using namespace tests;

std::uint64_t some(int caller) {
  Hash hash;
  Draw draw(static_cast<std::uint64_t>(caller));
  const Cell& cell = cells()[static_cast<std::size_t>(caller) % cells().size()];
  scan(cell, {3, 33, 17}, true, true, true, PANTOUM_FLOAT32, draw, hash);
  scan(cell, {2, 2, 200}, true, false, true, PANTOUM_FLOAT32, draw, hash);
  products(130, 40, 33, 2, PANTOUM_FLOAT32, draw, hash);
  codes(130, 40, 33, 2, draw, hash);
  tokens(300, 33, 70, draw, hash);
  losses(300, 33, 700, PANTOUM_FLOAT32, draw, hash);
  used_rows(300, 3, 40, 33, draw, hash);
  coded_rows(300, 3, 40, 33, draw, hash);
  mixing(20, 70, draw, hash);
  reading_contexts(30, 70, draw, hash);
  counting(90, 300, draw, hash);
  between(4, 30, 70, draw, hash);
  update(40001, draw, hash);
  adapting(70, 600, draw, hash);
  packed_anew(300, 70, 2, PANTOUM_FLOAT32, draw);
  orthogonal(70, 60, PANTOUM_FLOAT32, draw, hash);
  reading(cell, 40, 33, 70, PANTOUM_FLOAT32, draw, hash);
  reading(cell, 3, 300, 70, PANTOUM_FLOAT32, draw, hash);
  drawing(40, 300, draw, hash);
  drawing(1, 5000, draw, hash);
  return hash.value;
}

}  // namespace

int main() {
  constexpr int kCallers = 5, kRounds = 3;
  must(pantoum_set_threads(1), "set_threads");
  std::uint64_t alone[kCallers];
  for (int caller = 0; caller < kCallers; ++caller) alone[caller] = some(caller);
  std::atomic<int> wrong{0};
  for (int threads = 2; threads <= 3; ++threads) {
    must(pantoum_set_threads(threads), "set_threads");
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller)
      callers.emplace_back([&, caller] {
        const int own = caller % 2;  // 0: that of the process
        must(pantoum_set_own_threads(own), "set_own_threads");
        if (pantoum_threads() != (own ? own : threads)) fail("callers", "a thread's own number does not count");
        for (int round = 0; round < kRounds; ++round) wrong += some(caller) != alone[caller];
      });
    for (std::thread& caller : callers) caller.join();
  }
  if (wrong > 0) fail("callers", "a result is not the one that a call alone gives");
  std::printf("%d callers at once on %s\n", kCallers, pantoum_isa());
  return 0;
}
