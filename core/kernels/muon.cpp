// Muon: the momentum of a block of a weight, made orthogonal, is the update (Jordan et al. 2024).
//
// A task is one block, whole: no thread waits for another, and threads change no bit. The block lies as
// y [n, m], n >= m, turned over where it is wider than high (the transposed matrix has the transposed
// result). Then y^T y and its square are symmetric, both operands of such a product are the same panels, and only
// the panels up to the diagonal are computed: 2 m^3 multiply-adds a round for a square block instead of 3.
// y itself stays float32; operands are rounded where the precision is bf16.
#include "corner.h"
#include "kernels.h"
#include "reduce.h"

#include "../scratch.h"
#include "../threads.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr float kSmallestNorm = 1e-7f;

template <class P>
class Block {
 public:
  Block(const pantoum_muon_args& a, Long index)
      : a_(a),
        parameter_(a.parameters[index]),
        gradient_(a.gradients[index]),
        momentum_(a.momenta[index]),
        rate_(a.rates[index]),
        rows_(a.sizes[2 * index]),
        depth_(a.sizes[2 * index + 1]),
        turned_(rows_ < depth_),
        n_(turned_ ? depth_ : rows_),
        m_(turned_ ? rows_ : depth_),
        row_(operand_row<P>(m_)) {}

  int update() {
    if (n_ == 0 || m_ == 0) return PANTOUM_OK;
    Layout layout;
    const Long panels = up(m_, kPanelColumns) * steps_of<P>(n_) * static_cast<Long>(kStepBytes);
    const std::size_t floats = sizeof(float), square = static_cast<std::size_t>(m_ * m_) * floats;
    const std::size_t y = layout.reserve(static_cast<std::size_t>(n_ * m_) * floats), gram = layout.reserve(square),
                      mix = layout.reserve(square), packed = layout.reserve(static_cast<std::size_t>(panels)),
                      operand = layout.reserve(static_cast<std::size_t>(n_ * row_)),
                      turned = layout.reserve(static_cast<std::size_t>(P::kUnitFrom > 0 ? panels : 0));
    char* scratch = thread_scratch(layout.size());
    if (!scratch) return PANTOUM_OUT_OF_MEMORY;
    y_ = reinterpret_cast<float*>(scratch + y);
    gram_ = reinterpret_cast<float*>(scratch + gram);
    mix_ = reinterpret_cast<float*>(scratch + mix);
    panels_ = scratch + packed;
    operand_ = scratch + operand;
    as_rows_ = scratch + turned;
    begin();
    for (Long step = 0; step < a_.steps; ++step) round(a_.coefficients + 3 * step);
    apply();
    return PANTOUM_OK;
  }

 private:
  // The momentum moves on, and y becomes what it gives, at norm 1.
  void begin() {
    const F16 beta = broadcast(a_.beta), share = broadcast(a_.share);
    double total = 0.0;
    for (Long r = 0; r < rows_; ++r) {
      F16 sum = zero();
      each_lanes(0, depth_, [&](Long k, auto n) {
        const F16 g = load(gradient_ + r * depth_ + k, n) * share;
        const F16 moved = fma(load(momentum_ + r * depth_ + k, n), beta, g);
        store(momentum_ + r * depth_ + k, moved, n);
        const F16 u = fma(moved, beta, g);
        sum = fma(u, u, sum);
        if (!turned_) return store(y_ + r * m_ + k, u, n);
        alignas(64) float lane[kLanes];
        store(lane, u);
        for (int i = 0; i < n; ++i) y_[(k + i) * m_ + r] = lane[i];
      });
      total += static_cast<double>(sum_lanes(sum));
    }
    const float norm = static_cast<float>(__builtin_sqrt(total));
    const F16 by = broadcast(1.0f / (norm > kSmallestNorm ? norm : kSmallestNorm));
    each_lanes(0, n_ * m_, [&](Long i, auto n) { store(y_ + i, load(y_ + i, n) * by, n); });
  }

