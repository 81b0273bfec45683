// One token for each row of a batch through a whole model: table or embedding, layers, head.
//
// The states are updated in place. With 8 rows a thread, each takes blocks of rows through everything
// and meets nobody, so that scratch memory is that of a block however many rows there are. With fewer
// rows the threads share the units: each makes operands of the old states of all layers, they meet,
// and from there on once a layer, when all of its new state is written. What is cheap (operands of a
// few rows, normalisation) each thread does for itself; what the n-grams say is added by whoever made these
// columns of the logits. The arithmetic of a row is that of a scan of
// one step, in the same order: the same bits.
#include "cells.h"
#include "matrix.h"
#include "ngrams.h"
#include "normalise.h"
#include "row_sum.h"
#include "scan.h"

#include "../scratch.h"

#include <atomic>

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kRowsABlock = 80;  // operands of 80 rows, twice, and the panels of a unit stay in the second cache

// How many bytes a thread needs for itself, and all need together, for so many rows.
struct Places {
  Layout own, shared;
  std::size_t inputs, x, states, output[2], gates, ngrams, products, projected;
  Long state_bytes;

  // `early`: the gates of a first product that a second one waits for.
  Places(const pantoum_step_args& a, int early, Long rows, bool alone) {
    Long depth = a.units;
    for (Long l = 0; l < a.layer_count; ++l) depth = depth > a.layers[l].inputs ? depth : a.layers[l].inputs;
    depth = depth > a.head_inputs ? depth : a.head_inputs;
    const std::size_t floats = static_cast<std::size_t>(rows * a.units) * sizeof(float);
    inputs = own.reserve(static_cast<std::size_t>(rows) * sizeof(const float*));
    x = own.reserve(static_cast<std::size_t>(rows * operand_row<Float32>(depth)));  // float32 rows are the longest
    state_bytes = rows * operand_row<Float32>(a.units);
    states = own.reserve(static_cast<std::size_t>((alone ? 1 : a.layer_count) * state_bytes));
    for (std::size_t& buffer : output) buffer = own.reserve(floats);
    gates = own.reserve(static_cast<std::size_t>(early) * floats);
    ngrams = own.reserve(a.ngrams ? static_cast<std::size_t>(rows * a.order_count) * sizeof(Long) : 0);
    Layout& common = alone ? own : shared;
    products = common.reserve(early > 0 ? floats : 0);
    projected = common.reserve(static_cast<std::size_t>(rows * a.head_inputs) * sizeof(float));
  }
};

template <class Cell>
constexpr int early_gates() {
  return Cell::kTwice ? Cell::kSums : 0;
}

// What the equations of a cell see: sixteen units of a row, or the first few.
template <class N, class Input>
struct Given {
  const Place at;
  const N n;
  const float* sums;
  const Input& known;
  const float* gates;  // of a first product
  const Long gate_stride;
  const float* bias_H;
  const F16 h, c;

  F16 sum(int gate) const { return load(sums + gate * kGateSums); }
  F16 input(int gate) const { return known(gate); }
  F16 gate(int gate) const { return load(gates + gate * gate_stride, n); }
  F16 bias() const { return load(bias_H + at.unit, n); }
};

// What one thread does of some rows.
template <class Cell>
class Part {
 public:
  Part(const pantoum_step_args& a, const Places& places, Long first, Long rows, int index, int parts, Barrier* barrier,
       char* own, char* shared)
      : a_(a),
        H_(a.units),
        first_(first),
        rows_(rows),
        index_(index),
        parts_(parts),
        barrier_(barrier),
        share_{0, rows, part_of(up(a.units, kPanelColumns), index, parts).begin,
               part_of(up(a.units, kPanelColumns), index, parts).end, barrier != nullptr},
        inputs_(reinterpret_cast<const float**>(own + places.inputs)),
        x_(own + places.x),
        states_(own + places.states),
        output_{reinterpret_cast<float*>(own + places.output[0]), reinterpret_cast<float*>(own + places.output[1])},
        gates_(reinterpret_cast<float*>(own + places.gates)),
        ngrams_(reinterpret_cast<Long*>(own + places.ngrams)),
        products_(reinterpret_cast<float*>(shared + places.products)),
        projected_(reinterpret_cast<float*>(shared + places.projected)),
        state_bytes_(places.state_bytes) {}

