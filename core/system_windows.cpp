#include "system.h"

#include "lock.h"

#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <process.h>
#include <windows.h>

#include <atomic>
#include <cstdlib>

namespace pantoum {
namespace {

struct Start {
  void (*work)(void*);
  void* context;
};

unsigned __stdcall run(void* given) {
  const Start start = *static_cast<Start*>(given);
  std::free(given);
  start.work(start.context);
  return 0;
}

std::atomic<DWORD> at_end{FLS_OUT_OF_INDEXES};

void WINAPI free_mine(void* memory) { _aligned_free(memory); }

SRWLOCK* of(Lock& lock) { return reinterpret_cast<SRWLOCK*>(&lock.state); }
CONDITION_VARIABLE* of(Wake& wake) { return reinterpret_cast<CONDITION_VARIABLE*>(&wake.state); }

}  // namespace

void* allocate_lines(std::size_t bytes) { return _aligned_malloc(bytes, 64); }
void free_lines(void* memory) { _aligned_free(memory); }

bool free_at_end(void* memory) {
  DWORD slot = at_end.load();
  if (slot == FLS_OUT_OF_INDEXES) {
    const DWORD fresh = FlsAlloc(free_mine);
    if (at_end.compare_exchange_strong(slot, fresh)) {
      slot = fresh;
    } else if (fresh != FLS_OUT_OF_INDEXES) {
      FlsFree(fresh);
    }
  }
  if (slot != FLS_OUT_OF_INDEXES && FlsSetValue(slot, memory)) return true;
  _aligned_free(memory);
  return false;
}

int processors() {
  DWORD_PTR ours = 0, all = 0;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &ours, &all)) return 1;
  return __builtin_popcountll(static_cast<unsigned long long>(ours));
}

void yield() { SwitchToThread(); }

bool start_thread(void (*work)(void*), void* context) {
  Start* start = static_cast<Start*>(std::malloc(sizeof(Start)));
  if (!start) return false;
  *start = {work, context};
  const auto thread = _beginthreadex(nullptr, 0, run, start, 0, nullptr);
  if (thread == 0) {
    std::free(start);
    return false;
  }
  CloseHandle(reinterpret_cast<HANDLE>(thread));
  return true;
}

void after_fork(void (*)()) {}

void Lock::lock() { AcquireSRWLockExclusive(of(*this)); }
bool Lock::try_lock() { return TryAcquireSRWLockExclusive(of(*this)) != 0; }
void Lock::unlock() { ReleaseSRWLockExclusive(of(*this)); }
void Wake::wait(Lock& held) { SleepConditionVariableSRW(of(*this), of(held), INFINITE, 0); }
void Wake::one() { WakeConditionVariable(of(*this)); }

}  // namespace pantoum
