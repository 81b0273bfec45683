// The operations of the ABI as one ISA implements them, and the choice of a product's precision.
#pragma once

#include <cstdint>

#include "../pantoum_core.h"
#include "../processor.h"
#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

#define PANTOUM_OPERATION(name, Arguments) int name(const Arguments&);
#include "operations.h"
#undef PANTOUM_OPERATION
std::int64_t packed_bytes(std::int64_t rows, std::int64_t depth, std::int64_t block, int precision, int transposed);
std::int64_t operand_bytes(std::int64_t rows, std::int64_t depth, int precision);
const pantoum_cell* cells(std::int64_t* count);

}  // namespace PANTOUM_ISA
}  // namespace pantoum

// Bodies of operations over a template of the precision: of those that training needs, and of all.
#ifdef PANTOUM_HAS_BF16
#define PANTOUM_CHOOSE_BF16(function, args) \
  if ((args).precision == PANTOUM_BF16) return function<BFloat16>(args)
#else
#define PANTOUM_CHOOSE_BF16(function, args) \
  if ((args).precision == PANTOUM_BF16) return PANTOUM_UNSUPPORTED
#endif
#define PANTOUM_CHOOSE_TRAINING_PRECISION(function, args) \
  PANTOUM_CHOOSE_BF16(function, args);                    \
  return (args).precision == PANTOUM_FLOAT32 ? function<Float32>(args) : PANTOUM_BAD_ARGUMENT
#ifdef PANTOUM_HAS_VNNI
#define PANTOUM_CHOOSE_INT8(function, args) return use_vnni() ? function<Int8VNNI>(args) : function<Int8>(args)
#else
#define PANTOUM_CHOOSE_INT8(function, args) return function<Int8>(args)
#endif
#define PANTOUM_CHOOSE_PRECISION(function, args)                             \
  if ((args).precision == PANTOUM_INT8) PANTOUM_CHOOSE_INT8(function, args); \
  PANTOUM_CHOOSE_TRAINING_PRECISION(function, args)