  // y <- a y + y (b G + c G^2) with G = y^T y.
  void round(const float* abc) {
    pack(y_, n_);
    symmetric(n_, gram_, [](Long, int) {});
    pack(gram_, m_);
    const F16 a = broadcast(abc[0]), b = broadcast(abc[1]), c = broadcast(abc[2]);
    symmetric(m_, mix_, [&](Long i, int n) { store(mix_ + i, fma(load(mix_ + i, n), c, load(gram_ + i, n) * b), n); });
    pack(mix_, m_);
    for (Long r = 0; r < n_; ++r) {
      convert_row<P>(operand_ + r * row_, y_ + r * m_, m_);
      each_lanes(0, m_, [&](Long k, auto n) { store(y_ + r * m_ + k, load(y_ + r * m_ + k, n) * a, n); });
    }
    const Long steps = steps_of<P>(m_), bytes = steps * static_cast<Long>(kStepBytes);
    for (Long c0 = 0; c0 < m_; c0 += kPanelColumns)
      for (Long r = 0; r < n_;) {
        const int rows = next_tile_rows(n_ - r, kMostRows<P>);
        tile_into<P>(TileArguments{operand_ + r * row_, row_, 4, panels_ + c0 / kPanelColumns * bytes, 0, steps,
                                   y_ + r * m_ + c0, m_, 0, true},
                     rows, least(kPanelColumns, m_ - c0));
        r += rows;
      }
  }

  // The columns of x [depth, m] as panels along its rows.
  void pack(const float* x, Long depth) {
    char* to = panels_;
    for (Long c = 0; c < m_; c += kPanelColumns, to += steps_of<P>(depth) * static_cast<Long>(kStepBytes))
      pack_steps(P{}, to, x + c, m_, depth, least(kPanelColumns, m_ - c));
  }

  // out = x^T x of what the panels hold: the upper half, each of its corners finished (`finish(at, n)`: n elements)
  // while it is at hand, and its mirror image.
  template <class Finish>
  void symmetric(Long depth, float* out, Finish&& finish) {
    const Long steps = steps_of<P>(depth), bytes = steps * static_cast<Long>(kStepBytes);
    const char* const rows = as_rows<P>(panels_, steps * up(m_, kPanelColumns), as_rows_);
    for (Long k = 0; k < m_; k += kPanelColumns)
      for (Long g = 0; g <= k; g += kPanelColumns) {
        const Long high = least(kPanelColumns, m_ - g), wide = least(kPanelColumns, m_ - k);
        corner<P>(rows + g / kPanelColumns * bytes, panels_ + k / kPanelColumns * bytes, steps, out + g * m_ + k, m_,
                  high, wide, false);
        for (Long i = 0; i < high; ++i)
          for (int v = 0; v < kPanelVectors && lanes(wide, v) > 0; ++v)
            finish((g + i) * m_ + k + v * kLanes, lanes(wide, v));
        for (Long i = 0; g < k && i < wide; ++i)
          for (Long j = 0; j < high; ++j) out[(k + i) * m_ + g + j] = out[(g + j) * m_ + k + i];
      }
  }

  void apply() {
    const F16 keep = broadcast(a_.keep), rate = broadcast(-rate_);
    for (Long r = 0; r < rows_; ++r)
      each_lanes(0, depth_, [&](Long k, auto n) {
        float* p = parameter_ + r * depth_ + k;
        alignas(64) float lane[kLanes] = {};
        for (int i = 0; turned_ && i < n; ++i) lane[i] = y_[(k + i) * m_ + r];
        store(p, fma(turned_ ? load(lane) : load(y_ + r * m_ + k, n), rate, load(p, n) * keep), n);
      });
  }

  const pantoum_muon_args& a_;
  float* const parameter_;
  const float* const gradient_;
  float* const momentum_;
  const float rate_;
  const Long rows_, depth_;
  const bool turned_;
  const Long n_, m_, row_;
  float *y_ = nullptr, *gram_ = nullptr, *mix_ = nullptr;
  char *panels_ = nullptr, *operand_ = nullptr, *as_rows_ = nullptr;
};

template <class P>
int muon_as(const pantoum_muon_args& a) {
  return run_each(static_cast<int>(a.count), [&](int index) { return Block<P>(a, index).update(); });
}

}  // namespace

int muon(const pantoum_muon_args& a) { PANTOUM_CHOOSE_TRAINING_PRECISION(muon, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
