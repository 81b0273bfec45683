// A packed matrix whose precision is known at run time only: a model's matrices may differ in it.
#pragma once

#include "../threads.h"
#include "kernels.h"
#include "product.h"

namespace pantoum {
namespace PANTOUM_ISA {

struct Matrix {
  const char* data;  // null: there is none
  Long columns, depth, block;
  int precision;

  explicit operator bool() const { return data != nullptr; }

  // Calls body(panels) with the panels of the precision's type.
  template <class Body>
  auto with_panels(Body&& body) const {
    switch (precision) {
#ifdef PANTOUM_HAS_BF16
      case PANTOUM_BF16: return body(Panels<BFloat16>{data, columns, depth, block});
#endif
      case PANTOUM_INT8:
#ifdef PANTOUM_HAS_VNNI
        if (use_vnni()) return body(Panels<Int8VNNI>{data, columns, depth, block});
#endif
        return body(Panels<Int8>{data, columns, depth, block});
      default: return body(Panels<Float32>{data, columns, depth, block});
    }
  }

  // Of a tile.
  int most_rows() const {
    return with_panels([](auto panels) { return most_rows_of(panels); });
  }
  Long row_bytes() const {
    return with_panels([&](auto panels) { return row_bytes_of(panels); });
  }
  // `rows` operand rows, row r made from row_of(r).
  template <class RowOf>
  void convert(char* operands, Long rows, RowOf&& row_of) const {
    with_panels([&](auto panels) {
      for (Long r = 0; r < rows; ++r) convert_to(panels, operands + r * row_bytes_of(panels), row_of(r));
    });
  }
  void times(Long panel, Long next, int gates, const char* operands, int rows, float* sums) const {
    with_panels([&](auto panels) { multiply(panels, panel, next, gates, operands, row_bytes_of(panels), rows, sums); });
  }
  // The share `part` of `parts` of all panels, for all rows.
  void times_all(int part, int parts, const char* operands, Long rows, const float* bias, float* y) const {
    with_panels([&](auto panels) {
      const Range own = part_of(panels.count(), part, parts);
      product_panels(panels, own.begin, own.end, operands, row_bytes_of(panels), rows, bias, y, columns);
    });
  }

 private:
  template <class P>
  static int most_rows_of(const Panels<P>&) {
    return kMostRows<P>;
  }
  template <class P>
  static Long row_bytes_of(const Panels<P>& panels) {
    return operand_row<P>(panels.depth);
  }
  template <class P>
  static void convert_to(const Panels<P>& panels, char* row, const float* x) {
    convert_row<P>(row, x, panels.depth);
  }
};

}  // namespace PANTOUM_ISA
}  // namespace pantoum
