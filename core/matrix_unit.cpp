#include "matrix_unit.h"

#ifdef PANTOUM_AMX  // CMakeLists.txt: the path amx was built, so the compiler knows the instructions
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace pantoum {
namespace {

constexpr int kRows = 16, kRowBytes = 64;  // of the largest tile
constexpr int kTiles = 8;

// The operand of LDTILECFG (Intel's manual, volume 1, chapter 18).
struct alignas(64) Shapes {
  std::uint8_t palette = 1, first_row = 0, unused[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

thread_local int shaped_for = 0;  // rows of the product; 0: the registers are free

// The registers are kept by the system only for a process that asked for them, and its threads.
bool permitted() {
  constexpr long kAskForState = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
}

bool has_instructions() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  return (d & kBf16) && (d & kTile) && (d & kInt8);
}

}  // namespace

bool has_matrix_unit() { return has_instructions() && permitted(); }

[[gnu::target("amx-tile")]] void shape_tiles(int rows) {
  if (shaped_for == rows) return;
  Shapes shapes;
  const int lower = rows > kRows ? rows - kRows : 0;
  const int of_tile[kTiles] = {rows - lower, rows - lower, lower, lower, rows - lower, lower, kRows, kRows};
  for (int tile = 0; tile < kTiles; ++tile) {
    shapes.rows[tile] = static_cast<std::uint8_t>(of_tile[tile]);
    shapes.row_bytes[tile] = of_tile[tile] ? kRowBytes : 0;
  }
  _tile_loadconfig(&shapes);
  shaped_for = rows;
}

[[gnu::target("amx-tile")]] void release_tiles() {
  if (shaped_for == 0) return;
  _tile_release();
  shaped_for = 0;
}

}  // namespace pantoum
#else
namespace pantoum {

bool has_matrix_unit() { return false; }
void shape_tiles(int) {}
void release_tiles() {}

}  // namespace pantoum
#endif
