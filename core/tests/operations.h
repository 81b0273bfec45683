// Every operation of the ABI with drawn arguments and buffers of exactly the header's sizes, its results added to
// a hash. The tests differ in who calls this, how often and with which draws.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "support.h"

namespace tests {

// A cell of the core, by what it says of itself.
struct Cell {
  const char* name;
  int kind;
  Long gates, first;  // all, and those of the first product
  bool product, before, memory, biased;
};

inline const std::vector<Cell>& cells() {
  static const std::vector<Cell> found = [] {
    std::int64_t count;
    const pantoum_cell* facts = pantoum_cells(&count);
    std::vector<Cell> all;
    for (int kind = 0; kind < count; ++kind) {
      const pantoum_cell& cell = facts[kind];
      all.push_back({cell.name, kind, cell.gates, cell.sums, cell.sums > 0, cell.sums > 0 && cell.sums < cell.gates,
                     cell.memory != 0, cell.biased != 0});
    }
    return all;
  }();
  return found;
}

// A weight as panels; in int8 by way of its codes.
class Packed {
 public:
  Packed(const float* weight, Long rows, Long depth, Long block, int precision, int transposed)
      : panels_(pantoum_packed_bytes(rows, depth, block, precision, transposed), true) {
    if (precision != PANTOUM_INT8) {
      const pantoum_pack_args args{weight, panels_.data(), rows, depth, block, precision, transposed, nullptr, 0};
      must(pantoum_pack(&args), "pack");
      return;
    }
    Buffer<std::int8_t> codes(rows * depth);
    Floats scales(rows);
    const pantoum_quantize_args quantize{weight, codes.data(), scales.data(), rows, depth};
    must(pantoum_quantize(&quantize), "quantize");
    const pantoum_pack_codes_args args{codes.read(), scales.read(), panels_.data(), rows, depth, block};
    must(pantoum_pack_codes(&args), "pack_codes");
  }
  const void* read() { return panels_.read(); }

