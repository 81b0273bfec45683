#include "scratch.h"

#include <cstdlib>

namespace pantoum {
namespace {

struct Buffer {
  char* data = nullptr;
  std::size_t size = 0;
  ~Buffer() { std::free(data); }
};

}  // namespace

char* thread_scratch(std::size_t bytes) {
  static thread_local Buffer buffer;
  if (buffer.size < bytes || !buffer.data) {
    std::free(buffer.data);
    const std::size_t size = (bytes + bytes / 4 + 4096) / 4096 * 4096;
    buffer.data = static_cast<char*>(std::aligned_alloc(64, size));
    buffer.size = buffer.data ? size : 0;
  }
  return buffer.data;
}

}  // namespace pantoum
