#include "threads.h"

#include "matrix_unit.h"

#include <pthread.h>
#include <sched.h>

#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pantoum {
namespace {

// About 100 us on the machines at hand: longer than Python needs between two calls of a training
// step, short enough that a waiting process does not waste power.
constexpr int kSpins = 4000;
constexpr int kMostThreads = 256;

inline void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins for a while, then gives the processor to whoever holds us up; says whether it came to that.
template <class Ready>
bool wait_for(Ready ready) {
  int spins = 0;
  for (; !ready(); ++spins) {
    if (spins < kSpins) {
      pause_briefly();
    } else {
      sched_yield();
    }
  }
  return spins > kSpins;
}

struct Pool {
  std::mutex busy;  // held by the call that has the pool
  std::mutex sleep;
  std::condition_variable wake;
  std::atomic<unsigned> round{0};
  std::atomic<int> sleeping{0};
  std::atomic<int> unfinished{0};
  std::atomic<int> status{0};
  Job job = nullptr;
  void* context = nullptr;
  int parts = 0;
  int workers = 0;  // started so far; worker i is part i + 1

  void run_part(int part) {
    FloatModes modes;
    const int result = job(context, part, parts);
    if (result != 0) {
      int none = 0;
      status.compare_exchange_strong(none, result);
    }
  }

  void work(int index, unsigned seen) {
    for (;;) {
      for (int spins = 0; round.load(std::memory_order_acquire) == seen && spins < kSpins; ++spins) pause_briefly();
      if (round.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(sleep);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return round.load() != seen; });
        sleeping.fetch_sub(1);
      }
      seen = round.load(std::memory_order_acquire);
      // Every worker answers every round, also one that has no part in it: `job` may then change.
      if (index + 1 < parts) run_part(index + 1);
      unfinished.fetch_sub(1, std::memory_order_release);
    }
  }

  void start_workers(int wanted) {
    while (workers < wanted) {
      try {
        std::thread(&Pool::work, this, workers, round.load()).detach();
      } catch (const std::system_error&) {
        return;  // the machine gives no more threads: go on with those there are
      }
      ++workers;
    }
  }

  int run(Job work_, void* context_, int parts_) {
    job = work_;
    context = context_;
    parts = parts_;
    status.store(0);
    unfinished.store(workers);
    round.fetch_add(1);
    if (sleeping.load() > 0) {
      std::lock_guard<std::mutex> lock(sleep);
      wake.notify_all();
    }
    run_part(0);
    wait_for([&] { return unfinished.load(std::memory_order_acquire) == 0; });
    return status.load();
  }
};

std::atomic<Pool*> the_pool{nullptr};  // never deleted: workers may sleep in it when the process ends
std::atomic<int> wanted_threads{0};
thread_local int own_threads = 0;

// The child of a fork has none of the threads, and the pool's locks in any state: forget it.
void forget_pool() { the_pool.store(nullptr); }

Pool* pool() {
  Pool* existing = the_pool.load(std::memory_order_acquire);
  if (existing) return existing;
  static std::atomic<bool> registered{false};
  if (!registered.exchange(true)) pthread_atfork(nullptr, nullptr, forget_pool);
  Pool* fresh = new (std::nothrow) Pool;
  if (fresh && !the_pool.compare_exchange_strong(existing, fresh)) {
    delete fresh;
    return existing;
  }
  return fresh;
}

int processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

int allowed(int count) { return count < 0 ? 0 : count > kMostThreads ? kMostThreads : count; }

}  // namespace

int thread_count() {
  if (own_threads > 0) return own_threads;
  int count = wanted_threads.load(std::memory_order_relaxed);
  if (count == 0) {
    count = processors();
    count = count < 1 ? 1 : count > kMostThreads ? kMostThreads : count;
    wanted_threads.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_thread_count(int count) { wanted_threads.store(allowed(count)); }
void set_own_thread_count(int count) { own_threads = allowed(count); }

int run_job(Job job, void* context, int most) {
  const int count = thread_count();
  const int parts = most < count ? most : count;
  Pool* team = parts > 1 ? pool() : nullptr;
  if (team && team->busy.try_lock()) {
    std::lock_guard<std::mutex> lock(team->busy, std::adopt_lock);
    team->start_workers(parts - 1);
    return team->run(job, context, team->workers + 1 < parts ? team->workers + 1 : parts);
  }
  return job(context, 0, 1);
}

void Barrier::wait(int parts) {
  const int round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
  } else {
    if (wait_for([&] { return round_.load(std::memory_order_acquire) != round; }))
      crowded_.store(true, std::memory_order_relaxed);
  }
}

#if defined(__x86_64__)
FloatModes::FloatModes() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
FloatModes::~FloatModes() {
  _mm_setcsr(static_cast<unsigned>(saved_));
  release_tiles();
}
#elif defined(__aarch64__)
FloatModes::FloatModes() {
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" : : "r"(0ul));
}
FloatModes::~FloatModes() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
FloatModes::FloatModes() : saved_(0) {}
FloatModes::~FloatModes() = default;
#endif

}  // namespace pantoum
