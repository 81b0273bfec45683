#include "scratch.h"

#include "system.h"

namespace pantoum {
namespace {

struct Buffer {
  char* data = nullptr;
  std::size_t size = 0;
  ~Buffer() { free_lines(data); }
};

}  // namespace

char* thread_scratch(std::size_t bytes) {
  static thread_local Buffer buffer;
  if (buffer.size < bytes || !buffer.data) {
    free_lines(buffer.data);
    const std::size_t size = (bytes + bytes / 4 + 4096) / 4096 * 4096;
    buffer.data = static_cast<char*>(allocate_lines(size));
    buffer.size = buffer.data ? size : 0;
  }
  return buffer.data;
}

}  // namespace pantoum
