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

// One column of a panel: `row` holds its codes, zeros from `depth` to a whole step.
template <class P>
void place(const Panels<P>& to, char* panel, Long column, const std::uint8_t* row, float scale) {
  std::uint32_t* out = reinterpret_cast<std::uint32_t*>(panel);
  std::uint32_t sum = 0;
  for (Long k = 0; k < to.depth; ++k) sum += static_cast<std::uint32_t>(static_cast<std::int8_t>(row[k]));
  for (Long s = 0; s < to.steps(); ++s)
    __builtin_memcpy(out + s * kPanelColumns + column, row + 4 * s, sizeof(std::uint32_t));
  out[to.steps() * kPanelColumns + column] = 0u - P::kOffset * sum;
  __builtin_memcpy(out + (to.steps() + 1) * kPanelColumns + column, &scale, sizeof scale);
}

// Packs a matrix whose row r `codes_of(r, row)` writes as codes, returning their scale.
template <class P, class CodesOf>
int pack_rows(char* panels, Long rows, Long depth, Long block, CodesOf&& codes_of) {
  const Panels<P> to{panels, rows, depth, block};
  return run_each(static_cast<int>(to.count()), [&](int panel) -> int {
    const std::size_t size = static_cast<std::size_t>(up(depth, kLanes) * kLanes);
    std::uint8_t* row = reinterpret_cast<std::uint8_t*>(thread_scratch(size));
    if (!row) return PANTOUM_OUT_OF_MEMORY;
    for (Long c = 0; c < kPanelColumns; ++c) {
      __builtin_memset(row, 0, size);
      const float scale = c < to.width(panel) ? codes_of(to.first_column(panel) + c, row) : 0.0f;
      place(to, panels + panel * to.bytes_each(), c, row, scale);
    }
    return PANTOUM_OK;
  });
}

template <class P>
int pack_codes_as(const pantoum_pack_codes_args& a) {
  return pack_rows<P>(static_cast<char*>(a.panels), a.rows, a.depth, a.block, [&](Long r, std::uint8_t* row) {
    __builtin_memcpy(row, a.codes + r * a.depth, static_cast<std::size_t>(a.depth));
    return a.scales[r];
  });
}

template <class P>
int pack_quantized_as(const pantoum_pack_args& a) {
  return pack_rows<P>(static_cast<char*>(a.panels), a.rows, a.depth, a.block,
                      [&](Long r, std::uint8_t* row) { return quantize_row<0>(row, a.weight + r * a.depth, a.depth); });
}

}  // namespace

int pack_quantized(const pantoum_pack_args& a) {
  if (a.transposed || a.depth > kMostCodes) return PANTOUM_BAD_ARGUMENT;
  PANTOUM_CHOOSE_INT8(pack_quantized_as, a);
}

int pack_codes(const pantoum_pack_codes_args& a) {
  if (a.depth > kMostCodes) return PANTOUM_BAD_ARGUMENT;
  PANTOUM_CHOOSE_INT8(pack_codes_as, a);
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
