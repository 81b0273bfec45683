// The tiles of every size, and the choice between them at run time.
#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

using Tile = void (*)(const TileArguments&);

template <class P, int rows, int panels>
constexpr Tile tile_or_none() {
  if constexpr (tile_fits(rows, panels))
    return tile<P, rows, panels>;
  else
    return nullptr;
}

template <class P, int rows>
struct Sizes {
  static constexpr Tile tiles[4] = {tile_or_none<P, rows, 1>(), tile_or_none<P, rows, 2>(), tile_or_none<P, rows, 3>(),
                                    tile_or_none<P, rows, 4>()};
};

template <class P>
Tile choose(int rows, int panels) {
  switch (rows) {
    case 1: return Sizes<P, 1>::tiles[panels - 1];
    case 2: return Sizes<P, 2>::tiles[panels - 1];
    case 3: return Sizes<P, 3>::tiles[panels - 1];
    case 4: return Sizes<P, 4>::tiles[panels - 1];
    case 5: return Sizes<P, 5>::tiles[panels - 1];
    case 6: return Sizes<P, 6>::tiles[panels - 1];
    case 7: return Sizes<P, 7>::tiles[panels - 1];
    case 8: return Sizes<P, 8>::tiles[panels - 1];
    case 9: return Sizes<P, 9>::tiles[panels - 1];
    default: return Sizes<P, 10>::tiles[panels - 1];
  }
}

}  // namespace

template <class P>
void run_tile(const TileArguments& t, int rows, int panels) {
  choose<P>(rows, panels)(t);
}

template void run_tile<Float32>(const TileArguments&, int, int);
#ifdef PANTOUM_HAS_BF16
template void run_tile<BFloat16>(const TileArguments&, int, int);
#endif
template void run_tile<Int8>(const TileArguments&, int, int);
#ifdef PANTOUM_HAS_VNNI
template void run_tile<Int8VNNI>(const TileArguments&, int, int);
#endif

}  // namespace PANTOUM_ISA
}  // namespace pantoum
