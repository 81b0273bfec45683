// y = x W^T + bias over a packed matrix, and the packing itself.
//
// Many rows: a task takes a block of them, converts it once, and walks the panels; a panel stays in
// the first two caches while all rows of the block pass by. Few rows: a task takes a range of panels,
// several at a time, and reads each once. Long k is cut into blocks, each going on with the sums of
// the one before.
#include "product.h"

#include "../scratch.h"
#include "../threads.h"
#include "kernels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kRowsATask = kHasUnit ? 128 : 120;  // 128 KB of bf16 at depth 512: it stays in the second cache
constexpr Long kStepsABlock = 1024;                // a panel of 128 KB
constexpr Long kChangesATask = 128;                // rows that are packed anew

// Panel of the transposed kind: column c, step k comes from source[c * stride + k].
inline void pack_columns(Float32, char* panel, const float* source, Long stride, Long depth, Long width) {
  float* out = reinterpret_cast<float*>(panel);
  for (Long k = 0; k < depth; ++k)
    for (Long c = 0; c < kPanelColumns; ++c) out[k * kPanelColumns + c] = c < width ? source[c * stride + k] : 0.0f;
}
#ifdef PANTOUM_HAS_BF16
// Sixteen columns at a time: of each as many pairs of steps as there are lanes, transposed.
inline void pack_columns(BFloat16, char* panel, const float* source, Long stride, Long depth, Long width) {
  constexpr Long kSteps = 2 * kLanes;
  alignas(64) std::uint32_t columns[kLanes * kLanes], turned[kLanes * kLanes];
  for (Long first = 0; first < kPanelColumns; first += kLanes)
    for (Long k = 0; k < depth; k += kSteps) {
      for (Long c = 0; c < kLanes; ++c)
        for (Long at = 0; at < kSteps; at += kLanes) {
          const Long n = first + c < width ? least(kLanes, depth - k - at) : 0;
          store_half(reinterpret_cast<Half*>(columns + c * kLanes) + at,
                     n > 0 ? load(source + (first + c) * stride + k + at, static_cast<int>(n)) : zero());
        }
      std::uint32_t* out = reinterpret_cast<std::uint32_t*>(panel) + k / 2 * kPanelColumns + first;
      const Long pairs = up(depth - k, 2);
      if (pairs >= kLanes) {
        transpose(columns, kLanes, out, kPanelColumns);
        continue;
      }
      transpose(columns, kLanes, turned, kLanes);
      for (Long i = 0; i < pairs; ++i) store(out + i * kPanelColumns, load(turned + i * kLanes));
    }
  fill_steps<BFloat16>(panel, depth);
}
#endif

// Columns of a panel that is not transposed, each from a row of the source.
inline void pack_some(Float32, char* panel, const float* const* rows, const Long* columns, Long count, Long depth) {
  float* out = reinterpret_cast<float*>(panel);
  for (Long k = 0; k < depth; ++k, out += kPanelColumns)
    for (Long i = 0; i < count; ++i) out[columns[i]] = rows[i][k];
}
#ifdef PANTOUM_HAS_BF16
inline void pack_some(BFloat16, char* panel, const float* const* rows, const Long* columns, Long count, Long depth) {
  alignas(64) Half row[kLanes];
  std::uint32_t* out = reinterpret_cast<std::uint32_t*>(panel);
  for (Long i = 0; i < count; ++i)
    for (Long k = 0; k < depth; k += kLanes) {
      store_half(row, load(rows[i] + k, static_cast<int>(least(kLanes, depth - k))));
      for (Long j = 0; j < kLanes && k + j < depth; j += 2) {
        std::uint32_t pair;
        __builtin_memcpy(&pair, row + j, sizeof pair);
        out[(k + j) / 2 * kPanelColumns + columns[i]] = pair;
      }
    }
}
#endif