  void run() const {
    if (a_.ngrams) find();
    if (barrier_) {
      for (Long l = 0; l < a_.layer_count; ++l) enter(l);
      meet();
    }
    if (a_.ngrams && index_ == 0) keep();  // now that all have seen the tokens before
    for (Long r = 0; r < rows_; ++r)
      inputs_[r] = a_.embedding ? a_.embedding + a_.tokens[first_ + r] * a_.layers[0].inputs : nullptr;
    for (Long l = 0; l < a_.layer_count; ++l) {
      if (!barrier_) enter(l);
      const Matrix input = input_of(l);
      if (input) input.convert(x_, rows_, [&](Long r) { return inputs_[r]; });
      advance(l, input);
      meet();
      leave(l);
    }
    finish();
  }

 private:
  Matrix input_of(Long l) const {
    const pantoum_layer_args& layer = a_.layers[l];
    return {static_cast<const char*>(layer.input), Cell::kGates * H_, layer.inputs, H_, layer.input_precision};
  }
  Matrix recurrent_of(Long l) const {
    const pantoum_layer_args& layer = a_.layers[l];
    return {static_cast<const char*>(layer.recurrent), Cell::kSums * H_, H_, H_, layer.recurrent_precision};
  }
  Matrix second_of(Long l) const {
    const pantoum_layer_args& layer = a_.layers[l];
    return {static_cast<const char*>(layer.more_recurrent), (Cell::kGates - Cell::kSums) * H_, H_, H_,
            layer.recurrent_precision};
  }
  float* hidden(Long l) const { return a_.layers[l].hidden + first_ * H_; }
  char* operands(Long l) const { return states_ + (barrier_ ? l * state_bytes_ : 0); }
  void meet() const {
    if (barrier_) barrier_->wait(parts_);
  }

  // The table's rows of the n-grams that end here.
  void find() const {
    for (Long r = 0; r < rows_; ++r) find_rows(a_, a_.tokens[first_ + r], recent(r), ngrams_ + r * a_.order_count);
  }
  void keep() const {
    for (Long r = 0; r < rows_; ++r) keep_token(a_.tokens[first_ + r], a_.recent_kept, recent(r));
  }
  float* recent(Long r) const { return a_.recent + (first_ + r) * a_.recent_kept; }

  // The operands of a layer's old states.
  void enter(Long l) const {
    const Matrix w = recurrent_of(l);
    if (w) w.convert(operands(l), rows_, [&](Long r) { return hidden(l) + r * H_; });
  }

  // The input projection of a gate: the input's product and bias, or of tokens a row of the table.
  struct Projection {
    const float* sums;  // of the input's product, or null
    const float* bias;  // [G], or the row
    Long H;
    template <class N>
    F16 at(int gate, Place place, N n, Long sum, const float* row) const {
      const F16 known = load((row ? row : bias) + gate * H + place.unit, n);
      return sums ? load(sums + gate * kGateSums + sum) + known : known;
    }
  };
  const float* table_row(Long r) const {  // the first layer's
    return a_.table + a_.tokens[first_ + r] * Cell::kGates * H_;
  }

  // Calls body(what the cell's equations see, place, lanes) for every vector of a layer's states, with the products of
  // the gates first .. end - 1.
  template <class Body>
  void each(Long l, const Matrix& input, const Matrix& w, int first, int end, Body&& body) const {
    alignas(64) float sums[Cell::kGates * kGateSums];
    alignas(64) float given[Cell::kGates * kGateSums];
    const pantoum_layer_args& layer = a_.layers[l];
    const Long next = up(H_, kPanelColumns), x_row = input ? input.row_bytes() : 0, h_row = w ? w.row_bytes() : 0;
    const Projection projection{input ? given : nullptr, layer.input_bias, H_};
    each_tile(share_, [&](Long panel, Long r, int count) {
      if (input) input.times(panel + first * next, next, end - first, x_ + r * x_row, count, given + first * kGateSums);
      if (w) w.times(panel, next, end - first, operands(l) + r * h_row, count, sums + first * kGateSums);
      each_vector(0, rows_, H_, panel, r, count, [&](Place at, auto n, Long sum) {
        const float* row = input ? nullptr : table_row(at.b);
        const auto input_of = [&](int gate) { return projection.at(gate, at, n, sum, row); };
        body(Given<decltype(n), decltype(input_of)>{at, n, sums + sum, input_of, gate(at, 0), rows_ * H_, layer.bias,
                                                    load(hidden(l) + unit(at), n),
                                                    Cell::kMemory ? load(memory(l) + unit(at), n) : zero()},
             at, n);
      });
    });
  }