 private:
  Bytes panels_;
};

// A matrix of which some rows have changed, packed anew in these rows alone, has the panels of one packed at once.
inline void packed_anew(Long rows, Long depth, Long gates, int precision, Draw& draw) {
  Floats weight(gates * rows * depth, draw, 1.0f), before(gates * rows * depth, draw, 1.0f);
  Buffer<Long> changed(gates * rows);
  Long changes = 0;
  for (Long r = 0; r < gates * rows; ++r)
    if (draw.once_in(2))
      changed.data()[changes++] = r;
    else
      std::copy_n(weight.data() + r * depth, depth, before.data() + r * depth);
  const Long size = pantoum_packed_bytes(gates * rows, depth, rows, precision, 0);
  Bytes at_once(size, true), anew(size, true);
  const pantoum_pack_args whole{weight.read(), at_once.data(), gates * rows, depth, rows, precision, 0, nullptr, 0};
  pantoum_pack_args some{before.read(), anew.data(), gates * rows, depth, rows, precision, 0, nullptr, 0};
  must(pantoum_pack(&whole), "pack");
  must(pantoum_pack(&some), "pack");
  some.weight = weight.read();
  some.changed = changed.read();
  some.changes = changes;
  must(pantoum_pack(&some), "pack of some rows");
  if (std::memcmp(at_once.read(), anew.read(), static_cast<std::size_t>(size)) != 0)
    fail("pack", "other panels for changed rows");
}

struct Sizes {
  Long steps, batch, units;
};

// One cell there and back from states that are not zero, or (no tape) only there. There it may multiply with codes.
inline void scan(const Cell& cell, Sizes sizes, bool resets, bool lengths, bool tape, int precision, Draw& draw,
                 Hash& hash) {
  const Long T = sizes.steps, B = sizes.batch, H = sizes.units, G = cell.gates * H;
  Floats weight(G * H, draw, 0.3f), bias(H, draw, 1.0f), gates(T * B * G, draw, 2.0f);
  Floats hidden((T + 1) * B * H), memory((T + 1) * B * H), candidate(T * B * H), outputs(T * B * H);
  for (Long i = 0; i < B * H; ++i) {
    hidden[i] = draw.number(1.0f);
    memory[i] = draw.number(1.0f);
  }
  Buffer<std::uint8_t> reset(T * B);
  Buffer<std::int64_t> ends(B);
  for (auto& r : reset) r = draw.once_in(draw.hostile() ? 2 : 7);
  for (auto& n : ends) n = draw.within(0, T + 1);
  const Long kept = tape ? T : 2, operand = pantoum_operand_bytes(kept * B, H, precision);
  Bytes operands(operand, true), more(operand, true);
  const Long first = cell.first * H;
  const bool coded = tape && cell.product && !cell.before && draw.once_in(3);
  const int there = coded ? static_cast<int>(PANTOUM_INT8) : precision;
  std::unique_ptr<Packed> panels[2][2];
  for (int transposed = 0; cell.product && transposed < (tape ? 2 : 1); ++transposed) {
    const int own = transposed ? precision : there;
    panels[transposed][0].reset(new Packed(weight.read(), first, H, H, own, transposed));
    if (cell.before)
      panels[transposed][1].reset(new Packed(weight.read() + first * H, G - first, H, H, own, transposed));
  }
  auto packed = [&](int transposed, int which) {
    return panels[transposed][which] ? panels[transposed][which]->read() : nullptr;
  };
  const pantoum_scan_args forward{gates.data(),
                                  hidden.data(),
                                  cell.memory ? memory.data() : nullptr,
                                  cell.biased && tape ? candidate.data() : nullptr,
                                  lengths ? outputs.data() : nullptr,
                                  cell.product ? operands.data() : nullptr,
                                  cell.before ? more.data() : nullptr,
                                  packed(0, 0),
                                  packed(0, 1),
                                  cell.biased ? bias.read() : nullptr,
                                  resets ? reset.read() : nullptr,
                                  lengths ? ends.read() : nullptr,
                                  T,
                                  B,
                                  H,
                                  kept,
                                  cell.kind,
                                  there,
                                  tape};
  must(pantoum_scan(&forward), cell.name);
  hidden.add_to(hash);
  if (lengths) outputs.add_to(hash);
  if (cell.memory) memory.add_to(hash);
  if (!tape) return;
  const Long parts = B == 1 && !lengths && T > 0 && T % 3 == 0 ? 3 : 1;
  Floats d_outputs(T * B * H, draw, 1.0f), d_state(parts * B * H, draw, 1.0f), d_memory(parts * B * H, draw, 1.0f);
  Floats d_weight(G * H), d_bias(H), bias_rows(parts * B * H), d_projection(T * B * G);
  Bytes d_operands(pantoum_operand_bytes(T * B, G, precision), true);
  const bool over = draw.once_in(2);  // the gradient may take the gates' place
  const pantoum_scan_vjp_args back{gates.data(),
                                   hidden.read(),
                                   cell.memory ? memory.read() : nullptr,
                                   cell.biased ? candidate.read() : nullptr,
                                   cell.product ? operands.data() : nullptr,
                                   cell.before ? more.data() : nullptr,
                                   packed(1, 0),
                                   packed(1, 1),
                                   d_outputs.read(),
                                   d_state.data(),
                                   cell.memory ? d_memory.data() : nullptr,
                                   over ? gates.data() : d_projection.data(),
                                   cell.product ? d_operands.data() : nullptr,
                                   cell.product ? d_weight.data() : nullptr,
                                   cell.biased ? d_bias.data() : nullptr,
                                   cell.biased ? bias_rows.data() : nullptr,
                                   resets ? reset.read() : nullptr,
                                   lengths ? ends.read() : nullptr,
                                   T,
                                   B,
                                   H,
                                   parts,
                                   cell.kind,
                                   precision,
                                   coded};
  must(pantoum_scan_vjp(&back), cell.name);
  (over ? gates : d_projection).add_to(hash);
  d_state.add_to(hash);
  if (cell.memory) d_memory.add_to(hash);
  if (cell.product) d_weight.add_to(hash);
  if (cell.biased) d_bias.add_to(hash);
}

// x W^T + b and x W in `gates` blocks, and the weight's and bias's gradients, the second time going on.
inline void products(Long N, Long K, Long H, Long gates, int precision, Draw& draw, Hash& hash) {
  const Long G = gates * H;
  Floats x(N * K, draw, 1.0f), weight(G * K, draw, 1.0f), bias(G, draw, 1.0f), y(N * G), d_x(N * K);
  Floats d_weight(G * K), d_bias(G);
  Packed panels(weight.read(), G, K, H, precision, 0), transposed(weight.read(), G, K, H, precision, 1);
  const bool biased = draw.once_in(2);
  const pantoum_product_args there{x.read(), panels.read(), biased ? bias.read() : nullptr, y.data(), N, K, G,
                                   H,        precision};
  must(pantoum_product(&there), "product");
  const pantoum_product_args back{y.read(), transposed.read(), nullptr, d_x.data(), N, G, K, K, precision};
  must(pantoum_product(&back), "product");
  for (int resume : {0, 1}) {
    const pantoum_weight_gradient_args of_weight{y.read(), x.read(), d_weight.data(), N, G, K, precision, resume};
    must(pantoum_weight_gradient(&of_weight), "weight_gradient");
    const pantoum_bias_gradient_args of_bias{y.read(), d_bias.data(), N, G, resume};
    must(pantoum_bias_gradient(&of_bias), "bias_gradient");
  }
  for (Floats* f : {&y, &d_x, &d_weight, &d_bias}) f->add_to(hash);
}

// The same products in int8, which has no backward pass, and the codes of the weight.
inline void codes(Long N, Long K, Long H, Long gates, Draw& draw, Hash& hash) {
  const Long G = gates * H;
  Floats x(N * K, draw, 1.0f), weight(G * K, draw, 1.0f), bias(G, draw, 1.0f), y(N * G), scales(G);
  Buffer<std::int8_t> numbers(G * K);
  const pantoum_quantize_args quantize{weight.read(), numbers.data(), scales.data(), G, K};
  must(pantoum_quantize(&quantize), "quantize");
  numbers.add_to(hash);
  scales.add_to(hash);
  Packed panels(weight.read(), G, K, H, PANTOUM_INT8, 0);
  const pantoum_product_args product{
      x.read(), panels.read(), draw.once_in(2) ? bias.read() : nullptr, y.data(), N, K, G, H, PANTOUM_INT8};
  must(pantoum_product(&product), "product");
  y.add_to(hash);
}

// Tables by token, and losses of logits.
inline void tokens(Long N, Long K, Long V, Draw& draw, Hash& hash) {
  Floats table(V * K, draw, 1.0f), rows(N * K), d_table(V * K), logits(N * V, draw, 9.0f), nats(N);
  Buffer<std::int32_t> numbers(N), predictions(N);
  for (auto& token : numbers) token = static_cast<std::int32_t>(draw.within(0, V - 1));
  const pantoum_row_table_args of_floats{table.read(), nullptr, nullptr, nullptr};
  const pantoum_lookup_sum_args lookup{&of_floats, numbers.read(), rows.data(), N, 1, K};
  must(pantoum_lookup_sum(&lookup), "lookup_sum");
  const pantoum_lookup_gradient_args of_table{rows.read(), numbers.read(), d_table.data(), N, K, V};
  must(pantoum_lookup_gradient(&of_table), "lookup_gradient");
  const float weight = draw.once_in(2) ? 1.0f / static_cast<float>(N + 1) : 0.0f;
  const pantoum_softmax_args softmax{logits.data(), numbers.read(), nats.data(), predictions.data(), N, V, weight};
  must(pantoum_softmax(&softmax), "softmax");
  for (Floats* f : {&rows, &d_table, &logits, &nats}) f->add_to(hash);
  predictions.add_to(hash);
  for (const std::int32_t p : predictions)
    if (p < 0 || p >= V) fail("softmax", "predicts a symbol that is not there");
}

// Losses of hidden states, with other logits added or without: the same as by a product and a softmax.
inline void losses(Long N, Long K, Long V, int precision, Draw& draw, Hash& hash) {
  Floats x(N * K, draw, 1.0f), weight(V * K, draw, 1.0f), bias(V, draw, 1.0f), given(N * V, draw, 1.0f);
  Floats nats(N), logits(N * V), expected(N);
  Buffer<std::int32_t> targets(N), predictions(N), by_softmax(N);
  for (auto& token : targets) token = static_cast<std::int32_t>(draw.within(0, V - 1));
  Packed panels(weight.read(), V, K, V, precision, 0);
  const bool beside = draw.once_in(2);
  const pantoum_losses_args args{x.read(),
                                 panels.read(),
                                 bias.read(),
                                 beside ? given.read() : nullptr,
                                 targets.read(),
                                 nats.data(),
                                 predictions.data(),
                                 N,
                                 K,
                                 V,
                                 precision};
  must(pantoum_losses(&args), "losses");
  nats.add_to(hash);
  predictions.add_to(hash);
  const pantoum_product_args product{x.read(), panels.read(), bias.read(), logits.data(), N, K, V, V, precision};
  must(pantoum_product(&product), "product");
  for (Long i = 0; beside && i < N * V; ++i) logits[i] += given[i];
  const pantoum_softmax_args softmax{logits.data(), targets.read(), expected.data(), by_softmax.data(), N, V, 0.0f};
  must(pantoum_softmax(&softmax), "softmax");
  Hash ours, theirs;
  nats.add_to(ours);
  expected.add_to(theirs);
  if (ours.value != theirs.value) fail("losses", "are not those of the softmax");
  for (Long i = 0; i < N; ++i)
    if (predictions[i] != by_softmax[i]) fail("losses", "predict another symbol than the softmax");
}

// Counts of n-grams over V symbols: drawn continuations of every context, ascending, and none of the longest.
class Counts {
 public:
  Counts(Long V, Draw& draw) : kept_(draw.within(1, 7)), unigrams_(V, draw, 1.0f), weights_(8 * (kept_ + 1)) {
    for (float& weight : weights_) weight = draw.hostile() ? draw.number(1.0f) : 0.5f + 0.5f * draw.number(0.9f);
    Long contexts = V;
    for (Long length = 1; length <= kept_; ++length) {
      std::vector<std::int32_t> starts{0};
      std::vector<std::uint32_t> tokens;
      for (Long m = 0; m < contexts; ++m) {
        for (Long token = draw.within(0, V - 1); tokens.size() < 600 && token < V; token += draw.within(1, V))
          tokens.push_back(static_cast<std::uint32_t>(token));
        starts.push_back(static_cast<std::int32_t>(tokens.size()));
      }
      levels_.emplace_back(new Level(starts, tokens, draw));
      arguments_.push_back(levels_.back()->read());
      contexts = static_cast<Long>(tokens.size());
      sizes_.push_back(static_cast<Long>(starts.size()) - 1);
    }
  }
  const pantoum_counts_args* read() {
    whole_ = {arguments_.data(), unigrams_.read(), weights_.read(), kept_, 3};
    return &whole_;
  }
  Long kept() const { return kept_; }
  // A context of a length, or none.
  Long node(Long length, Draw& draw) const {
    const Long size = sizes_[static_cast<std::size_t>(length - 1)];
    return size == 0 || draw.once_in(3) ? -1 : draw.within(0, size - 1);
  }

