// Every operation on odd sizes, on every path of this machine, with one to three threads, also under a caller's
// own floating-point modes. All float32 results must have the same bits; their hash is printed, and is the same on
// other architectures and at other levels of optimisation.
#include <string>

#include "reading.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using namespace tests;

std::uint64_t everything(int precision) {
  Hash hash;
  Draw draw(1);
  // Streams of one thread, of several, and (3 x 240) units that threads share and meet over.
  for (const Sizes sizes : {Sizes{0, 2, 3}, {1, 0, 5}, {1, 1, 1}, {2, 3, 7}, {4, 25, 33}, {30, 1, 17}, {3, 2, 240}})
    for (const Cell& cell : cells())
      for (bool tape : {true, false})
        for (int rows = 0; rows < 4; ++rows)
          if (sizes.units < 100 || rows % 3 == 0) scan(cell, sizes, rows & 1, rows & 2, tape, precision, draw, hash);
  for (const Sizes sizes : {Sizes{0, 2, 3}, {1, 1, 1}, {4, 25, 33}, {3, 2, 240}})
    for (const Cell& cell : cells()) scan(cell, sizes, true, true, false, PANTOUM_INT8, draw, hash);
  for (const Sizes s : {Sizes{0, 3, 2}, {1, 1, 1}, {61, 33, 7}, {600, 40, 17}, {3, 1100, 33}, {121, 65, 64}})
    for (Long gates : {1, 3}) {
      products(s.steps, s.batch, s.units, gates, precision, draw, hash);
      codes(s.steps, s.batch, s.units, gates, draw, hash);
    }
  for (const Sizes s : {Sizes{0, 3, 2}, {1, 1, 1}, {61, 33, 98}, {700, 70, 40}})
    tokens(s.steps, s.batch, s.units, draw, hash);
  for (const Sizes s : {Sizes{0, 3, 2}, {1, 1, 1}, {61, 33, 513}, {250, 70, 1100}})
    for (const int p : {precision, static_cast<int>(PANTOUM_INT8)})
      for (int turn = 0; turn < 2; ++turn) losses(s.steps, s.batch, s.units, p, draw, hash);
  for (const Sizes s : {Sizes{0, 3, 2}, {1, 1, 1}, {61, 16, 7}, {700, 64, 98}})
    for (const Long each : {1, 3}) {
      used_rows(s.steps, each, s.batch, s.units, draw, hash);
      coded_rows(s.steps, each, s.batch, s.units, draw, hash);
    }
  for (const Sizes s : {Sizes{0, 1, 3}, {1, 1, 1}, {5, 3, 33}, {9, 20, 130}})
    between(s.steps, s.batch, s.units, draw, hash);
  for (const Long size : {0, 1, 33, 40001}) update(size, draw, hash);
  for (const Sizes s : {Sizes{1, 1, 1}, {33, 7, 3}, {61, 130, 1}, {700, 33, 2}})
    packed_anew(s.steps, s.batch, s.units, precision, draw);
  for (const Sizes s : {Sizes{0, 3, 0}, {1, 1, 0}, {61, 33, 0}, {700, 70, 0}}) adapting(s.steps, s.batch, draw, hash);
  for (const Sizes s : {Sizes{0, 3, 0}, {1, 1, 0}, {61, 33, 0}, {40, 90, 0}, {64, 64, 0}})
    orthogonal(s.steps, s.batch, precision, draw, hash);
  for (const Cell& cell : cells())
    for (const Sizes s : {Sizes{0, 7, 5}, {1, 1, 1}, {3, 33, 98}, {2, 300, 40}, {90, 17, 20}}) {
      reading(cell, s.steps, s.batch, s.units, precision, draw, hash);
      drawing(s.steps, s.units, draw, hash);
    }
  for (const Sizes s : {Sizes{0, 1, 3}, {1, 1, 1}, {3, 1, 70}, {2, 1, 1100}}) mixing(s.steps, s.units, draw, hash);
  for (const Sizes s : {Sizes{0, 1, 2}, {70, 1, 2}, {90, 1, 70}}) reading_contexts(s.steps, s.units, draw, hash);
  for (const Long rows : {1, 2, 5}) drawing(rows, 4100, draw, hash);
  for (const Sizes s : {Sizes{0, 1, 3}, {1, 1, 1}, {70, 1, 98}, {3, 1, 5000}}) counting(s.steps, s.units, draw, hash);
  return hash.value;
}

#if defined(__x86_64__)
// A caller that flushes to zero and rounds downward, as other libraries leave a process: it gets the same bits, and
// its modes back.
void under_a_callers_modes() {
  Draw draw(2, true);
  Floats x(200 * 70, draw, 1.0f), weight(40 * 70, draw, 1.0f), y(200 * 40), again(200 * 40);
  Packed panels(weight.read(), 40, 70, 40, PANTOUM_FLOAT32, 0);
  pantoum_product_args product{x.read(), panels.read(), nullptr, y.data(), 200, 70, 40, 40, PANTOUM_FLOAT32};
  must(pantoum_product(&product), "product");
  product.y = again.data();
  const unsigned before = _mm_getcsr(), theirs = 0x1f80u | 0x8040u | 0x2000u;
  _mm_setcsr(theirs);
  const int status = pantoum_product(&product);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  must(status, "product");
  if ((after & 0xffc0u) != theirs) fail("floating-point modes", "the caller's were not given back");
  Hash one, other;
  y.add_to(one);
  again.add_to(other);
  if (one.value != other.value) fail("floating-point modes", "the caller's changed a result");
}
#else
void under_a_callers_modes() {}
#endif

}  // namespace

int main() {
  std::uint64_t expected = 0;
  bool same = true;
  std::string paths;
  for (const char* path : kPaths) {
    if (pantoum_set_isa(path) != PANTOUM_OK) continue;
    paths += std::string(" ") + path;
    for (int threads = 1; threads <= 3; ++threads) {
      must(pantoum_set_threads(threads), "set_threads");
      const std::uint64_t found = everything(PANTOUM_FLOAT32);
      if (expected == 0) expected = found;
      same = same && found == expected;
      if (found != expected)
        std::printf("%s, %d threads: %016llx\n", path, threads, static_cast<unsigned long long>(found));
    }
    under_a_callers_modes();
    if (has_bf16()) everything(PANTOUM_BF16);
  }
  std::printf("%016llx%s\n", static_cast<unsigned long long>(expected), paths.c_str());
  return same ? 0 : 1;
}
