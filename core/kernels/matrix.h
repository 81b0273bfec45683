// Packed matrices whose precision is known at run time only: those of a model may differ in it.
//
// What a path does with them is a table of functions, so that the step of a whole model is compiled once for all paths
// that have the same vectors.
#pragma once

#include <cstddef>

#include "../pantoum_core.h"

namespace pantoum {

constexpr int kMostRowsOfAny = 32;  // of a tile on any path

struct Matrix {
  const char* data;  // null: there is none
  std::ptrdiff_t columns, depth, block;
  int precision;

  explicit operator bool() const { return data != nullptr; }
};

struct MatrixProducts {
  using Long = std::ptrdiff_t;
  int status[3];                                 // by precision: PANTOUM_OK, or why there is no such matrix
  int most_rows[3];                              // of a tile, by precision
  Long gate_sums;                                // floats from the sums of a gate to those of the next one (product.h)
  Long (*row_bytes)(int precision, Long depth);  // of an operand
  void (*convert_row)(int precision, char* operand, const float* x, Long depth);
  // The panels of the same units in some gates, which are `next` panels apart, times the operand rows of a tile.
  void (*times)(const Matrix& w, Long panel, Long next, int gates, const char* operands, int rows, float* sums,
                Long gate_sums);
  // The share `part` of `parts` of all panels, for all rows.
  void (*times_all)(const Matrix& w, int part, int parts, const char* operands, Long rows, const float* bias, float* y);
};

// Bytes of an operand of a matrix.
inline std::ptrdiff_t row_bytes(const MatrixProducts& by, const Matrix& matrix) {
  return by.row_bytes(matrix.precision, matrix.depth);
}
// Of an operand in any precision; codes need less than floats.
inline std::ptrdiff_t longest_row(const MatrixProducts& by, std::ptrdiff_t depth) {
  const std::ptrdiff_t pairs = by.status[PANTOUM_BF16] == PANTOUM_OK ? by.row_bytes(PANTOUM_BF16, depth) : 0;
  const std::ptrdiff_t floats = by.row_bytes(PANTOUM_FLOAT32, depth);
  return pairs > floats ? pairs : floats;
}
// `rows` operand rows of a matrix, row r made from row_of(r).
template <class RowOf>
void convert(const MatrixProducts& by, const Matrix& matrix, char* operands, std::ptrdiff_t rows, RowOf&& row_of) {
  const std::ptrdiff_t bytes = row_bytes(by, matrix);
  for (std::ptrdiff_t r = 0; r < rows; ++r)
    by.convert_row(matrix.precision, operands + r * bytes, row_of(r), matrix.depth);
}

}  // namespace pantoum