  // The new state of a layer.
  void advance(Long l, const Matrix& input) const {
    if constexpr (Cell::kTwice) early(l, input);
    constexpr int first = early_gates<Cell>();
    const Matrix w = Cell::kTwice ? second_of(l) : recurrent_of(l);
    each(l, input, w, first, Cell::kGates, [&](const auto& x, Place at, auto n) {
      const typename Cell::Forward found = Cell::forward(x);
      if (Cell::kMemory) store(memory(l) + unit(at), found.c, n);
      store(hidden(l) + unit(at), found.h, n);
    });
  }

  // The gates of the first product, and the operands of the second, which waits for all units of the first.
  void early(Long l, const Matrix& input) const {
    each(l, input, recurrent_of(l), 0, Cell::kSums, [&](const auto& x, Place at, auto n) {
      const typename Cell::Early found = Cell::early(x);
      for (int g = 0; g < Cell::kSums; ++g) store(gate(at, g), found.gate[g], n);
      store(products_ + unit(at), found.operand, n);
    });
    meet();
    second_of(l).convert(operands(l), rows_, [&](Long r) { return products_ + r * H_; });
  }
  float* memory(Long l) const { return a_.layers[l].cell + first_ * H_; }
  float* gate(Place at, int g) const { return gates_ + g * rows_ * H_ + unit(at); }
  Long unit(Place at) const { return at.b * H_ + at.unit; }

  // A layer's outputs become the next one's inputs: normalised, and with its own inputs added.
  void leave(Long l) const {
    const pantoum_layer_args& layer = a_.layers[l];
    for (Long r = 0; r < rows_; ++r) {
      const float* y = hidden(l) + r * H_;
      float* out = output_[l % 2] + r * H_;
      if (layer.norm_weight) {
        normalise_row(y, layer.norm_weight, layer.norm_bias, H_, out, out);
        y = out;
      }
      if (layer.residual) {
        add_input(y, inputs_[r], a_.tokens[first_ + r], out);
        y = out;
      }
      inputs_[r] = y;
    }
  }
  // A row of the first layer without an embedding is 1 at its token.
  void add_input(const float* y, const float* x, Long token, float* out) const {
    for (Long u = 0; u < H_; ++u) out[u] = y[u] + (x ? x[u] : u == token ? 1.0f : 0.0f);
  }

  void finish() const {
    const Long E = a_.head_inputs;
    const Matrix projection{static_cast<const char*>(a_.projection), E, H_, E, a_.projection_precision};
    const Matrix head{static_cast<const char*>(a_.head), a_.vocabulary, E, a_.vocabulary, a_.head_precision};
    if (projection) {
      projection.convert(x_, rows_, [&](Long r) { return inputs_[r]; });
      projection.times_all(index_, parts_, x_, rows_, nullptr, projected_);
      meet();
      for (Long r = 0; r < rows_; ++r) inputs_[r] = projected_ + r * E;
    }
    head.convert(x_, rows_, [&](Long r) { return inputs_[r]; });
    float* logits = a_.logits + (first_ - a_.first) * a_.vocabulary;
    head.times_all(index_, parts_, x_, rows_, a_.head_bias, logits);
    if (a_.ngrams) add_ngrams(logits);
  }

  // To the columns of the panels that are this thread's share of the head.
  void add_ngrams(float* logits) const {
    const Long V = a_.vocabulary;
    const Range panels = part_of(up(V, kPanelColumns), index_, parts_);
    for (Long r = 0; r < rows_; ++r, logits += V) {
      const Long* own = ngrams_ + r * a_.order_count;
      each_lanes(panels.begin * kPanelColumns, least(panels.end * kPanelColumns, V), [&](Long c, int n) {
        const F16 said = sum_of_rows(a_.ngrams, V, a_.order_count, c, n, [&](Long o) { return own[o]; });
        store(logits + c, load(logits + c, n) + said, n);
      });
    }
  }

