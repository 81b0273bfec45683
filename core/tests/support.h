// What the core's own tests share: numbers that are the same everywhere, buffers of exactly the size
// that the header states between two canaries, and a hash of results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

#include "../pantoum_core.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

namespace tests {

using Long = std::int64_t;
constexpr std::align_val_t kLine{64};

[[noreturn]] inline void fail(const char* what, const char* why) {
  std::printf("%s: %s\n", what, why);
  std::fflush(stdout);
  std::abort();
}

inline void must(int status, const char* what) {
  if (status != PANTOUM_OK) fail(what, pantoum_message(status));
}

// FNV-1a. All NaNs count as one: the processor decides which of two NaNs a sum returns.
class Hash {
 public:
  std::uint64_t value = 1469598103934665603ull;
  void add(const void* data, std::size_t size) {
    const unsigned char* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) value = (value ^ bytes[i]) * 1099511628211ull;
  }
  void add(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u;
    add(&bits, sizeof bits);
  }
  template <class T>
  void add(T x) {
    add(&x, sizeof x);
  }
};

// Draws that are the same on every machine: one to a statement or between commas of a declaration or of braces, since
// compilers differ in the order of operands and arguments. `hostile` mixes in what a float can also be.
class Draw {
 public:
  explicit Draw(std::uint64_t seed, bool hostile = false) : state_(seed * 2 + 1), hostile_(hostile) {}
  std::uint32_t word() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    const std::uint32_t mixed = static_cast<std::uint32_t>(((state_ >> 18) ^ state_) >> 27);
    const std::uint32_t turn = static_cast<std::uint32_t>(state_ >> 59);
    return mixed >> turn | mixed << (-turn & 31u);
  }
  std::uint64_t two_words() {
    const std::uint64_t first = word();
    return first << 32 | word();
  }
  Long within(Long least, Long most) { return least + word() % static_cast<std::uint32_t>(most - least + 1); }
  bool once_in(int times) { return word() % static_cast<std::uint32_t>(times) == 0; }
  // Between -scale and scale, but for a hostile one in sixteen.
  float number(float scale) {
    static const float kOdd[] = {__builtin_nanf(""),
                                 __builtin_inff(),
                                 -__builtin_inff(),
                                 3e38f,
                                 -3e38f,
                                 1e-40f,
                                 -1e-45f,
                                 0x1p-126f,
                                 -0.0f,
                                 88.1f,
                                 -87.4f,
                                 1e30f};
    if (hostile_ && once_in(16)) return kOdd[word() % (sizeof kOdd / sizeof *kOdd)];
    return scale * (static_cast<float>(word() >> 8) * 0x1p-23f - 1.0f);
  }
  bool hostile() const { return hostile_; }

 private:
  std::uint64_t state_;
  const bool hostile_;
};

// `size` values between canaries, aligned as the values need and not more (or, `lines`, at a cache line). New ones
// are all bits set: every float and bf16 a NaN, so that nothing unwritten is read unseen. Under AddressSanitizer the
// canaries are poisoned as well; they also catch what it does not see, such as masked stores.
template <class T>
class Buffer {
 public:
  explicit Buffer(Long size, bool lines = false) : size_(static_cast<std::size_t>(size)) {
    const std::size_t offset = kGuard + (lines ? 0 : sizeof(T));
    whole_ = (offset + bytes() + kGuard + 63) / 64 * 64;
    block_ = static_cast<unsigned char*>(::operator new(whole_, kLine, std::nothrow));
    if (!block_) fail("a test", "no memory");
    data_ = reinterpret_cast<T*>(block_ + offset);
    std::memset(block_, kCanary, whole_);
    std::memset(static_cast<void*>(data_), 0xff, bytes());
    ASAN_POISON_MEMORY_REGION(block_, offset);
    ASAN_POISON_MEMORY_REGION(block_ + offset + bytes(), whole_ - offset - bytes());
  }
  Buffer(Long size, Draw& draw, float scale) : Buffer(size) {
    for (T& x : *this) x = draw.number(scale);
  }
  ~Buffer() {
    ASAN_UNPOISON_MEMORY_REGION(block_, whole_);
    const unsigned char *first = reinterpret_cast<unsigned char*>(data_), *last = first + bytes();
    for (const unsigned char* p = block_; p < block_ + whole_; ++p)
      if ((p < first || p >= last) && *p != kCanary) fail("a buffer", "was written outside");
    if (sealed_ && seal_ != hash()) fail("a buffer that is only read", "was written");
    ::operator delete(block_, kLine);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() { return data_; }
  // For an argument that the core only reads.
  const T* read() {
    seal_ = hash();
    sealed_ = true;
    return data_;
  }
  Long size() const { return static_cast<Long>(size_); }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  T& operator[](Long i) { return data_[i]; }
  void add_to(Hash& all) const {
    for (std::size_t i = 0; i < size_; ++i) all.add(data_[i]);
  }

 private:
  static constexpr std::size_t kGuard = 128;
  static constexpr unsigned char kCanary = 0xa5;
  std::size_t bytes() const { return size_ * sizeof(T); }
  std::uint64_t hash() const {
    Hash own;
    own.add(data_, bytes());
    return own.value;
  }

  std::size_t size_, whole_;
  unsigned char* block_;
  T* data_;
  std::uint64_t seal_ = 0;
  bool sealed_ = false;
};

using Floats = Buffer<float>;
using Bytes = Buffer<unsigned char>;

inline const char* const kPaths[] = {"generic", "avx2", "avx512", "bf16", "amx", "neon", "wasm", "wasm_fused"};
constexpr int kPathCount = sizeof kPaths / sizeof *kPaths;

// Whether the path in use has products of bf16.
inline bool has_bf16() { return pantoum_operand_bytes(1, 1, PANTOUM_BF16) > 0; }

}  // namespace tests
