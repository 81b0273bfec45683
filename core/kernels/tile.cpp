// The tiles of every size, and the choice between them at run time.
#include <utility>

#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

using Tile = void (*)(const TileArguments&);

template <class P, int rows, int panels, int vectors>
constexpr Tile tile_or_none() {
  if constexpr (tile_fits<P>(rows, panels) && (P::kUnitFrom == 0 || rows < P::kUnitFrom))
    return tile<P, rows, panels, vectors>;
  else
    return nullptr;
}

template <class P, int... numbers>
Tile choose(int rows, int panels, int vectors, std::integer_sequence<int, numbers...>) {
  constexpr int kEach = kMostPanels * kPanelVectors;
  static constexpr Tile tiles[] = {
      tile_or_none<P, numbers / kEach + 1, numbers % kEach / kPanelVectors + 1, numbers % kPanelVectors + 1>()...};
  return tiles[(rows - 1) * kEach + (panels - 1) * kPanelVectors + vectors - 1];
}

// The same by the unit, panel after panel.
template <class P>
void run_unit(TileArguments t, int rows, int panels, int vectors) {
#ifdef PANTOUM_HAS_AMX
  for (int p = 0; p < panels; ++p, t.panel += t.panel_next, t.out += t.out_next)
    unit_tile<P::kCodes>(t.a, t.a_row, kUnitSteps * t.a_step, t.panel, kStepBytes, t.steps / kUnitSteps, t.out,
                         t.out_row, rows, vectors > 1, t.resume);
#else
  (void)t, (void)rows, (void)panels, (void)vectors;
#endif
}

}  // namespace

template <class P>
void run_tile(const TileArguments& t, int rows, int panels, int vectors) {
  if constexpr (P::kUnitFrom > 0)
    if (rows >= P::kUnitFrom) return run_unit<P>(t, rows, panels, vectors);
  if constexpr (P::kUnitFrom != 1)
    choose<P>(rows, panels, vectors, std::make_integer_sequence<int, kTileRows * kMostPanels * kPanelVectors>{})(t);
}

#define PANTOUM_TILES(P) template void run_tile<P>(const TileArguments&, int, int, int);
PANTOUM_OWN_PRECISIONS(PANTOUM_TILES)

}  // namespace PANTOUM_ISA
}  // namespace pantoum
