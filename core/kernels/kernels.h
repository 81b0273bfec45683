// The operations of the ABI as one ISA implements them, and the choice of a product's precision.
#pragma once

#include <cstdint>

#include "../pantoum_core.h"
#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

#define PANTOUM_OPERATION(name, Arguments) int name(const Arguments&);
#include "operations.h"
#undef PANTOUM_OPERATION
std::int64_t packed_bytes(std::int64_t rows, std::int64_t depth, std::int64_t block, int precision, int transposed);
std::int64_t operand_bytes(std::int64_t rows, std::int64_t depth, int precision);

}  // namespace PANTOUM_ISA
}  // namespace pantoum

// Body of an operation over a template of the precision.
#ifdef PANTOUM_HAS_BF16
#define PANTOUM_CHOOSE_PRECISION(function, args)                             \
  if ((args).precision == PANTOUM_BF16) return function<BFloat16>(args);     \
  return (args).precision == PANTOUM_FLOAT32 ? function<Float32>(args) : PANTOUM_BAD_ARGUMENT
#else
#define PANTOUM_CHOOSE_PRECISION(function, args)                             \
  if ((args).precision == PANTOUM_BF16) return PANTOUM_UNSUPPORTED;          \
  return (args).precision == PANTOUM_FLOAT32 ? function<Float32>(args) : PANTOUM_BAD_ARGUMENT
#endif