// The changed rows alone; those of one panel together.
template <class P>
int pack_changed(const pantoum_pack_args& a) {
  if (a.transposed) return PANTOUM_BAD_ARGUMENT;
  const Panels<P> to{static_cast<char*>(a.panels), a.rows, a.depth, a.block};
  return run_each(static_cast<int>(up(a.changes, kChangesATask)), [&](int task) {
    const Long end = least((task + 1) * kChangesATask, a.changes);
    for (Long i = task * kChangesATask; i < end;) {
      const Long block = a.changed[i] / a.block, within = a.changed[i] % a.block / kPanelColumns;
      const Long panel = block * to.each_block() + within;
      const float* rows[kPanelColumns];
      Long columns[kPanelColumns], count = 0;
      for (; i < end && count < kPanelColumns; ++i, ++count) {
        const Long row = a.changed[i];
        if (row / a.block != block || row % a.block / kPanelColumns != within) break;
        rows[count] = a.weight + row * a.depth;
        columns[count] = row % a.block % kPanelColumns;
      }
      pack_some(P{}, static_cast<char*>(a.panels) + panel * to.bytes_each(), rows, columns, count, a.depth);
    }
    return PANTOUM_OK;
  });
}

template <class P>
int pack_as(const pantoum_pack_args& a) {
  if (a.changed) return pack_changed<P>(a);
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

// Those of as many panels as a call takes at once.
constexpr Long kMostSums = (kHasUnit                 ? kUnitRows * kMostPanels
                            : kRegisters > kTileRows ? kRegisters
                                                     : kTileRows) *
                           kPanelColumns;

// Some rows times some panels beside each other, over one block of k: whole panels of y hold the sums
// themselves; part of one, codes and biased ends go by way of a small buffer.
template <class P>
struct Corner {
  const Panels<P>& w;
  const char* operands;
  Long row;
  const float* bias;
  float* y;
  Long y_row;

  void run(Long k, Long panel, int panels, Long r, int rows) const {
    const Long steps = least(kStepsABlock, w.steps() - k);
    const bool last = k + steps == w.steps();
    const char* operand = operands + r * row;
    TileArguments t{operand + k * 4,
                    row,
                    4,
                    w.at(panel) + k * static_cast<Long>(kStepBytes),
                    w.bytes_each(),
                    steps,
                    y + r * y_row + w.first_column(panel),
                    y_row,
                    kPanelColumns,
                    k > 0};
    if (plain(panel, panels) && !(last && (bias || P::kCodes))) return run_tile<P>(t, rows, panels);
    alignas(64) float buffer[kMostSums];
    const Long next = rows * static_cast<Long>(kPanelColumns);
    t.out = buffer;
    t.out_row = kPanelColumns;
    t.out_next = next;
    for (int p = 0; k > 0 && p < panels; ++p) fetch(panel + p, r, rows, buffer + p * next);
    run_tile<P>(t, rows, panels, panels == 1 ? vectors_of(w.width(panel)) : kPanelVectors);
    for (int p = 0; p < panels; ++p) {
      if (last) scale_sums(w, panel + p, operand, row, rows, buffer + p * next);
      deliver(panel + p, r, rows, buffer + p * next, last ? bias : nullptr);
    }
  }

 private:
  // Whether the panels fill y without a gap: all whole, and the next block's column follows.
  bool plain(Long panel, int panels) const {
    for (int p = 0; p < panels; ++p)
      if (w.width(panel + p) != kPanelColumns || w.first_column(panel + p) != w.first_column(panel) + p * kPanelColumns)
        return false;
    return true;
  }
  void fetch(Long panel, Long r, int rows, float* buffer) const {
    const float* from = y + r * y_row + w.first_column(panel);
    for (int v = 0; v < kPanelVectors; ++v)
      for (int i = 0; i < rows; ++i)
        store(buffer + i * kPanelColumns + v * kLanes, load(from + i * y_row + v * kLanes, lanes(w.width(panel), v)));
  }
  void deliver(Long panel, Long r, int rows, const float* buffer, const float* b) const {
    const Long column = w.first_column(panel);
    float* to = y + r * y_row + column;
    for (int v = 0; v < kPanelVectors; ++v) {
      const int n = lanes(w.width(panel), v);
      if (n == 0) break;
      const F16 shift = b ? load(b + column + v * kLanes, n) : zero();
      for (int i = 0; i < rows; ++i) {
        const F16 sum = load(buffer + i * kPanelColumns + v * kLanes);
        store(to + i * y_row + v * kLanes, b ? sum + shift : sum, n);
      }
    }
  }
};

// How many panels a tile takes at once: few rows have registers left, and read the faster.
template <class P>
int panels_at_once(Long rows) {
  int panels = 1;
  while (panels < kMostPanels && rows <= kMostTileRows && panels_fit<P>(static_cast<int>(rows), panels + 1)) ++panels;
  return panels;
}

template <class P>
class Product {
 public:
  explicit Product(const pantoum_product_args& a)
      : a_(a),
        w_{static_cast<const char*>(a.panels), a.columns, a.depth, a.block},
        row_(operand_row<P>(a.depth)) {}

  // All panels for some rows, or some panels for all rows.
  int part(Range rows, Range panels) const {
    char* operands = thread_scratch(static_cast<std::size_t>((rows.end - rows.begin) * row_));
    if (!operands) return PANTOUM_OUT_OF_MEMORY;
    for (Long r = rows.begin; r < rows.end; ++r)
      convert_row<P>(operands + (r - rows.begin) * row_, a_.x + r * a_.depth, a_.depth);
    product_panels<P>(w_, panels.begin, panels.end, operands, row_, rows.end - rows.begin, a_.bias,
                      a_.y + rows.begin * a_.columns, a_.columns);
    return PANTOUM_OK;
  }
  int run() const {
    const Long threads = thread_count();
    // The unit is so fast that reading the matrix counts, which threads that split rows do each.
    constexpr Long rows_a_thread = P::kUnitFrom > 0 ? 2 * kUnitRows : kRowsAThread;
    if (a_.count < rows_a_thread * threads) {
      const bool shared = a_.count * a_.depth * a_.columns >= kSmallestShared;
      auto some_panels = [&](int index, int parts) { return part({0, a_.count}, part_of(w_.count(), index, parts)); };
      return run_parts(shared ? static_cast<int>(least(threads, w_.count())) : 1, some_panels);
    }
    const Long tasks = least(up(up(a_.count, kRowsATask), threads) * threads, up(a_.count, kTileRows));
    return run_each(static_cast<int>(tasks),
                    [&](int task) { return part(part_of(a_.count, task, static_cast<int>(tasks)), {0, w_.count()}); });
  }

 private:
  const pantoum_product_args& a_;
  const Panels<P> w_;
  const Long row_;
};

template <class P>
int product_as(const pantoum_product_args& a) {
  return Product<P>(a).run();
}

}  // namespace

