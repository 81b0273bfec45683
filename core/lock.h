// A lock, and what threads sleep on that hold it: of the system, in system_posix.cpp and system_windows.cpp.
#pragma once

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace pantoum {

struct Lock {
  void lock();
  bool try_lock();
  void unlock();
#if defined(_WIN32)
  void* state = nullptr;  // an SRWLOCK
#else
  pthread_mutex_t state = PTHREAD_MUTEX_INITIALIZER;
#endif
};

struct Wake {
  // Gives the lock up until somebody calls `one`, or for no reason, then holds it again.
  void wait(Lock& held);
  void one();
#if defined(_WIN32)
  void* state = nullptr;  // a CONDITION_VARIABLE
#else
  pthread_cond_t state = PTHREAD_COND_INITIALIZER;
#endif
};

// Holds a lock for as long as it lives.
class Holding {
 public:
  explicit Holding(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Holding() { lock_.unlock(); }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

 private:
  Lock& lock_;
};

}  // namespace pantoum
