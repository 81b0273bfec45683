// What each operating system does in its own way: system_posix.cpp and system_windows.cpp have it, by calls of C. The
// core needs no library of C++: none has to be brought along, and none can be there twice.
#pragma once

#include <cstddef>

namespace pantoum {

// Memory that begins at a cache line, of a multiple of 64 bytes; null when there is none.
void* allocate_lines(std::size_t bytes);
void free_lines(void* memory);

// From now on this memory, of `allocate_lines` and instead of what was given before, is freed when the calling thread
// ends. False: the system cannot, and it is freed now.
bool free_at_end(void* memory);

// How many processors this process may use.
int processors();

// Lets another thread have this one's processor.
void yield();

// Starts a thread that runs `work(context)` and is never waited for. False: the machine gives no more threads.
bool start_thread(void (*work)(void* context), void* context);

// From now on the child of a fork begins with `forget()`. Where no process can fork, nothing.
void after_fork(void (*forget)());

}  // namespace pantoum