  const pantoum_step_args& a_;
  const Long H_, first_, rows_;
  const int index_, parts_;
  Barrier* const barrier_;
  const Share share_;
  const float** const inputs_;  // of the layer at hand, a row each
  char* const x_;
  char* const states_;
  float* const output_[2];
  float* const gates_;     // of a first product
  Long* const ngrams_;     // [rows, orders]
  float* const products_;  // operands of a second product
  float* const projected_;
  const Long state_bytes_;
};

// On a machine with other work, whoever waits at a meeting may wait for a time slice of it, which is many
// steps long. After such a step the next ones are done alone, twice as many after each further one.
constexpr int kFewestAlone = 32, kMostAlone = 1024;
std::atomic<int> steps_alone{0};
std::atomic<int> next_alone{kFewestAlone};

template <class Cell>
int step_together(const pantoum_step_args& a, int most) {
  const Places places(a, early_gates<Cell>(), a.count, false);
  const std::size_t own = (places.own.size() + 127) / 64 * 64;
  char* memory = thread_scratch(places.shared.size() + own * static_cast<std::size_t>(most));
  if (!memory) return PANTOUM_OUT_OF_MEMORY;
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    char* mine = memory + places.shared.size() + own * static_cast<std::size_t>(index);
    Part<Cell>(a, places, a.first, a.count, index, parts, &barrier, mine, memory).run();
    return PANTOUM_OK;
  };
  const int status = run_parts(most, part);
  const int next = next_alone.load(std::memory_order_relaxed);
  if (barrier.crowded()) steps_alone.store(next, std::memory_order_relaxed);
  next_alone.store(!barrier.crowded() ? kFewestAlone : next < kMostAlone ? 2 * next : next, std::memory_order_relaxed);
  return status;
}

bool has_company() {
  const int left = steps_alone.load(std::memory_order_relaxed);
  if (left > 0) steps_alone.store(left - 1, std::memory_order_relaxed);
  return left <= 0;
}

template <class Cell>
int step_blocks(const pantoum_step_args& a) {
  const Long threads = thread_count();
  const Long tasks =
      least(a.count, up(up(a.count, kRowsABlock), threads) * (a.count < kRowsAThread * threads ? 1 : threads));
  return run_each(static_cast<int>(tasks), [&](int task) -> int {
    const Range rows = part_of(a.count, task, static_cast<int>(tasks));
    const Places places(a, early_gates<Cell>(), rows.end - rows.begin, true);
    char* memory = thread_scratch(places.own.size());
    if (!memory) return PANTOUM_OUT_OF_MEMORY;
    Part<Cell>(a, places, a.first + rows.begin, rows.end - rows.begin, 0, 1, nullptr, memory, memory).run();
    return PANTOUM_OK;
  });
}

int refusal(int precision) {
#ifndef PANTOUM_HAS_BF16
  if (precision == PANTOUM_BF16) return PANTOUM_UNSUPPORTED;
#endif
  return precision >= PANTOUM_FLOAT32 && precision <= PANTOUM_INT8 ? PANTOUM_OK : PANTOUM_BAD_ARGUMENT;
}

}  // namespace

int step(const pantoum_step_args& a) {
  if (a.layer_count < 1) return PANTOUM_BAD_ARGUMENT;
  int refused = refusal(a.head_precision);
  if (refused == PANTOUM_OK) refused = refusal(a.projection_precision);
  for (Long l = 0; l < a.layer_count && refused == PANTOUM_OK; ++l) {
    refused = refusal(a.layers[l].input_precision);
    if (refused == PANTOUM_OK) refused = refusal(a.layers[l].recurrent_precision);
  }
  if (refused != PANTOUM_OK) return refused;
  return with_cell(a.kind, [&](auto cell) {
    using Cell = decltype(cell);
    const Long threads = thread_count(), H = a.units;
    const Long work = a.count * (a.layer_count * 2 * Cell::kGates * H * H + a.vocabulary * a.head_inputs);
    if (threads > 1 && a.count < kRowsAThread * threads && work >= kSmallestShared && has_company())
      return step_together<Cell>(a, static_cast<int>(least(threads, up(H, kPanelColumns))));
    return step_blocks<Cell>(a);
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
