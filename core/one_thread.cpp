// In place of threads.cpp and of the file of a system where there are neither threads nor floating-point modes:
// WebAssembly.
#include "system.h"
#include "threads.h"

#include <cstdlib>

namespace pantoum {

void* allocate_lines(std::size_t bytes) { return std::aligned_alloc(64, bytes); }
void free_lines(void* memory) { std::free(memory); }
bool free_at_end(void*) { return true; }  // the one thread never ends

int thread_count() { return 1; }
void set_thread_count(int) {}
void set_own_thread_count(int) {}
int run_job(Job job, void* context, int) { return job(context, 0, 1); }
void Barrier::wait(int) {}
FloatModes::FloatModes() : saved_(0) {}
FloatModes::~FloatModes() { static_cast<void>(saved_); }

}  // namespace pantoum
