// The tiles of every size, and the choice between them at run time.
#include <utility>

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

template <class P, int... numbers>
Tile choose(int rows, int panels, std::integer_sequence<int, numbers...>) {
  static constexpr Tile tiles[] = {tile_or_none<P, numbers / kMostPanels + 1, numbers % kMostPanels + 1>()...};
  return tiles[(rows - 1) * kMostPanels + panels - 1];
}

}  // namespace

template <class P>
void run_tile(const TileArguments& t, int rows, int panels) {
  choose<P>(rows, panels, std::make_integer_sequence<int, kTileRows * kMostPanels>{})(t);
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
