// Threads split the output, never the sum: each packs its own part of one operand and all of the
// other (packing is cheap beside the product), block after block of rows, and goes on with the sums
// of the block before. So the result is the same for any number of threads.
#include "weight_gradient.h"

#include "../scratch.h"
#include "../threads.h"
#include "corner.h"
#include "kernels.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kStepsABlock = kHasUnit ? 512 : 256;

// Columns begin .. end of `rows` as panels, for one block of rows; with room for one, as the first operand of corner.
template <class P, class E>
void pack_block(char* to, RowsOf<E> rows, Long first, Long count, Long begin, Long end, char* room = nullptr) {
  const Long steps = steps_of<P>(count), panel = steps * static_cast<Long>(kStepBytes);
  for (Long c = begin; c < end; c += kPanelColumns, to += panel) {
    char* const packed = room && P::kUnitFrom > 0 ? room : to;
    pack_steps(P{}, packed, rows.data + first * rows.stride + c, rows.stride, count,
               least(kPanelColumns, rows.width - c));
    if (room) as_rows<P>(packed, steps, to);
  }
}

struct Part {
  Long d_begin, d_end, x_begin, x_end;
};

// The larger side of the output is the one to split.
Part split(Long columns, Long depth, int part, int parts) {
  const bool by_rows = columns >= depth;
  const Range r = part_of(up(by_rows ? columns : depth, kPanelColumns), part, parts);
  const Long begin = r.begin * kPanelColumns, end = least(r.end * kPanelColumns, by_rows ? columns : depth);
  return by_rows ? Part{begin, end, 0, depth} : Part{0, columns, begin, end};
}

}  // namespace

template <class P, class D, class X>
int weight_gradient_of(RowsOf<D> d, RowsOf<X> x, Long count, float* out, bool resume) {
  auto part = [&](int index, int parts) -> int {
    const Part p = split(d.width, x.width, index, parts);
    if (p.d_begin >= p.d_end || p.x_begin >= p.x_end) return PANTOUM_OK;
    const Long rows_a_block = kStepsABlock * P::kPair, panel = kStepsABlock * static_cast<Long>(kStepBytes);
    Layout layout;
    const std::size_t d_at = layout.reserve(static_cast<std::size_t>(up(p.d_end - p.d_begin, kPanelColumns) * panel));
    const std::size_t x_at = layout.reserve(static_cast<std::size_t>(up(p.x_end - p.x_begin, kPanelColumns) * panel));
    const std::size_t room = layout.reserve(static_cast<std::size_t>(P::kUnitFrom > 0 ? panel : 0));
    char* scratch = thread_scratch(layout.size());
    if (!scratch) return PANTOUM_OUT_OF_MEMORY;
    for (Long first = 0; first == 0 || first < count; first += rows_a_block) {
      const Long n = least(rows_a_block, count - first), steps = steps_of<P>(n);
      const Long bytes = steps * static_cast<Long>(kStepBytes);
      pack_block<P>(scratch + d_at, d, first, n, p.d_begin, p.d_end, scratch + room);
      pack_block<P>(scratch + x_at, x, first, n, p.x_begin, p.x_end);
      for (Long k = p.x_begin; k < p.x_end; k += kPanelColumns)
        for (Long g = p.d_begin; g < p.d_end; g += kPanelColumns)
          corner<P>(scratch + d_at + (g - p.d_begin) / kPanelColumns * bytes,
                    scratch + x_at + (k - p.x_begin) / kPanelColumns * bytes, steps, out + g * x.width + k, x.width,
                    least(kPanelColumns, p.d_end - g), least(kPanelColumns, p.x_end - k), resume || first > 0);
    }
    return PANTOUM_OK;
  };
  return run_parts(thread_count(), part);
}

#ifndef PANTOUM_BASE
template int weight_gradient_of<Float32>(RowsOf<float>, RowsOf<float>, Long, float*, bool);
#endif
#ifdef PANTOUM_HAS_BF16
template int weight_gradient_of<BFloat16>(RowsOf<float>, RowsOf<float>, Long, float*, bool);
template int weight_gradient_of<BFloat16>(RowsOf<Half>, RowsOf<Half>, Long, float*, bool);
#endif

namespace {

template <class P>
int weight_gradient_as(const pantoum_weight_gradient_args& a) {
  return weight_gradient_of<P>(RowsOf<float>{a.d, a.columns, a.columns}, RowsOf<float>{a.x, a.depth, a.depth}, a.count,
                               a.out, a.resume != 0);
}

}  // namespace

int weight_gradient(const pantoum_weight_gradient_args& a) { PANTOUM_CHOOSE_TRAINING_PRECISION(weight_gradient, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