template <class P>
void product_panels(const Panels<P>& w, Long first, Long last, const char* operands, Long row, Long rows,
                    const float* bias, float* y, Long y_row) {
  const Corner<P> corner{w, operands, row, bias, y, y_row};
  const int most = panels_at_once<P>(rows);
  for (Long k = 0; k < w.steps(); k += kStepsABlock)
    for (Long panel = first; panel < last; panel += most) {
      const int panels = static_cast<int>(least(most, last - panel));
      for (Long r = 0; r < rows;) {
        const int n = next_tile_rows(rows - r, kMostRows<P>);
        corner.run(k, panel, panels, r, n);
        r += n;
      }
    }
}

#define PANTOUM_PRODUCTS(P) \
  template void product_panels<P>(const Panels<P>&, Long, Long, const char*, Long, Long, const float*, float*, Long);
PANTOUM_OWN_PRECISIONS(PANTOUM_PRODUCTS)

int pack(const pantoum_pack_args& a) { PANTOUM_CHOOSE_TRAINING_PRECISION(pack, a); }
int product(const pantoum_product_args& a) { PANTOUM_CHOOSE_PRECISION(product, a); }

std::int64_t packed_bytes(std::int64_t rows, std::int64_t depth, std::int64_t block, int precision, int transposed) {
  const Long columns = transposed ? depth : rows, k = transposed ? rows : depth, b = transposed ? depth : block;
  Long steps = precision == PANTOUM_INT8 ? steps_of<Int8>(k) + 2 : k;
#ifdef PANTOUM_HAS_BF16
  if (precision == PANTOUM_BF16) steps = steps_of<BFloat16>(k);
#endif
  return columns / b * up(b, kPanelColumns) * steps * static_cast<Long>(kStepBytes);
}

// Of codes a scan keeps rows of floats, until they are whole.
std::int64_t operand_bytes(std::int64_t rows, std::int64_t depth, int precision) {
#ifdef PANTOUM_HAS_BF16
  if (precision == PANTOUM_BF16) return rows * operand_row<BFloat16>(depth);
#endif
  return precision == PANTOUM_FLOAT32 || precision == PANTOUM_INT8 ? rows * operand_row<Float32>(depth) : 0;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