 private:
  struct Level {
    Level(const std::vector<std::int32_t>& begins, const std::vector<std::uint32_t>& last, Draw& draw)
        : starts(static_cast<Long>(begins.size())),
          tokens(static_cast<Long>(last.size())),
          shares(tokens.size(), draw, 1.0f),
          left(starts.size() - 1, draw, 1.0f),
          sizes(starts.size() - 1) {
      std::copy(begins.begin(), begins.end(), starts.begin());
      std::copy(last.begin(), last.end(), tokens.begin());
      for (auto& size : sizes) size = static_cast<std::int8_t>(draw.within(-1, 7));
      for (Floats* f : {&shares, &left})
        if (!draw.hostile())
          for (float& x : *f) x = 0.5f + 0.5f * x;
    }
    pantoum_contexts_args read() { return {starts.read(), tokens.read(), shares.read(), left.read(), sizes.read()}; }
    Buffer<std::int32_t> starts;
    Buffer<std::uint32_t> tokens;
    Floats shares, left;
    Buffer<std::int8_t> sizes;
  };

  const Long kept_;
  Floats unigrams_, weights_;
  std::vector<std::unique_ptr<Level>> levels_;
  std::vector<pantoum_contexts_args> arguments_;
  std::vector<Long> sizes_;
  pantoum_counts_args whole_{};
};

// Rows of logits with counts mixed in.
inline void mixing(Long N, Long V, Draw& draw, Hash& hash) {
  Counts counts(V, draw);
  Floats logits(N * V, draw, 9.0f), weights(N, draw, 0.5f);
  if (!draw.hostile())
    for (float& weight : weights) weight += 0.5f;
  Buffer<std::int64_t> nodes(counts.kept() * N);
  for (Long length = 1; length <= counts.kept(); ++length)
    for (Long n = 0; n < N; ++n) nodes[(length - 1) * N + n] = counts.node(length, draw);
  const pantoum_mix_counts_args args{counts.read(), nodes.read(), weights.read(), logits.data(), N, V};
  must(pantoum_mix_counts(&args), "mix_counts");
  logits.add_to(hash);
}

// A drawn tree over V symbols: the middles of its nodes, in preorder.
inline void draw_middles(std::int32_t* middles, Long low, Long high, Draw& draw) {
  if (high - low < 2) return;
  const Long middle = draw.within(low + 1, high - 1);
  middles[0] = static_cast<std::int32_t>(middle);
  draw_middles(middles + 1, low, middle, draw);
  draw_middles(middles + (middle - low), middle, high, draw);
}

// N symbols of V are counted, read beside networks, guessed, and one more is decided.
inline void reading_contexts(Long N, Long V, Draw& draw, Hash& hash) {
  const Long slot_count = Long{1} << draw.within(5, 13), networks = draw.within(0, 2);
  Buffer<std::int32_t> symbols(V), places(V), middles(V - 1), kinds(V), folds(V), matches(2 * 64), history(256),
      tokens(N), symbol(1);
  Buffer<std::uint64_t> runs(slot_count / 8), pending(PANTOUM_CONTEXT_PENDING);
  Buffer<std::uint32_t> followed(PANTOUM_CONTEXT_FOLLOWED), maps(PANTOUM_CONTEXT_MAPS), chance(1), slots(slot_count);
  Buffer<std::int64_t> where(PANTOUM_CONTEXT_WHERE);
  Buffer<double> masses(2 * (V + 1));
  Bytes resets(N);
  Floats logits(4096), links(2 * PANTOUM_CONTEXT_LINKS), weights(PANTOUM_CONTEXT_WEIGHTS),
      finals(PANTOUM_CONTEXT_FINALS), curves(PANTOUM_CONTEXT_CURVES), given(N * networks * V, draw, 9.0f), nats(N),
      probabilities(V), mixed(V, draw, 9.0f);
  for (Long v = 0; v < V; ++v) symbols[v] = static_cast<std::int32_t>(v);
  for (Long v = V - 1; v > 0; --v) std::swap(symbols[v], symbols[draw.within(0, v)]);
  for (Long v = 0; v < V; ++v) places[symbols[v]] = static_cast<std::int32_t>(v);
  draw_middles(middles.data(), 0, V, draw);
  for (auto& kind : kinds) kind = static_cast<std::int32_t>(draw.within(0, 4));
  for (auto& fold : folds) fold = static_cast<std::int32_t>(draw.within(0, V - 1));
  for (auto& token : tokens) {
    const Long any = draw.within(0, V - 1), part = draw.within(1, 4);
    token = static_cast<std::int32_t>(any / part);
  }
  for (auto& reset : resets) reset = draw.once_in(20);
  for (Long i = 0; i < 4096; ++i) logits[i] = static_cast<float>(i - 2048) * 0x1p-8f;
  for (Buffer<std::int32_t>* each : {&matches, &history}) std::fill(each->begin(), each->end(), 0);
  std::fill(runs.begin(), runs.end(), 0);
  for (Buffer<std::uint32_t>* each : {&slots, &followed}) std::fill(each->begin(), each->end(), 0);
  std::fill(where.begin(), where.end(), 0);
  for (auto& map : maps) map = static_cast<std::uint32_t>(draw.within(0, (1 << 22) - 1)) << 10;
  for (Floats* each : {&links, &weights, &finals})
    for (float& weight : *each) weight = static_cast<float>(draw.within(-16, 16)) * 0x1p-6f;
  for (float& knot : curves) knot = static_cast<float>(draw.within(1, 63)) * 0x1p-6f;
  const pantoum_context_mixer_args mixer{symbols.read(),
                                         places.read(),
                                         middles.read(),
                                         kinds.read(),
                                         folds.read(),
                                         logits.read(),
                                         slots.data(),
                                         runs.data(),
                                         matches.data(),
                                         history.data(),
                                         followed.data(),
                                         maps.data(),
                                         links.data(),
                                         weights.data(),
                                         finals.data(),
                                         curves.data(),
                                         where.data(),
                                         masses.data(),
                                         pending.data(),
                                         V,
                                         slot_count,
                                         slot_count / 8,
                                         64,
                                         256};
  const Long counted = N / 3;
  const pantoum_read_contexts_args count{&mixer, tokens.read(), nullptr, resets.read(), nullptr, nullptr, counted, 0,
                                         V};
  must(pantoum_read_contexts(&count), "read_contexts");
  const pantoum_read_contexts_args read{&mixer,
                                        tokens.read() + counted,
                                        given.read() + counted * networks * V,
                                        nullptr,
                                        nats.data() + counted,
                                        nullptr,
                                        N - counted,
                                        networks,
                                        V};
  must(pantoum_read_contexts(&read), "read_contexts");
  for (Long n = counted; n < N; ++n) hash.add(nats[n]);
  const std::vector<std::int64_t> read_so_far(where.begin(), where.end());
  for (const Long beside : {Long{0}, N > 0 ? networks : 0}) {  // after what was read, and after other symbols
    const pantoum_context_probabilities_args guess{
        &mixer, given.read(), beside > 0 ? tokens.read() : nullptr, probabilities.data(), mixed.data(), beside, N,
        V,      0.25f};
    must(pantoum_context_probabilities(&guess), "context_probabilities");
    probabilities.add_to(hash);
    mixed.add_to(hash);
    std::copy(read_so_far.begin(), read_so_far.end(), where.begin());
  }
  symbol[0] = -1;
  for (std::int32_t outcome = -1; symbol[0] < 0; outcome = draw.once_in(2)) {
    const pantoum_decide_context_args decide{&mixer, nullptr, symbol.data(), chance.data(), 0, V, outcome};
    must(pantoum_decide_context(&decide), "decide_context");
    hash.add(chance[0]);
  }
  weights.add_to(hash);
  slots.add_to(hash);
}

// Rows of logits as frequencies: whole numbers whose sum is the one that was asked for.
inline void counting(Long N, Long V, Draw& draw, Hash& hash) {
  Floats logits(N * V, draw, 9.0f);
  const Long total = (Long{1} << 24) - V;
  const pantoum_frequencies_args args{logits.data(), N, V, total};
  const int status = pantoum_frequencies(&args);
  hash.add(status);
  if (status == PANTOUM_NOT_FINITE && draw.hostile()) return;
  must(status, "frequencies");
  for (Long n = 0; n < N; ++n) {
    Long sum = 0;
    for (Long v = 0; v < V; ++v) sum += static_cast<Long>(logits[n * V + v]);
    if (sum != total) fail("frequencies", "another sum");
  }
  logits.add_to(hash);
}

// R rows of a table as codes of U rows, of which some have none of their own.
class Coded {
 public:
  Coded(Long R, Long V, Draw& draw) : codes_(up(R) * V), scales_(up(R), draw, 0.1f), places_(R) {
    for (auto& code : codes_) code = static_cast<std::int8_t>(draw.within(-127, 127));
    for (auto& place : places_) place = static_cast<std::int32_t>(draw.within(0, up(R) - 1));
  }
  const pantoum_row_table_args* read() {
    arguments_ = {nullptr, codes_.read(), scales_.read(), places_.read()};
    return &arguments_;
  }

