// Memory that a thread's kernels work in: kept by the thread, grown when a call needs more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pantoum {

// The calling thread's buffer of at least `bytes`, 64-byte aligned and of undefined content; null when
// there is no more memory. Valid until the thread's next call of this function.
char* thread_scratch(std::size_t bytes);

// Parts of one buffer: first reserve all of them, then get the memory, then take their addresses.
class Layout {
 public:
  std::size_t reserve(std::size_t bytes) {
    const std::size_t at = size_;
    size_ += (bytes + 63) / 64 * 64;
    return at;
  }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

}  // namespace pantoum
