#include "system.h"

#include "lock.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>

namespace pantoum {
namespace {

struct Start {
  void (*work)(void*);
  void* context;
};

void* run(void* given) {
  const Start start = *static_cast<Start*>(given);
  std::free(given);
  start.work(start.context);
  return nullptr;
}

pthread_once_t asked = PTHREAD_ONCE_INIT;
pthread_key_t at_end;
bool has_key = false;

}  // namespace

void* allocate_lines(std::size_t bytes) { return std::aligned_alloc(64, bytes); }
void free_lines(void* memory) { std::free(memory); }

bool free_at_end(void* memory) {
  pthread_once(&asked, [] { has_key = pthread_key_create(&at_end, std::free) == 0; });
  if (has_key && pthread_setspecific(at_end, memory) == 0) return true;
  std::free(memory);
  return false;
}

int processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

void yield() { sched_yield(); }

bool start_thread(void (*work)(void*), void* context) {
  Start* start = static_cast<Start*>(std::malloc(sizeof(Start)));
  if (!start) return false;
  *start = {work, context};
  pthread_t thread;
  if (pthread_create(&thread, nullptr, run, start) != 0) {
    std::free(start);
    return false;
  }
  pthread_detach(thread);
  return true;
}

void after_fork(void (*forget)()) { pthread_atfork(nullptr, nullptr, forget); }

void Lock::lock() { pthread_mutex_lock(&state); }
bool Lock::try_lock() { return pthread_mutex_trylock(&state) == 0; }
void Lock::unlock() { pthread_mutex_unlock(&state); }
void Wake::wait(Lock& held) { pthread_cond_wait(&state, &held.state); }
void Wake::one() { pthread_cond_signal(&state); }

}  // namespace pantoum
