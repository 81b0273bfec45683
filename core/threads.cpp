#include "threads.h"

#include "lock.h"
#include "matrix_unit.h"
#include "system.h"

#include <cstdint>
#include <cstdlib>
#include <new>

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
  asm volatile("isb");  // about as long as x86's pause; "yield" is no wait at all on most processors
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
      yield();
    }
  }
  return spins > kSpins;
}

// What a worker sleeps on: each has its own, so that those that have no part in a job are not woken for it.
struct Bed {
  Wake wake;
  std::atomic<bool> taken{false};
};

struct Pool {
  Lock busy;  // held by the call that has the pool
  Lock sleep;
  Bed beds[kMostThreads];
  std::atomic<std::uint64_t> round{0};  // the number of the job, then its parts: both at once
  std::atomic<int> unfinished{0};
  std::atomic<int> status{0};
  Job job = nullptr;
  void* context = nullptr;
  int workers = 0;  // started so far; worker i is part i + 1

  static constexpr int kPartsBits = 16;
  static int parts_of(std::uint64_t round) { return static_cast<int>(round & ((1u << kPartsBits) - 1)); }

  void run_part(int part, int parts) {
    FloatModes modes;
    const int result = job(context, part, parts);
    if (result != 0) {
      int none = 0;
      status.compare_exchange_strong(none, result);
    }
  }

  // The next round that this worker has a part in. It touches nothing of the others, which may end at any time.
  std::uint64_t next_round(int index, std::uint64_t seen) {
    std::uint64_t now = 0;
    const auto called = [&] {
      now = round.load();
      return now != seen && index + 1 < parts_of(now);
    };
    for (int spins = 0; spins < kSpins; ++spins) {
      if (called()) return now;
      pause_briefly();
    }
    const Holding held(sleep);
    beds[index].taken.store(true);
    while (!called()) beds[index].wake.wait(sleep);
    beds[index].taken.store(false);
    return now;
  }

  void work(int index, std::uint64_t seen) {
    for (;;) {
      seen = next_round(index, seen);
      run_part(index + 1, parts_of(seen));
      unfinished.fetch_sub(1, std::memory_order_release);
    }
  }

  // What a worker begins with: `seen` is the last round that it has no part in.
  struct Worker {
    Pool* pool;
    int index;
    std::uint64_t seen;
  };

  static void run_worker(void* given) {
    const Worker worker = *static_cast<Worker*>(given);
    std::free(given);
    worker.pool->work(worker.index, worker.seen);
  }

  void start_workers(int wanted) {
    while (workers < wanted) {
      Worker* worker = static_cast<Worker*>(std::malloc(sizeof(Worker)));
      if (worker) *worker = {this, workers, round.load()};
      if (!worker || !start_thread(run_worker, worker)) {
        std::free(worker);
        return;  // the machine gives no more threads: go on with those there are
      }
      ++workers;
    }
  }

  int run(Job work_, void* context_, int parts) {
    job = work_;
    context = context_;
    status.store(0);
    unfinished.store(parts - 1);
    const std::uint64_t number = round.load() >> kPartsBits;
    round.store((number + 1) << kPartsBits | static_cast<std::uint64_t>(parts));
    for (int index = 0; index + 1 < parts; ++index)
      if (beds[index].taken.load()) {
        const Holding held(sleep);
        beds[index].wake.one();
      }
    run_part(0, parts);
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
  if (!registered.exchange(true)) after_fork(forget_pool);
  void* memory = std::malloc(sizeof(Pool));
  if (!memory) return nullptr;
  Pool* fresh = new (memory) Pool;
  if (the_pool.compare_exchange_strong(existing, fresh)) return fresh;
  std::free(memory);
  return existing;
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
    team->start_workers(parts - 1);
    const int status = team->run(job, context, team->workers + 1 < parts ? team->workers + 1 : parts);
    team->busy.unlock();
    return status;
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
