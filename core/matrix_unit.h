// AMX: a unit that multiplies tiles, and the registers of each thread that hold them.
#pragma once

namespace pantoum {

// Whether the processor has the unit, for bf16 and for bytes, and the system lets this process use it.
bool has_matrix_unit();

// Shapes the tile registers of this thread for a product of 1 to 32 rows (arch/amx/vector.h says which is which). It
// costs as much as a small product, so registers that have the shape already are left alone.
void shape_tiles(int rows);

// What is shaped is given back: registers in use make every change of threads dearer, and others may want them.
void release_tiles();

}  // namespace pantoum