 private:
  static Long up(Long R) { return R / 2 + 1; }
  Buffer<std::int8_t> codes_;
  Floats scales_;
  Buffer<std::int32_t> places_;
  pantoum_row_table_args arguments_{};
};

// Sums of such rows.
inline void coded_rows(Long N, Long each, Long R, Long V, Draw& draw, Hash& hash) {
  Coded table(R, V, draw);
  Floats sums(N * V);
  Buffer<std::int32_t> rows(N * each);
  for (auto& row : rows) row = static_cast<std::int32_t>(draw.within(0, R - 1));
  const pantoum_lookup_sum_args lookup{table.read(), rows.read(), sums.data(), N, each, V};
  must(pantoum_lookup_sum(&lookup), "lookup_sum");
  sums.add_to(hash);
}

// A table of which N tokens use `each` rows apiece: their sums, the sums into them, and their update.
inline void used_rows(Long N, Long each, Long R, Long V, Draw& draw, Hash& hash) {
  Floats table(R * V, draw, 1.0f), squares(R * V, draw, 1.0f), sums(N * V);
  Buffer<std::int32_t> rows(N * each);
  for (auto& row : rows) row = static_cast<std::int32_t>(draw.within(0, R - 1));
  const pantoum_row_table_args of_floats{table.read(), nullptr, nullptr, nullptr};
  const pantoum_lookup_sum_args lookup{&of_floats, rows.read(), sums.data(), N, each, V};
  must(pantoum_lookup_sum(&lookup), "lookup_sum");
  sums.add_to(hash);
  Buffer<std::int64_t> uses(N * each);
  std::vector<std::int64_t> starts, used;
  Long at = 0;
  for (Long row = 0; row < R; ++row) {
    const Long before = at;
    for (Long m = 0; m < N * each; ++m)
      if (rows[m] == row) uses[at++] = m;
    if (at == before) continue;
    starts.push_back(before);
    used.push_back(row);
  }
  const Long U = static_cast<Long>(used.size());
  Buffer<std::int64_t> begins(U), numbers(U);
  std::copy(starts.begin(), starts.end(), begins.begin());
  std::copy(used.begin(), used.end(), numbers.begin());
  Floats gradient(U * V), learned(R * V);
  std::copy(table.begin(), table.end(), learned.begin());
  const pantoum_sum_uses_args sum{sums.read(), uses.read(), begins.read(), gradient.data(), N * each, U, each, V};
  must(pantoum_sum_uses(&sum), "sum_uses");
  if (!draw.hostile())
    for (float& v : squares) v *= v;
  const pantoum_rms_rows_args rms{learned.data(), numbers.read(), gradient.read(), squares.data(), U,   V,
                                  0.01f,          0.99f,          0.01f,           1e-8f,          0.5f};
  must(pantoum_rms_rows(&rms), "rms_rows");
  Floats first(R * V, draw, 1.0f);
  const pantoum_adamw_args adamw{
      learned.data(), numbers.read(), gradient.read(), first.data(), squares.data(), U,     V,    0.9f,
      0.1f,           0.99f,          0.01f,           10.0f,        1e-8f,          0.01f, 0.99f};
  must(pantoum_adamw(&adamw), "adamw");
  for (Floats* f : {&gradient, &learned, &squares, &first}) f->add_to(hash);
}

// Dropout.
inline void between(Long T, Long B, Long H, Draw& draw, Hash& hash) {
  const Long N = T * B;
  Floats x(N * H, draw, 1.0f), y(N * H);
  Buffer<std::uint32_t> streams(B);
  for (auto& s : streams) s = draw.word();
  const std::uint64_t seed = draw.two_words();
  const pantoum_dropout_args dropout{x.read(), y.data(),       streams.read(), T,           B,
                                     H,        seed,           draw.word(),    draw.word(), draw.word() & 0xffffu,
                                     1.5f,     draw.once_in(2)};
  must(pantoum_dropout(&dropout), "dropout");
  y.add_to(hash);
}

// The update of weights.
inline void update(Long size, Draw& draw, Hash& hash) {
  Floats parameter(size, draw, 1.0f), gradient(size, draw, 1.0f), first(size, draw, 1.0f), second(size, draw, 1.0f);
  Floats averaged(size, draw, 1.0f), one(1, draw, 1.0f);
  if (!draw.hostile())
    for (float& v : second) v *= v;
  const float* arrays[] = {gradient.read(), one.read(), nullptr};
  const Long sizes[] = {size, 1, 0};
  Buffer<double> total(1);
  const pantoum_sum_of_squares_args squares{arrays, sizes, total.data(), 3};
  must(pantoum_sum_of_squares(&squares), "sum_of_squares");
  hash.add(static_cast<float>(total[0]));
  const pantoum_adamw_args adamw{parameter.data(),
                                 nullptr,
                                 gradient.read(),
                                 first.data(),
                                 second.data(),
                                 1,
                                 size,
                                 0.9f,
                                 0.1f,
                                 0.99f,
                                 0.01f,
                                 10.0f,
                                 1e-8f,
                                 0.01f,
                                 0.99f};
  must(pantoum_adamw(&adamw), "adamw");
  const pantoum_average_args average{averaged.data(), parameter.read(), size, 0.1f};
  must(pantoum_average(&average), "average");
  for (Floats* f : {&parameter, &first, &second, &averaged}) f->add_to(hash);
}

// Muon over two blocks of one size, high, wide or square.
inline void orthogonal(Long rows, Long depth, int precision, Draw& draw, Hash& hash) {
  const Long size = rows * depth, sizes[] = {rows, depth, rows, depth};
  Floats parameter(2 * size, draw, 1.0f), gradient(2 * size, draw, 1.0f), momentum(2 * size, draw, 1.0f);
  float* const parameters[] = {parameter.data(), parameter.data() + size};
  const float* const gradients[] = {gradient.read(), gradient.read() + size};
  float* const momenta[] = {momentum.data(), momentum.data() + size};
  const float rates[] = {0.1f, 0.2f}, abc[] = {3.4445f, -4.775f, 2.0315f, 2.0f, -1.5f, 0.5f};
  const pantoum_muon_args muon{parameters, gradients, momenta, sizes, rates, abc, 2, 2, 0.9f, 0.1f, 0.99f, precision};
  must(pantoum_muon(&muon), "muon");
  for (Floats* f : {&parameter, &momentum}) f->add_to(hash);
}

// The sums that adapting divides by, and its step.
inline void adapting(Long rows, Long columns, Draw& draw, Hash& hash) {
  const Long size = rows * columns;
  Floats parameter(size, draw, 1.0f), gradient(size, draw, 1.0f), trained(size, draw, 1.0f);
  Floats squares(rows, draw, 1.0f), speed(rows, draw, 1.0f), back(rows, draw, 1.0f);
  const pantoum_row_squares_args of_rows{gradient.read(), squares.data(), rows, columns, 0.5f, 2.0f};
  must(pantoum_row_squares(&of_rows), "row_squares");
  Buffer<Long> third((rows + 2) / 3);
  for (Long u = 0; u < (rows + 2) / 3; ++u) third.data()[u] = 3 * u;
  for (const bool some : {false, true}) {
    const pantoum_adapt_args adapt{
        parameter.data(), some ? third.read() : nullptr, gradient.read(), trained.read(), speed.read(),
        back.read(),      some ? (rows + 2) / 3 : rows,  columns};
    must(pantoum_adapt(&adapt), "adapt");
  }
  for (Floats* f : {&squares, &parameter}) f->add_to(hash);
}

}  // namespace tests
