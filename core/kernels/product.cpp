// y = x W^T + bias over a packed matrix, and the packing itself.
//
// A task takes a block of rows, converts it once, and walks the panels: a panel stays in the first
// two caches while all rows of the block pass by. Long k is cut into blocks, each going on with the
// sums of the one before.
#include "kernels.h"

#include "../scratch.h"
#include "../threads.h"
#include "panels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kRowsATask = 120;      // 120 KB of bf16 at depth 512: it stays in the second cache
constexpr Long kStepsABlock = 1024;   // a panel of 128 KB

// Panel of the transposed kind: column c, step k comes from source[c * stride + k].
void pack_columns(Float32, char* panel, const float* source, Long stride, Long depth, Long width) {
  float* out = reinterpret_cast<float*>(panel);
  for (Long k = 0; k < depth; ++k)
    for (Long c = 0; c < kPanelColumns; ++c) out[k * kPanelColumns + c] = c < width ? source[c * stride + k] : 0.0f;
}
#ifdef PANTOUM_HAS_BF16
void pack_columns(BFloat16, char* panel, const float* source, Long stride, Long depth, Long width) {
  alignas(64) Half row[kLanes];
  std::uint32_t* out = reinterpret_cast<std::uint32_t*>(panel);
  for (Long c = 0; c < kPanelColumns; ++c)
    for (Long k = 0; k < depth; k += kLanes) {
      const int n = c < width ? static_cast<int>(least(kLanes, depth - k)) : 0;
      store_half(row, load(source + c * stride + k, n));
      for (Long i = 0; i < kLanes && k + i < depth; i += 2) {
        std::uint32_t pair;
        __builtin_memcpy(&pair, row + i, sizeof pair);
        out[(k + i) / 2 * kPanelColumns + c] = pair;
      }
    }
}
#endif

template <class P>
int pack_as(const pantoum_pack_args& a) {
  // Transposed, the depth of the product is the weight's rows.
  Panels<P> to{static_cast<char*>(a.panels), a.transposed ? a.depth : a.rows, a.transposed ? a.rows : a.depth,
               a.transposed ? a.depth : a.block};
  return run_each(static_cast<int>(to.count()), [&](int panel) {
    char* at = static_cast<char*>(a.panels) + panel * to.bytes_each();
    const Long column = to.first_column(panel), width = to.width(panel);
    if (a.transposed)
      pack_steps(P{}, at, a.weight + column, a.depth, to.depth, width);
    else
      pack_columns(P{}, at, a.weight + column * a.depth, a.depth, to.depth, width);
    return PANTOUM_OK;
  });
}

template <class P>
class Product {
 public:
  explicit Product(const pantoum_product_args& a)
      : a_(a), w_{static_cast<const char*>(a.panels), a.columns, a.depth, a.block}, row_(operand_row<P>(a.depth)) {}

  int rows(Long begin, Long end) const {
    char* operand = thread_scratch(static_cast<std::size_t>((end - begin) * row_));
    if (!operand) return PANTOUM_OUT_OF_MEMORY;
    for (Long r = begin; r < end; ++r) convert_row<P>(operand + (r - begin) * row_, a_.x + r * a_.depth, a_.depth);
    for (Long k = 0; k < w_.steps(); k += kStepsABlock)
      for (Long panel = 0; panel < w_.count(); ++panel)
        for (Long r = begin; r < end;) {
          const int rows = next_tile_rows(end - r);
          one_tile(operand + (r - begin) * row_, k, panel, r, rows);
          r += rows;
        }
    return PANTOUM_OK;
  }

 private:
  // Whole panels of y hold the sums themselves; part of one and biased ends go by way of a small buffer.
  void one_tile(const char* operand, Long k, Long panel, Long r, int rows) const {
    const Long steps = least(kStepsABlock, w_.steps() - k), width = w_.width(panel);
    const bool last = k + steps == w_.steps();
    const Long column = w_.first_column(panel);
    float* y = a_.y + r * a_.columns + column;
    TileArguments t{operand + k * 4, row_, 4, w_.at(panel) + k * static_cast<Long>(kStepBytes), 0, steps,
                    y,               a_.columns, 0, k > 0};
    if (width == kPanelColumns && !(last && a_.bias)) return run_tile<P>(t, rows, 1);
    alignas(64) float buffer[kTileRows * kPanelColumns];
    t.out = buffer;
    t.out_row = kPanelColumns;
    for (int v = 0; k > 0 && v < kPanelVectors; ++v)
      for (int i = 0; i < rows; ++i) {
        const int n = lanes(width, v);
        store(buffer + i * kPanelColumns + v * kLanes, load(y + i * a_.columns + v * kLanes, n));
      }
    run_tile<P>(t, rows, 1);
    for (int v = 0; v < kPanelVectors; ++v) {
      const int n = lanes(width, v);
      if (n == 0) break;
      const F16 bias = last && a_.bias ? load(a_.bias + column + v * kLanes, n) : zero();
      for (int i = 0; i < rows; ++i)
        store(y + i * a_.columns + v * kLanes, load(buffer + i * kPanelColumns + v * kLanes) + bias, n);
    }
  }

  const pantoum_product_args& a_;
  const Panels<P> w_;
  const Long row_;
};

template <class P>
int product_as(const pantoum_product_args& a) {
  const Product<P> product(a);
  const Long tasks = up(up(a.count, kRowsATask), thread_count()) * thread_count();
  return run_each(static_cast<int>(least(tasks, up(a.count, kTileRows))), [&](int task) {
    const Range r = part_of(a.count, task, static_cast<int>(least(tasks, up(a.count, kTileRows))));
    return product.rows(r.begin, r.end);
  });
}

}  // namespace

int pack(const pantoum_pack_args& a) { PANTOUM_CHOOSE_PRECISION(pack_as, a); }
int product(const pantoum_product_args& a) { PANTOUM_CHOOSE_PRECISION(product_as, a); }

std::int64_t packed_bytes(std::int64_t rows, std::int64_t depth, std::int64_t block, int precision, int transposed) {
  const Long columns = transposed ? depth : rows, k = transposed ? rows : depth, b = transposed ? depth : block;
  const Long steps = precision == PANTOUM_BF16 ? up(k, 2) : k;
  return columns / b * up(b, kPanelColumns) * steps * static_cast<Long>(kStepBytes);
}

std::int64_t operand_bytes(std::int64_t rows, std::int64_t depth, int precision) {
#ifdef PANTOUM_HAS_BF16
  if (precision == PANTOUM_BF16) return rows * operand_row<BFloat16>(depth);
#endif
  return precision == PANTOUM_FLOAT32 ? rows * operand_row<Float32>(depth) : 0;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
