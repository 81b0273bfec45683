// One token for each row of a batch through a whole model: members (table or embedding, layers), head.
//
// The states are updated in place. With 8 rows per thread, each thread takes blocks of rows through everything and
// meets no other, so that scratch memory is that of a block however many rows there are. With fewer rows the threads
// share the work of the same rows. As many members as the threads can take alone, the same number each, are taken
// alone, without a meeting; the units of the other members (of the one member, usually) are shared: each thread makes
// operands of the old states of all layers, they meet, and from there on once per layer, when all of its new state is
// written. Then the threads share the columns of the head. What is cheap (operands of a few rows, normalisation) each
// thread does for itself; the n-grams' logits are added by whoever made these columns. They meet again to mix counts
// in, of which each takes whole rows. The arithmetic of a row is that of a scan of one step, in the same order: the
// same bits.
#include "cells.h"
#include "counts.h"
#include "matrix.h"
#include "ngrams.h"
#include "row_sum.h"
#include "scan.h"

#include "../scratch.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kMostGateSums = kMostRowsOfAny * kPanelColumns + kLanes;  // of any path with these vectors
constexpr Long kRowsABlock = 80;  // operands of 80 rows, twice, and the panels of a unit stay in the second cache

// How many bytes a thread needs for itself, and all need together, for so many rows.
struct Places {
  const MatrixProducts& products_of;
  Layout own, shared;
  std::size_t inputs, x, states, output[2], gates, ngrams, counts, products, shared_products, joined, projected;
  Long state_bytes;

  // `early`: the gates of a first product that a second one waits for.
  Places(const pantoum_step_args& a, const MatrixProducts& by, int early, Long rows, bool alone) : products_of(by) {
    const Long width = a.member_count * a.units;
    Long depth = width > a.head_inputs ? width : a.head_inputs;
    for (Long m = 0; m < a.member_count; ++m)
      for (Long l = 0; l < a.layer_count; ++l)
        depth = depth > a.members[m].layers[l].inputs ? depth : a.members[m].layers[l].inputs;
    const std::size_t floats = static_cast<std::size_t>(rows * a.units) * sizeof(float);
    inputs = own.reserve(static_cast<std::size_t>(rows) * sizeof(const float*));
    x = own.reserve(static_cast<std::size_t>(rows * longest_row(by, depth)));
    state_bytes = rows * longest_row(by, a.units);
    states = own.reserve(static_cast<std::size_t>((alone ? 1 : a.layer_count) * state_bytes));
    for (std::size_t& buffer : output) buffer = own.reserve(floats);
    gates = own.reserve(static_cast<std::size_t>(early) * floats);
    ngrams = own.reserve(a.ngrams ? static_cast<std::size_t>(rows * a.order_count) * sizeof(Long) : 0);
    counts = own.reserve(a.counts ? static_cast<std::size_t>(Counted::scratch(a.vocabulary)) * sizeof(float) : 0);
    Layout& common = alone ? own : shared;
    products = own.reserve(early > 0 ? floats : 0);
    shared_products = shared.reserve(early > 0 && !alone ? floats : 0);
    joined = common.reserve(a.member_count > 1 ? static_cast<std::size_t>(rows * width) * sizeof(float) : 0);
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
  const Long gate_sums;
  const Input& known;
  const float* gates;  // of a first product
  const Long gate_stride;
  const float* bias_H;
  const F16 h, c;

  F16 sum(int gate) const { return load(sums + gate * gate_sums); }
  F16 input(int gate) const { return known(gate); }
  F16 gate(int gate) const { return load(gates + gate * gate_stride, n); }
  F16 bias() const { return load(bias_H + at.unit, n); }
};

// Rows of a batch, and who takes them: the threads `index` of `parts`, which meet at the barrier; without one, a thread
// alone.
struct Rows {
  Long first, count;
  int index, parts;
  Barrier* barrier;
  char *own, *shared;  // scratch memory, laid out by Places

