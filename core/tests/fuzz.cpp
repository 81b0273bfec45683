// Drawn calls of the whole ABI with valid buffers and hostile contents: NaN, infinities, denormal numbers, no rows,
// no steps, one unit, lengths of nothing, resets everywhere. Each is run plainly (generic, one thread) and on a drawn
// path with drawn threads: every status is the right one, no canary is touched, and float32 results are the same.
//
//   fuzz SECONDS [SEED]: goes on from SEED until the time is over; a failure names the seed that repeats it.
#include <chrono>
#include <csignal>
#include <unistd.h>

#include "reading.h"

namespace {

using namespace tests;

// Written before each call, so that a signal has only to print it.
char failed[64];
std::size_t failed_length = 0;

void say_seed(int signal) {
  const ssize_t written = write(1, failed, failed_length);
  static_cast<void>(written);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

Long size(Draw& draw, Long most) {
  if (draw.once_in(6)) return 0;
  return draw.once_in(4) ? draw.within(1, most) : draw.within(1, 9);
}
Long width(Draw& draw, Long most) {
  return draw.once_in(5) ? 1 : draw.once_in(3) ? draw.within(1, most) : draw.within(1, 40);
}

std::uint64_t one_call(std::uint64_t seed, int precision) {
  Draw draw(seed, seed % 4 != 0);
  Hash hash;
  const Long T = size(draw, 12), B = size(draw, 40), H = width(draw, 130);
  const bool resets = draw.once_in(2), lengths = draw.once_in(2), tape = !draw.once_in(3);
  const Cell& cell = cells()[static_cast<std::size_t>(draw.within(0, static_cast<Long>(cells().size()) - 1))];
  switch (draw.within(0, 25)) {
    case 0: products(T * B, width(draw, 300), H, draw.within(1, 4), precision, draw, hash); break;
    case 1: tokens(T * B, width(draw, 90), width(draw, 300), draw, hash); break;
    case 2: between(T, B, H, draw, hash); break;
    case 3: update(size(draw, 40000), draw, hash); break;
    case 18: packed_anew(width(draw, 90), width(draw, 300), draw.within(1, 4), precision, draw); break;
    case 4: adapting(size(draw, 40), H, draw, hash); break;
    case 5: codes(T * B, width(draw, 300), H, draw.within(1, 4), draw, hash); break;
    case 6: scan(cell, {T, B, H}, resets, lengths, false, PANTOUM_INT8, draw, hash); break;
    case 7: orthogonal(size(draw, 100), H, precision, draw, hash); break;
    case 8:
    case 9: reading(cell, size(draw, 90), H, width(draw, 90), precision, draw, hash); break;
    case 10: drawing(size(draw, 40), width(draw, 300), draw, hash); break;
    case 16: drawing(draw.within(1, 4), draw.within(4000, 6000), draw, hash); break;
    case 17: mixing(size(draw, 40), width(draw, 1500), draw, hash); break;
    case 20: reading_contexts(size(draw, 60), draw.within(2, 90), draw, hash); break;
    case 19: counting(size(draw, 40), width(draw, 1500), draw, hash); break;
    case 13: coded_rows(T * B, draw.within(1, 4), width(draw, 90), width(draw, 300), draw, hash); break;
    case 14: losses(T * B, width(draw, 90), width(draw, 1500), precision, draw, hash); break;
    case 15: losses(T * B, width(draw, 90), width(draw, 1500), PANTOUM_INT8, draw, hash); break;
    case 12: used_rows(T * B, draw.within(1, 4), width(draw, 90), width(draw, 300), draw, hash); break;
    default: scan(cell, {T, B, H}, resets, lengths, tape, precision, draw, hash);
  }
  return hash.value;
}

// What is no argument of any path is refused, and nothing is touched.
void refused(std::uint64_t seed) {
  Draw draw(seed);
  const int precision = static_cast<int>(draw.once_in(2) ? 1 : draw.within(3, 99));
  if (precision == PANTOUM_BF16 && has_bf16()) return;
  const int expected = precision == PANTOUM_BF16 ? PANTOUM_UNSUPPORTED : PANTOUM_BAD_ARGUMENT;
  float x = 1.0f;
  const pantoum_pack_args pack{&x, nullptr, 1, 1, 1, precision, 0, nullptr, 0};
  const pantoum_product_args product{&x, nullptr, nullptr, nullptr, 1, 1, 1, 1, precision};
  const pantoum_weight_gradient_args gradient{&x, &x, nullptr, 1, 1, 1, precision, 0};
  pantoum_scan_args scanned{};
  pantoum_scan_vjp_args back{};
  scanned.precision = back.precision = precision;
  bool right = pantoum_pack(&pack) == expected && pantoum_product(&product) == expected &&
               pantoum_weight_gradient(&gradient) == expected;
  for (const Cell& cell : cells()) {
    scanned.kind = back.kind = cell.kind;
    right = right && pantoum_scan(&scanned) == expected && pantoum_scan_vjp(&back) == expected;
  }
  scanned.kind = back.kind = static_cast<int>(cells().size());
  scanned.precision = back.precision = PANTOUM_FLOAT32;
  right = right && pantoum_scan(&scanned) == PANTOUM_BAD_ARGUMENT && pantoum_scan_vjp(&back) == PANTOUM_BAD_ARGUMENT;
  right = right && pantoum_set_isa("no such path") == PANTOUM_UNSUPPORTED && !pantoum_supports("");
  if (!right) fail("a precision or a cell that is not there", "was not refused");
}

}  // namespace

int main(int count, char** arguments) {
  const double seconds = count > 1 ? std::atof(arguments[1]) : 10.0;
  std::uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  std::signal(SIGABRT, say_seed);
  std::signal(SIGFPE, say_seed);
  std::signal(SIGILL, say_seed);
  const auto began = std::chrono::steady_clock::now();
  const std::uint64_t first = seed;
  for (; std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() < seconds; ++seed) {
    failed_length = static_cast<std::size_t>(
        std::snprintf(failed, sizeof failed, "FAILED with seed %llu\n", static_cast<unsigned long long>(seed)));
    Draw draw(seed ^ 0x9e3779b97f4a7c15ull);
    const char* path = kPaths[draw.within(0, kPathCount - 1)];
    if (pantoum_set_isa(path) != PANTOUM_OK) continue;
    pantoum_set_threads(static_cast<int>(draw.within(1, 3)));
    refused(seed);
    if (has_bf16() && draw.once_in(2)) {
      one_call(seed, PANTOUM_BF16);
      continue;
    }
    const std::uint64_t found = one_call(seed, PANTOUM_FLOAT32);
    must(pantoum_set_isa("generic"), "set_isa");
    pantoum_set_threads(1);
    if (found != one_call(seed, PANTOUM_FLOAT32)) {
      std::printf("on %s ", path);
      fail("a result", "is not that of generic with one thread");
    }
  }
  std::printf("%llu drawn calls, seeds %llu to %llu\n", static_cast<unsigned long long>(seed - first),
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(seed - 1));
  return 0;
}
