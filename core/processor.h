// What the processor has beside the ISA that a path is compiled for.
#pragma once

namespace pantoum {

// Whether VPDPBUSD is there and PANTOUM_VNNI is not 0 (which is for tests). The same all the process long.
bool use_vnni();

}  // namespace pantoum