  void meet() const {
    if (barrier) barrier->wait(parts);
  }
  // The same rows, all of them by this thread.
  Rows alone() const { return {first, count, 0, 1, nullptr, own, shared}; }
  template <class T>
  T* own_at(std::size_t place) const {
    return reinterpret_cast<T*>(own + place);
  }
  // Memory of all who take these rows.
  template <class T>
  T* common_at(std::size_t place) const {
    return reinterpret_cast<T*>((barrier ? shared : own) + place);
  }
};

// The layers of one member.
template <class Cell>
class Layers {
 public:
  Layers(const pantoum_step_args& a, const Places& places, const Rows& rows, Long member)
      : a_(a),
        member_(a.members[member]),
        H_(a.units),
        first_(rows.first),
        rows_(rows.count),
        who_(rows),
        by_(places.products_of),
        share_{0, rows.count, part_of(up(a.units, kPanelColumns), rows.index, rows.parts).begin,
               part_of(up(a.units, kPanelColumns), rows.index, rows.parts).end, rows.barrier != nullptr},
        inputs_(rows.own_at<const float*>(places.inputs)),
        x_(rows.own_at<char>(places.x)),
        states_(rows.own_at<char>(places.states)),
        output_{rows.own_at<float>(places.output[0]), rows.own_at<float>(places.output[1])},
        gates_(rows.own_at<float>(places.gates)),
        products_(rows.barrier ? rows.common_at<float>(places.shared_products) : rows.own_at<float>(places.products)),
        state_bytes_(places.state_bytes) {}

  // The new states; the places of `inputs` point to the outputs of the last layer afterwards.
  void run() const {
    if (who_.barrier) {
      for (Long l = 0; l < a_.layer_count; ++l) enter(l);
      who_.meet();
    }
    for (Long r = 0; r < rows_; ++r)
      inputs_[r] = member_.embedding ? member_.embedding + a_.tokens[first_ + r] * member_.layers[0].inputs : nullptr;
    for (Long l = 0; l < a_.layer_count; ++l) {
      if (!who_.barrier) enter(l);
      const Matrix input = input_of(l);
      if (input) convert(by_, input, x_, rows_, [&](Long r) { return inputs_[r]; });
      advance(l, input);
      who_.meet();
      leave(l);
    }
  }

 private:
  Matrix input_of(Long l) const {
    const pantoum_layer_args& layer = member_.layers[l];
    return {static_cast<const char*>(layer.input), Cell::kGates * H_, layer.inputs, H_, layer.input_precision};
  }
  Matrix recurrent_of(Long l) const {
    const pantoum_layer_args& layer = member_.layers[l];
    return {static_cast<const char*>(layer.recurrent), Cell::kSums * H_, H_, H_, layer.recurrent_precision};
  }
  Matrix second_of(Long l) const {
    const pantoum_layer_args& layer = member_.layers[l];
    return {static_cast<const char*>(layer.more_recurrent), (Cell::kGates - Cell::kSums) * H_, H_, H_,
            layer.recurrent_precision};
  }
  float* hidden(Long l) const { return member_.layers[l].hidden + first_ * H_; }
  char* operands(Long l) const { return states_ + (who_.barrier ? l * state_bytes_ : 0); }

  // The operands of a layer's old states.
  void enter(Long l) const {
    const Matrix w = recurrent_of(l);
    if (w) convert(by_, w, operands(l), rows_, [&](Long r) { return hidden(l) + r * H_; });
  }

  // The input projection of a gate: the input's product and bias, or of tokens a row of the table.
  struct Projection {
    const float* sums;  // of the input's product, or null
    const float* bias;  // [G], or the row
    Long H, gate_sums;
    template <class N>
    F16 at(int gate, Place place, N n, Long sum, const float* row) const {
      const F16 known = load((row ? row : bias) + gate * H + place.unit, n);
      return sums ? load(sums + gate * gate_sums + sum) + known : known;
    }
  };
  const float* table_row(Long r) const {  // the first layer's
    return member_.table + a_.tokens[first_ + r] * Cell::kGates * H_;
  }

