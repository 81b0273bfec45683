// What an ISA offers: one function pointer an operation.
#pragma once

#include <cstdint>

#include "../pantoum_core.h"

namespace pantoum {

struct Kernels {
  const char* isa;
  std::int64_t (*packed_bytes)(std::int64_t, std::int64_t, std::int64_t, int, int);
  std::int64_t (*operand_bytes)(std::int64_t, std::int64_t, int);
  const pantoum_cell* (*cells)(std::int64_t*);
#define PANTOUM_MEMBER(name) int (*name)(const pantoum_##name##_args&);
  PANTOUM_PRODUCT_OPERATIONS(PANTOUM_MEMBER)
  PANTOUM_VECTOR_OPERATIONS(PANTOUM_MEMBER)
#undef PANTOUM_MEMBER
};

}  // namespace pantoum
