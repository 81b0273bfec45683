#include "system.h"

#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <process.h>
#include <windows.h>

#include <new>
#include <thread>

namespace pantoum {
namespace {

struct Start {
  void (*work)(void*);
  void* context;
};

unsigned __stdcall run(void* given) {
  const Start start = *static_cast<Start*>(given);
  delete static_cast<Start*>(given);
  start.work(start.context);
  return 0;
}

}  // namespace

void* allocate_lines(std::size_t bytes) { return _aligned_malloc(bytes, 64); }
void free_lines(void* memory) { _aligned_free(memory); }

int processors() {
  DWORD_PTR ours = 0, all = 0;
  if (GetProcessAffinityMask(GetCurrentProcess(), &ours, &all) && ours != 0) {
    return __builtin_popcountll(static_cast<unsigned long long>(ours));
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

bool start_thread(void (*work)(void*), void* context) {
  Start* start = new (std::nothrow) Start{work, context};
  const auto thread = start ? _beginthreadex(nullptr, 0, run, start, 0, nullptr) : 0;
  if (thread == 0) {
    delete start;
    return false;
  }
  CloseHandle(reinterpret_cast<HANDLE>(thread));
  return true;
}

void after_fork(void (*)()) {}

}  // namespace pantoum
