#include "system.h"

#include <pthread.h>
#include <sched.h>

#include <cstdlib>
#include <new>
#include <thread>

namespace pantoum {
namespace {

struct Start {
  void (*work)(void*);
  void* context;
};

void* run(void* given) {
  const Start start = *static_cast<Start*>(given);
  delete static_cast<Start*>(given);
  start.work(start.context);
  return nullptr;
}

}  // namespace

void* allocate_lines(std::size_t bytes) { return std::aligned_alloc(64, bytes); }
void free_lines(void* memory) { std::free(memory); }

int processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

bool start_thread(void (*work)(void*), void* context) {
  Start* start = new (std::nothrow) Start{work, context};
  pthread_t thread;
  if (!start || pthread_create(&thread, nullptr, run, start) != 0) {
    delete start;
    return false;
  }
  pthread_detach(thread);
  return true;
}

void after_fork(void (*forget)()) { pthread_atfork(nullptr, nullptr, forget); }

}  // namespace pantoum
