// The ABI: what this machine can do is asked once, then every call goes through one table.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "kernels/table.h"
#include "matrix_unit.h"
#include "pantoum_core.h"
#include "processor.h"
#include "threads.h"

namespace pantoum {

// PANTOUM_PATHS, a line of X(path), comes from CMakeLists.txt: what was built, best last.
#define X(isa)                \
  namespace isa {             \
  extern const Kernels table; \
  }
PANTOUM_PATHS
#undef X

namespace {

#if defined(__x86_64__)
// What the processor has and the system keeps registers for (Intel's manual, volume 2, CPUID; volume 1, chapter 13).
// Asked here, because __builtin_cpu_supports knows nothing where zig's clang compiles for Windows.
struct Features {
  bool avx2 = false, avx512 = false, bf16 = false, vnni = false;
};

Features features() {
  Features found;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return found;  // OSXSAVE
  const bool fma = c >> 12 & 1;
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;  // XMM and YMM
  found.avx2 = fma && (b >> 5 & 1);
  const unsigned wanted = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  found.avx512 = found.avx2 && (low & 0xe6) == 0xe6 && (b & wanted) == wanted;
  found.vnni = found.avx512 && (c >> 11 & 1);
  found.bf16 = found.avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
  return found;
}
#endif

bool machine_has(const char* isa) {
  const bool anywhere =
      std::strcmp(isa, "generic") == 0 || std::strcmp(isa, "neon") == 0 || std::strncmp(isa, "wasm", 4) == 0;
  if (anywhere) return true;
#if defined(__x86_64__)
  const Features here = features();
  if (std::strcmp(isa, "avx2") == 0) return here.avx2;
  if (std::strcmp(isa, "avx512") == 0) return here.avx512;
  if (std::strcmp(isa, "bf16") == 0) return here.bf16;
  if (std::strcmp(isa, "amx") == 0) return here.bf16 && here.vnni && has_matrix_unit();
#endif
  return false;
}

const Kernels* find(const char* isa) {
#define X(name) \
  if (std::strcmp(isa, #name) == 0 && machine_has(#name)) return &name::table;
  PANTOUM_PATHS
#undef X
  return nullptr;
}

const Kernels* best() {
  const Kernels* found = nullptr;
#define X(name) \
  if (machine_has(#name)) found = &name::table;
  PANTOUM_PATHS
#undef X
  return found;
}

std::atomic<const Kernels*> chosen{nullptr};

const Kernels& kernels() {
  const Kernels* now = chosen.load(std::memory_order_acquire);
  if (!now) {
#if defined(__wasm__)  // a page has no environment
    const char* asked = nullptr;
#else
    const char* asked = std::getenv("PANTOUM_ISA");
#endif
    now = asked ? find(asked) : nullptr;
    if (!now) now = best();  // the Python side refuses a name that this machine has not got
    chosen.store(now, std::memory_order_release);
  }
  return *now;
}

}  // namespace

bool use_vnni() {
#if defined(__x86_64__)
  static std::atomic<int> known{-1};
  int answer = known.load(std::memory_order_relaxed);
  if (answer < 0) {
    const char* asked = std::getenv("PANTOUM_VNNI");
    answer = features().vnni && !(asked && std::strcmp(asked, "0") == 0);
    known.store(answer, std::memory_order_relaxed);
  }
  return answer != 0;
#else
  return false;
#endif
}

}  // namespace pantoum

using namespace pantoum;

extern "C" {

int pantoum_abi(void) { return PANTOUM_ABI; }

const char* pantoum_message(int status) {
  switch (status) {
    case PANTOUM_OK: return "done";
    case PANTOUM_OUT_OF_MEMORY: return "there is no memory for the core's scratch arrays";
    case PANTOUM_UNSUPPORTED: return "this processor, or the path chosen by PANTOUM_ISA, has no such operation";
    case PANTOUM_BAD_ARGUMENT: return "an argument is out of range";
    case PANTOUM_NOT_FINITE: return "a row's logits are not finite";
    default: return "unknown status";
  }
}

const char* pantoum_isa(void) { return kernels().isa; }
int pantoum_supports(const char* name) { return find(name) != nullptr; }
int pantoum_set_isa(const char* name) {
  const Kernels* found = find(name);
  if (!found) return PANTOUM_UNSUPPORTED;
  chosen.store(found, std::memory_order_release);
  return PANTOUM_OK;
}
int pantoum_threads(void) { return thread_count(); }
int pantoum_set_threads(int count) {
  set_thread_count(count);
  return PANTOUM_OK;
}
int pantoum_set_own_threads(int count) {
  set_own_thread_count(count);
  return PANTOUM_OK;
}

int64_t pantoum_packed_bytes(int64_t rows, int64_t depth, int64_t block, int precision, int transposed) {
  return kernels().packed_bytes(rows, depth, block, precision, transposed);
}

int64_t pantoum_operand_bytes(int64_t rows, int64_t depth, int precision) {
  return kernels().operand_bytes(rows, depth, precision);
}

const pantoum_cell* pantoum_cells(int64_t* count) { return kernels().cells(count); }

#define PANTOUM_CALL(name)                                \
  int pantoum_##name(const pantoum_##name##_args* args) { \
    FloatModes modes;                                     \
    return kernels().name(*args);                         \
  }
PANTOUM_PRODUCT_OPERATIONS(PANTOUM_CALL)
PANTOUM_VECTOR_OPERATIONS(PANTOUM_CALL)

}  // extern "C"