  int most_rows(const Matrix& input, const Matrix& w) const {
    const int of_input = input ? by_.most_rows[input.precision] : kMostRowsOfAny;
    const int of_w = w ? by_.most_rows[w.precision] : kMostRowsOfAny;
    return of_input < of_w ? of_input : of_w;
  }

  // Calls body(what the cell's equations see, place, lanes) for every vector of a layer's states, with the products of
  // the gates first .. end - 1.
  template <class Body>
  void each(Long l, const Matrix& input, const Matrix& w, int first, int end, Body&& body) const {
    alignas(64) float sums[Cell::kGates * kMostGateSums];
    alignas(64) float given[Cell::kGates * kMostGateSums];
    const pantoum_layer_args& layer = member_.layers[l];
    const Long next = up(H_, kPanelColumns), gap = by_.gate_sums;
    const Long x_row = input ? row_bytes(by_, input) : 0, h_row = w ? row_bytes(by_, w) : 0;
    const Projection projection{input ? given : nullptr, layer.input_bias, H_, gap};
    each_tile(share_, most_rows(input, w), [&](Long panel, Long r, int count) {
      if (input)
        by_.times(input, panel + first * next, next, end - first, x_ + r * x_row, count, given + first * gap, gap);
      if (w) by_.times(w, panel, next, end - first, operands(l) + r * h_row, count, sums + first * gap, gap);
      each_vector(0, rows_, H_, panel, r, count, [&](Place at, auto n, Long sum) {
        const float* row = input ? nullptr : table_row(at.b);
        const auto input_of = [&](int gate) { return projection.at(gate, at, n, sum, row); };
        body(Given<decltype(n), decltype(input_of)>{at, n, sums + sum, gap, input_of, gate(at, 0), rows_ * H_,
                                                    layer.bias, load(hidden(l) + unit(at), n),
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
    who_.meet();
    convert(by_, second_of(l), operands(l), rows_, [&](Long r) { return products_ + r * H_; });
  }
  float* memory(Long l) const { return member_.layers[l].cell + first_ * H_; }
  float* gate(Place at, int g) const { return gates_ + g * rows_ * H_ + unit(at); }
  Long unit(Place at) const { return at.b * H_ + at.unit; }

  // A layer's outputs become the next one's inputs.
  void leave(Long l) const {
    for (Long r = 0; r < rows_; ++r) inputs_[r] = hidden(l) + r * H_;
  }

  const pantoum_step_args& a_;
  const pantoum_member_args& member_;
  const Long H_, first_, rows_;
  const Rows& who_;
  const MatrixProducts& by_;
  const Share share_;
  const float** const inputs_;  // of the layer at hand, one per row
  char* const x_;
  char* const states_;
  float* const output_[2];
  float* const gates_;     // of a first product
  float* const products_;  // operands of a second product
  const Long state_bytes_;
};

// The whole model.
template <class Cell>
class Model {
 public:
  Model(const pantoum_step_args& a, const Places& places, const Rows& rows)
      : a_(a),
        places_(places),
        rows_(rows),
        by_(places.products_of),
        width_(a.member_count * a.units),
        inputs_(rows.own_at<const float*>(places.inputs)),
        x_(rows.own_at<char>(places.x)),
        ngrams_(rows.own_at<Long>(places.ngrams)),
        counts_(rows.own_at<float>(places.counts)),
        joined_(rows.common_at<float>(places.joined)),
        projected_(rows.common_at<float>(places.projected)) {}

  void run() const {
    if (a_.ngrams) find();
    const Long alone = a_.member_count / rows_.parts * rows_.parts;  // of several threads: as many for each
    const Rows own = rows_.alone();
    for (Long m = rows_.index; m < alone; m += rows_.parts) take(own, m, true);
    for (Long m = alone; m < a_.member_count; ++m) take(rows_, m, rows_.index == 0);
    if (a_.member_count > 1) {
      rows_.meet();
      for (Long r = 0; r < rows_.count; ++r) inputs_[r] = joined_ + r * width_;
    }
    if (a_.ngrams && rows_.index == 0) keep();  // all have seen the tokens before, and met
    finish();
    if (a_.counts) {
      rows_.meet();
      mix();
    }
  }

 private:
  // A member; its outputs go beside those of the others.
  void take(const Rows& rows, Long member, bool writes) const {
    Layers<Cell>(a_, places_, rows, member).run();
    if (a_.member_count == 1 || !writes) return;
    for (Long r = 0; r < rows.count; ++r)
      for (Long u = 0; u < a_.units; ++u) joined_[r * width_ + member * a_.units + u] = inputs_[r][u];
  }

  // The table's rows of the n-grams that end here.
  void find() const {
    const Table table(*a_.ngrams, a_.vocabulary);
    for (Long r = 0; r < rows_.count; ++r) {
      Long* own = ngrams_ + r * a_.order_count;
      find_rows(a_, token(r), recent(r), own);
      for (Long o = 0; o < a_.order_count; ++o) own[o] = table.place(own[o]);
    }
  }
  void keep() const {
    for (Long r = 0; r < rows_.count; ++r) keep_token(token(r), a_.recent_kept, recent(r));
  }
  Long token(Long r) const { return a_.tokens[rows_.first + r]; }
  float* recent(Long r) const { return a_.recent + (rows_.first + r) * a_.recent_kept; }

  void finish() const {
    const Long E = a_.head_inputs;
    const int index = rows_.index, parts = rows_.parts;
    const Matrix projection{static_cast<const char*>(a_.projection), E, width_, E, a_.projection_precision};
    const Matrix head{static_cast<const char*>(a_.head), a_.vocabulary, E, a_.vocabulary, a_.head_precision};
    if (projection) {
      convert(by_, projection, x_, rows_.count, [&](Long r) { return inputs_[r]; });
      by_.times_all(projection, index, parts, x_, rows_.count, nullptr, projected_);
      rows_.meet();
      for (Long r = 0; r < rows_.count; ++r) inputs_[r] = projected_ + r * E;
    }
    convert(by_, head, x_, rows_.count, [&](Long r) { return inputs_[r]; });
    float* logits = logits_of(0);
    by_.times_all(head, index, parts, x_, rows_.count, a_.head_bias, logits);
    if (a_.ngrams) add_ngrams(logits);
  }

  float* logits_of(Long r) const { return a_.logits + (rows_.first - a_.first + r) * a_.vocabulary; }

  // Counts with the logits of every row that is this thread's.
  void mix() const {
    const Counted counts(*a_.counts, a_.vocabulary);
    for (Long r = rows_.index; r < rows_.count; r += rows_.parts) {
      float* before = a_.counts_recent + (rows_.first + r) * a_.counts->kept;
      std::int64_t nodes[kMostKept];
      counts.find(a_.tokens[rows_.first + r], before, nodes);
      counts.keep(a_.tokens[rows_.first + r], before);
      counts.mix(nodes, 1, counts.weight(nodes), logits_of(r), counts_);
    }
  }

  // To the columns of the panels that are this thread's share of the head.
  void add_ngrams(float* logits) const {
    const Long V = a_.vocabulary;
    const Table table(*a_.ngrams, V);
    const Range panels = part_of(up(V, kPanelColumns), rows_.index, rows_.parts);
    for (Long r = 0; r < rows_.count; ++r, logits += V) {
      const Long* own = ngrams_ + r * a_.order_count;
      each_lanes(panels.begin * kPanelColumns, least(panels.end * kPanelColumns, V), [&](Long c, auto n) {
        const F16 sum = sum_of_rows(table, a_.order_count, c, n, [&](Long o) { return own[o]; });
        store(logits + c, load(logits + c, n) + sum, n);
      });
    }
  }

  const pantoum_step_args& a_;
  const Places& places_;
  const Rows& rows_;
  const MatrixProducts& by_;
  const Long width_;
  const float** const inputs_;  // of the head, one per row
  char* const x_;
  Long* const ngrams_;   // [rows, orders]
  float* const counts_;  // [V]
  float* const joined_;  // [rows, width], with several members
  float* const projected_;
};

Company company;

template <class Cell>
int step_together(const pantoum_step_args& a, const MatrixProducts& by, int most) {
  const Places places(a, by, early_gates<Cell>(), a.count, false);
  const std::size_t own = (places.own.size() + 127) / 64 * 64;
  char* memory = thread_scratch(places.shared.size() + own * static_cast<std::size_t>(most));
  if (!memory) return PANTOUM_OUT_OF_MEMORY;
  Barrier barrier;
  auto part = [&](int index, int parts) -> int {
    char* mine = memory + places.shared.size() + own * static_cast<std::size_t>(index);
    Model<Cell>(a, places, Rows{a.first, a.count, index, parts, &barrier, mine, memory}).run();
    return PANTOUM_OK;
  };
  const int status = run_parts(most, part);
  company.met(barrier);
  return status;
}

template <class Cell>
int step_blocks(const pantoum_step_args& a, const MatrixProducts& by) {
  const Long threads = thread_count();
  const Long tasks =
      least(a.count, up(up(a.count, kRowsABlock), threads) * (a.count < kRowsAThread * threads ? 1 : threads));
  return run_each(static_cast<int>(tasks), [&](int task) -> int {
    const Range rows = part_of(a.count, task, static_cast<int>(tasks));
    const Places places(a, by, early_gates<Cell>(), rows.end - rows.begin, true);
    char* memory = thread_scratch(places.own.size());
    if (!memory) return PANTOUM_OUT_OF_MEMORY;
    Model<Cell>(a, places, Rows{a.first + rows.begin, rows.end - rows.begin, 0, 1, nullptr, memory, memory}).run();
    return PANTOUM_OK;
  });
}

int refusal(const MatrixProducts& by, int precision) {
  return precision >= PANTOUM_FLOAT32 && precision <= PANTOUM_INT8 ? by.status[precision] : PANTOUM_BAD_ARGUMENT;
}

}  // namespace

int step_by(const MatrixProducts& by, const pantoum_step_args& a) {
  if (a.layer_count < 1 || a.member_count < 1) return PANTOUM_BAD_ARGUMENT;
  if (a.counts && (a.counts->kept < 1 || a.counts->kept > kMostKept)) return PANTOUM_BAD_ARGUMENT;
  int refused = refusal(by, a.head_precision);
  if (refused == PANTOUM_OK) refused = refusal(by, a.projection_precision);
  for (Long m = 0; m < a.member_count; ++m)
    for (Long l = 0; l < a.layer_count && refused == PANTOUM_OK; ++l) {
      refused = refusal(by, a.members[m].layers[l].input_precision);
      if (refused == PANTOUM_OK) refused = refusal(by, a.members[m].layers[l].recurrent_precision);
    }
  if (refused != PANTOUM_OK) return refused;
  return with_cell(a.kind, [&](auto cell) {
    using Cell = decltype(cell);
    const Long threads = thread_count(), H = a.units;
    const Long layers = a.member_count * a.layer_count;
    const Long work = a.count * (layers * 2 * Cell::kGates * H * H + a.vocabulary * a.head_inputs);
    if (threads > 1 && a.count < kRowsAThread * threads && work >= kSmallestShared && company.present())
      return step_together<Cell>(a, by, static_cast<int>(least(threads, up(H, kPanelColumns))));
    return step_blocks<Cell>(a, by);
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
