#include "scratch.h"

#include "system.h"

namespace pantoum {
namespace {

struct Buffer {
  char* data = nullptr;
  std::size_t size = 0;
};
thread_local Buffer buffer;  // its memory goes when the thread ends

}  // namespace

char* thread_scratch(std::size_t bytes) {
  if (buffer.size < bytes || !buffer.data) {
    free_lines(buffer.data);
    const std::size_t size = (bytes + bytes / 4 + 4096) / 4096 * 4096;
    void* fresh = allocate_lines(size);
    const bool kept = free_at_end(fresh);
    buffer.data = kept ? static_cast<char*>(fresh) : nullptr;
    buffer.size = buffer.data ? size : 0;
  }
  return buffer.data;
}

}  // namespace pantoum
