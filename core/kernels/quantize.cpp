// Weights as codes, and codes as panels: a step of a panel holds four k's of each column.
#include "quantize.h"

#include "../scratch.h"
#include "../threads.h"
#include "kernels.h"
#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kRowsATask = 64;
constexpr Long kMostCodes = 1 << 17;  // of a row: products of 127 * 127 add up to 32 bits

// One column of a panel: `row` holds its codes, zeros from `depth` to the last step.
template <class P>
void place(const Panels<P>& to, char* panel, Long column, const std::uint8_t* row, float scale) {
  std::uint32_t* out = reinterpret_cast<std::uint32_t*>(panel);
  std::uint32_t sum = 0;
  for (Long k = 0; k < to.depth; ++k) sum += static_cast<std::uint32_t>(static_cast<std::int8_t>(row[k]));
  for (Long s = 0; s < to.steps(); ++s) place_codes(out + s * kPanelColumns, column, row + 4 * s);
  out[to.steps() * kPanelColumns + column] = 0u - P::kOffset * sum;
  __builtin_memcpy(out + (to.steps() + 1) * kPanelColumns + column, &scale, sizeof scale);
}

template <class P>
int pack_codes_as(const pantoum_pack_codes_args& a) {
  const Panels<P> to{static_cast<char*>(a.panels), a.rows, a.depth, a.block};
  return run_each(static_cast<int>(to.count()), [&](int panel) -> int {
    const std::size_t size = static_cast<std::size_t>(to.steps() * P::kPair);
    std::uint8_t* row = reinterpret_cast<std::uint8_t*>(thread_scratch(size));
    if (!row) return PANTOUM_OUT_OF_MEMORY;
    for (Long c = 0; c < kPanelColumns; ++c) {
      __builtin_memset(row, 0, size);
      const bool filled = c < to.width(panel);
      const Long r = to.first_column(panel) + c;
      if (filled) __builtin_memcpy(row, a.codes + r * a.depth, static_cast<std::size_t>(a.depth));
      place(to, static_cast<char*>(a.panels) + panel * to.bytes_each(), c, row, filled ? a.scales[r] : 0.0f);
    }
    return PANTOUM_OK;
  });
}

}  // namespace

int pack_codes(const pantoum_pack_codes_args& a) {
  if (a.depth > kMostCodes) return PANTOUM_BAD_ARGUMENT;
  PANTOUM_CHOOSE_INT8(pack_codes, a);
}

int quantize(const pantoum_quantize_args& a) {
  return run_each(static_cast<int>(up(a.rows, kRowsATask)), [&](int task) -> int {
    std::uint8_t* row =
        reinterpret_cast<std::uint8_t*>(thread_scratch(static_cast<std::size_t>(up(a.depth, kLanes) * kLanes)));
    if (!row) return PANTOUM_OUT_OF_MEMORY;
    for (Long r = task * kRowsATask; r < least(a.rows, (task + 1) * kRowsATask); ++r) {
      a.scales[r] = quantize_row<0>(row, a.weight + r * a.depth, a.depth);
      __builtin_memcpy(a.codes + r * a.depth, row, static_cast<std::size_t>(a.depth));
    }
    return PANTOUM_OK;
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
