// The cells' equations on sixteen units: what the scans over time and a single step both compute.
//
// A sum is the product of the state with a gate's weights, a drive all of the gate that is known
// before it. The equations in words stand in each cell's own file.
#pragma once

#include "activation.h"

namespace pantoum {
namespace PANTOUM_ISA {

inline F16 rnn_cell(F16 sum, F16 drive) { return tanh(sum + drive); }

// A gate between 0 and 1; and the mean of the old state and the candidate that such a gate weighs.
inline F16 gate_cell(F16 sum, F16 drive) { return sigmoid(sum + drive); }
inline F16 mix_cell(F16 z, F16 h, F16 candidate) { return fma(z, h - candidate, candidate); }

struct GruStep {
  F16 r, z;
  F16 inner;  // h W_n^T + b_n
  F16 candidate, h;
};
inline GruStep gru_cell(F16 sum_r, F16 sum_z, F16 sum_n, F16 drive_r, F16 drive_z, F16 drive_n, F16 bias, F16 h) {
  const F16 r = gate_cell(sum_r, drive_r), z = gate_cell(sum_z, drive_z), inner = sum_n + bias;
  const F16 candidate = tanh(fma(r, inner, drive_n));
  return {r, z, inner, candidate, mix_cell(z, h, candidate)};
}

struct LstmStep {
  F16 i, f, g, o, c, h;
};
inline LstmStep lstm_cell(const F16 (&sum)[4], const F16 (&drive)[4], F16 before) {
  const F16 i = gate_cell(sum[0], drive[0]), f = gate_cell(sum[1], drive[1]);
  const F16 g = tanh(sum[2] + drive[2]), o = gate_cell(sum[3], drive[3]);
  const F16 c = fma(f, before, i * g);
  return {i, f, g, o, c, o * tanh(c)};
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
