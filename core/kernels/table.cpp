// The table of this ISA.
#include "table.h"

#include "kernels.h"

#define PANTOUM_TEXT_OF(x) #x
#define PANTOUM_TEXT(x) PANTOUM_TEXT_OF(x)

namespace pantoum {
namespace PANTOUM_ISA {

extern const Kernels table;
#define PANTOUM_NAME(name) , name
constexpr Kernels table = {PANTOUM_TEXT(PANTOUM_ISA), packed_bytes, operand_bytes,
                           cells PANTOUM_PRODUCT_OPERATIONS(PANTOUM_NAME) PANTOUM_VECTOR_OPERATIONS(PANTOUM_NAME)};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
