// A small pool of threads, the core's own: started when first needed, spinning briefly between calls.
//
// One call at a time has the pool; another Python thread that calls meanwhile runs its work alone,
// with the same result (work is split over outputs, never over sums). After fork() a child starts a
// pool of its own. Nothing here is constructed when the library is loaded.
#pragma once

#include <atomic>
#include <cstdint>

namespace pantoum {

// One participant's part of a job: `part` of `parts`, all running at the same time (they may meet at
// a Barrier). Returns a status; the first that is not zero becomes the job's.
using Job = int (*)(void* context, int part, int parts);

// Of a call from this thread: its own number, or else that of the process.
int thread_count();
void set_thread_count(int count);
void set_own_thread_count(int count);

// Runs `job` in at most `most` participants, the caller being part 0.
int run_job(Job job, void* context, int most);

// The same for a callable `int(int part, int parts)`.
template <class Body>
int run_parts(int most, Body& body) {
  return run_job([](void* context, int part, int parts) { return (*static_cast<Body*>(context))(part, parts); }, &body,
                 most);
}

// Calls `body(int index)` for 0 .. count-1; whoever is free takes the next, so that a slow core does less.
template <class Body>
int run_each(int count, Body&& body) {
  std::atomic<int> next{0};
  auto part = [&](int, int) {
    int status = 0;
    for (int i; status == 0 && (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) status = body(i);
    return status;
  };
  return run_parts(count, part);
}

// Splits `count` into near-equal contiguous ranges.
struct Range {
  std::int64_t begin, end;
};
inline Range part_of(std::int64_t count, int part, int parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

// Where the participants of one job meet once a time step.
class Barrier {
 public:
  void wait(int parts);
  // Whether somebody waited so long that he gave his processor up: the machine has other work.
  bool crowded() const { return crowded_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> arrived_{0};
  std::atomic<int> round_{0};
  std::atomic<bool> crowded_{false};
};

// Whether work with meetings is worth sharing now. On a machine with other work, whoever waits at a meeting may wait
// for a time slice of it, which is many steps long. After such a piece of work the next ones are done alone, twice as
// many after each further one.
class Company {
 public:
  bool present() {
    const int left = alone_.load(std::memory_order_relaxed);
    if (left > 0) alone_.store(left - 1, std::memory_order_relaxed);
    return left <= 0;
  }
  // Work was shared and met at this barrier.
  void met(const Barrier& barrier) {
    const int next = next_.load(std::memory_order_relaxed);
    if (barrier.crowded()) alone_.store(next, std::memory_order_relaxed);
    next_.store(!barrier.crowded() ? kFewest : next < kMost ? 2 * next : next, std::memory_order_relaxed);
  }

 private:
  static constexpr int kFewest = 32, kMost = 1024;
  std::atomic<int> alone_{0};
  std::atomic<int> next_{kFewest};
};

// Default floating-point modes (round to nearest, no flush to zero) while it lives; then the caller's.
class FloatModes {
 public:
  FloatModes();
  ~FloatModes();
  FloatModes(const FloatModes&) = delete;
  FloatModes& operator=(const FloatModes&) = delete;

 private:
  std::uint64_t saved_;
};

}  // namespace pantoum
