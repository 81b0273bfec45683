// The table of this ISA.
#include "table.h"

#include "kernels.h"

#define PANTOUM_TEXT_OF(x) #x
#define PANTOUM_TEXT(x) PANTOUM_TEXT_OF(x)

namespace pantoum {
namespace PANTOUM_ISA {

extern const Kernels table;
constexpr Kernels table = {
    PANTOUM_TEXT(PANTOUM_ISA),
    packed_bytes,
    operand_bytes,
    cells,
#define PANTOUM_OPERATION(name, Arguments) name,
#include "operations.h"
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
