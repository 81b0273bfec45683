// The operations of the ABI as one ISA implements them, and the choice of a product's precision.
#pragma once

#include <cstdint>

#include "../pantoum_core.h"
#include "../processor.h"
#include "vector.h"

// A path may have the vectors of another one, PANTOUM_BASE in its vector.h, and differ in some products alone. It takes
// from that path what would be compiled to the same code: whole operations, and those of a precision.
#define PANTOUM_DECLARE(name) int name(const pantoum_##name##_args&);
#ifdef PANTOUM_BASE
namespace pantoum {
namespace PANTOUM_BASE {
PANTOUM_PRODUCT_OPERATIONS(PANTOUM_DECLARE)
PANTOUM_VECTOR_OPERATIONS(PANTOUM_DECLARE)
}  // namespace PANTOUM_BASE
}  // namespace pantoum
#endif

namespace pantoum {
namespace PANTOUM_ISA {

PANTOUM_PRODUCT_OPERATIONS(PANTOUM_DECLARE)
#ifdef PANTOUM_BASE
#define PANTOUM_TAKE(name) using PANTOUM_BASE::name;
PANTOUM_VECTOR_OPERATIONS(PANTOUM_TAKE)
#else
PANTOUM_VECTOR_OPERATIONS(PANTOUM_DECLARE)
#endif
std::int64_t packed_bytes(std::int64_t rows, std::int64_t depth, std::int64_t block, int precision, int transposed);
std::int64_t operand_bytes(std::int64_t rows, std::int64_t depth, int precision);
const pantoum_cell* cells(std::int64_t* count);

}  // namespace PANTOUM_ISA
}  // namespace pantoum

// Bodies of operations over a template of the precision, `scan_as<P>` of the operation `scan`: of those that training
// needs, and of all.
#ifdef PANTOUM_BASE
#define PANTOUM_AS_FLOAT32(operation, args) PANTOUM_BASE::operation(args)
#else
#define PANTOUM_AS_FLOAT32(operation, args) operation##_as<Float32>(args)
#endif
#ifdef PANTOUM_HAS_BF16
#define PANTOUM_CHOOSE_BF16(operation, args) \
  if ((args).precision == PANTOUM_BF16) return operation##_as<BFloat16>(args)
#else
#define PANTOUM_CHOOSE_BF16(operation, args) \
  if ((args).precision == PANTOUM_BF16) return PANTOUM_UNSUPPORTED
#endif
#define PANTOUM_CHOOSE_TRAINING_PRECISION(operation, args) \
  PANTOUM_CHOOSE_BF16(operation, args);                    \
  return (args).precision == PANTOUM_FLOAT32 ? PANTOUM_AS_FLOAT32(operation, args) : PANTOUM_BAD_ARGUMENT
#if defined(PANTOUM_HAS_AMX)  // codes lie as the unit reads them; a processor that has it has VNNI
#define PANTOUM_CHOOSE_INT8(operation, args) return operation##_as<Int8VNNI>(args)
#elif defined(PANTOUM_BASE)
#define PANTOUM_CHOOSE_INT8(operation, args) return PANTOUM_BASE::operation(args)
#elif defined(PANTOUM_HAS_VNNI)
#define PANTOUM_CHOOSE_INT8(operation, args) \
  return use_vnni() ? operation##_as<Int8VNNI>(args) : operation##_as<Int8>(args)
#else
#define PANTOUM_CHOOSE_INT8(operation, args) return operation##_as<Int8>(args)
#endif
#define PANTOUM_CHOOSE_PRECISION(operation, args)                             \
  if ((args).precision == PANTOUM_INT8) PANTOUM_CHOOSE_INT8(operation, args); \
  PANTOUM_CHOOSE_TRAINING_PRECISION(operation, args)
