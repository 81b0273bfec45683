// What this path does with packed matrices of any precision: with those of its own precisions itself, with the others
// what its base does.
#include "matrix.h"

#include "../threads.h"
#include "kernels.h"
#include "product.h"

namespace pantoum {
#ifdef PANTOUM_BASE
namespace PANTOUM_BASE {
extern const MatrixProducts matrix_products;
int step_by(const MatrixProducts& by, const pantoum_step_args& a);
}  // namespace PANTOUM_BASE
#endif
namespace PANTOUM_ISA {
#ifdef PANTOUM_BASE
using PANTOUM_BASE::step_by;
#else
int step_by(const MatrixProducts& by, const pantoum_step_args& a);
#endif
namespace {

#ifdef PANTOUM_BASE
#define PANTOUM_ELSE(call) PANTOUM_BASE::matrix_products.call
#else
#define PANTOUM_ELSE(call) static_cast<void>(0)  // all precisions are its own
#endif

// Calls body(P{}) for a precision of this path's own; false for another one.
template <class Body>
bool with_own(int precision, Body&& body) {
#ifdef PANTOUM_HAS_BF16
  if (precision == PANTOUM_BF16) return body(BFloat16{}), true;
#endif
#if defined(PANTOUM_HAS_AMX)
  if (precision == PANTOUM_INT8) return body(Int8VNNI{}), true;
#elif !defined(PANTOUM_BASE)
#ifdef PANTOUM_HAS_VNNI
  if (precision == PANTOUM_INT8 && use_vnni()) return body(Int8VNNI{}), true;
#endif
  if (precision == PANTOUM_INT8) return body(Int8{}), true;
  if (precision == PANTOUM_FLOAT32) return body(Float32{}), true;
#endif
  return false;
}

template <class P>
Panels<P> panels_of(P, const Matrix& w) {
  return {w.data, w.columns, w.depth, w.block};
}

Long row_bytes(int precision, Long depth) {
#ifdef PANTOUM_HAS_BF16
  if (precision == PANTOUM_BF16) return operand_row<BFloat16>(depth);
#endif
  return precision == PANTOUM_INT8 ? operand_row<Int8>(depth) : operand_row<Float32>(depth);
}

void convert(int precision, char* operand, const float* x, Long depth) {
  if (!with_own(precision, [&](auto p) { convert_row<decltype(p)>(operand, x, depth); }))
    PANTOUM_ELSE(convert_row(precision, operand, x, depth));
}

void times(const Matrix& w, Long panel, Long next, int gates, const char* operands, int rows, float* sums,
           Long gate_sums) {
  if (!with_own(w.precision, [&](auto p) {
        multiply(panels_of(p, w), panel, next, gates, operands, operand_row<decltype(p)>(w.depth), rows, sums,
                 gate_sums);
      }))
    PANTOUM_ELSE(times(w, panel, next, gates, operands, rows, sums, gate_sums));
}

void times_all(const Matrix& w, int part, int parts, const char* operands, Long rows, const float* bias, float* y) {
  if (!with_own(w.precision, [&](auto p) {
        const auto panels = panels_of(p, w);
        const Range own = part_of(panels.count(), part, parts);
        product_panels(panels, own.begin, own.end, operands, operand_row<decltype(p)>(w.depth), rows, bias, y,
                       w.columns);
      }))
    PANTOUM_ELSE(times_all(w, part, parts, operands, rows, bias, y));
}
#undef PANTOUM_ELSE

}  // namespace

extern const MatrixProducts matrix_products;
constexpr MatrixProducts matrix_products = {
#ifdef PANTOUM_HAS_BF16
    {PANTOUM_OK, PANTOUM_OK, PANTOUM_OK},
    {kMostRows<Float32>, kMostRows<BFloat16>, kHasUnit ? kUnitRows : kMostRows<Int8>},
#else
    {PANTOUM_OK, PANTOUM_UNSUPPORTED, PANTOUM_OK},
    {kMostRows<Float32>, 0, kMostRows<Int8>},
#endif
    kGateSums,
    row_bytes,
    convert,
    times,
    times_all,
};
static_assert(kMostTileRows <= kMostRowsOfAny, "a step has memory for the sums of so many rows");

int step(const pantoum_step_args& a) { return step_by(matrix_products, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
