// A step of a whole model and the draw of the next token, with drawn arguments; the rest of the ABI is in
// operations.h.
#pragma once

#include <memory>
#include <vector>

#include "operations.h"

namespace tests {

// A layer of a drawn kind, its matrices and its states.
class Layer {
 public:
  Layer(const Cell& cell, Long inputs, bool by_table, Long rows, Long H, int precision, Draw& draw)
      : G_(cell.gates * H),
        input_bias_(G_, draw, 1.0f),
        bias_(H, draw, 1.0f),
        hidden_(rows * H, draw, 1.0f),
        cell_(rows * H, draw, 1.0f) {
    Floats weight(G_ * (inputs + 1), draw, 0.3f), recurrent(G_ * H, draw, 0.3f);
    int chosen[2];
    for (int& p : chosen) p = draw.once_in(2) ? precision : draw.once_in(2) ? PANTOUM_INT8 : PANTOUM_FLOAT32;
    if (!by_table) input_.reset(new Packed(weight.data(), G_, inputs, H, chosen[0], 0));
    const Long first = cell.first * H;
    if (cell.product) recurrent_.reset(new Packed(recurrent.data(), first, H, H, chosen[1], 0));
    if (cell.before) more_.reset(new Packed(recurrent.data() + first * H, G_ - first, H, H, chosen[1], 0));
    arguments = {input_ ? input_->read() : nullptr,
                 recurrent_ ? recurrent_->read() : nullptr,
                 more_ ? more_->read() : nullptr,
                 input_bias_.read(),
                 cell.biased ? bias_.read() : nullptr,
                 hidden_.data(),
                 cell.memory ? cell_.data() : nullptr,
                 inputs,
                 by_table ? 0 : chosen[0],
                 cell.product ? chosen[1] : 0};
  }
  void add_to(Hash& hash) const {
    hidden_.add_to(hash);
    if (arguments.cell) cell_.add_to(hash);
  }
  pantoum_layer_args arguments;

 private:
  const Long G_;
  Floats input_bias_, bias_, hidden_, cell_;
  std::unique_ptr<Packed> input_, recurrent_, more_;
};

// The n-grams of a model, or none: orders, the table of each, floats or codes, and what streams keep of the past, in
// which a hostile draw leaves what can be no token.
class NGrams {
 public:
  NGrams(bool any, Long rows, Long V, Draw& draw)
      : kept(draw.within(1, 5)),
        count(any ? 1 + (kept > 1 && draw.once_in(2)) : 0),
        size(Long{2} << draw.within(0, 5)),
        orders_(count),
        table_(count * size * V, draw, 1.0f),
        coded_(draw.once_in(2) ? new Coded(count * size, V, draw) : nullptr),
        recent_(rows * kept) {
    for (Long o = 0; o < count; ++o) orders_[o] = o + 1 == count ? kept + 1 : draw.within(1, kept);
    for (float& token : recent_)
      token = draw.hostile() && draw.once_in(5) ? draw.number(1e9f) : static_cast<float>(draw.within(0, V));
  }
  const pantoum_row_table_args* table() {
    arguments_.rows = table_.read();
    return count == 0 ? nullptr : coded_ ? coded_->read() : &arguments_;
  }
  const std::int64_t* orders() { return count ? orders_.read() : nullptr; }
  float* recent() { return count ? recent_.data() : nullptr; }
  void add_to(Hash& hash) const { recent_.add_to(hash); }
  const Long kept, count, size;

 private:
  Buffer<std::int64_t> orders_;
  Floats table_;
  const std::unique_ptr<Coded> coded_;
  Floats recent_;
  pantoum_row_table_args arguments_{};
};

// Some of `rows` streams read a token each, twice. One-hot tokens or an embedding, by a table or a product; one
// member or several.
inline void reading(const Cell& cell, Long rows, Long H, Long V, int precision, Draw& draw, Hash& hash) {
  const Long count = draw.within(0, rows), first = draw.within(0, rows - count), L = draw.within(1, 3);
  const bool one_hot = draw.once_in(3), by_table = one_hot || draw.once_in(2);
  const Long K = draw.once_in(2) ? 1 : draw.within(2, 5), width = K * H;
  const Long E = one_hot ? 0 : draw.within(1, 40), head_inputs = draw.once_in(2) ? width : draw.within(1, 40);
  Floats head_bias(V, draw, 1.0f), weight(V * head_inputs, draw, 0.3f), project(head_inputs * width, draw, 0.3f);
  Floats logits(count * V);
  Buffer<std::int32_t> numbers(rows);
  for (auto& token : numbers) token = static_cast<std::int32_t>(draw.within(0, V - 1));
  std::vector<std::unique_ptr<Floats>> tables, embeddings;
  std::vector<std::unique_ptr<Layer>> layers;
  std::vector<pantoum_layer_args> arguments;
  std::vector<pantoum_member_args> members;
  for (Long m = 0; m < K; ++m) {
    tables.emplace_back(new Floats(V * cell.gates * H, draw, 1.0f));
    embeddings.emplace_back(new Floats(V * (E + 1), draw, 1.0f));
    for (Long l = 0; l < L; ++l) {
      layers.emplace_back(new Layer(cell, l == 0 ? E : H, l == 0 && by_table, rows, H, precision, draw));
      arguments.push_back(layers.back()->arguments);
    }
  }
  for (Long m = 0; m < K; ++m)
    members.push_back(
        {arguments.data() + m * L, by_table ? tables[m]->read() : nullptr, one_hot ? nullptr : embeddings[m]->read()});
  Packed head(weight.read(), V, head_inputs, V, precision, 0),
      projection(project.read(), head_inputs, width, head_inputs, precision, 0);
  NGrams ngrams(draw.once_in(2), rows, V, draw);
  std::unique_ptr<Counts> counts(draw.once_in(3) ? new Counts(V, draw) : nullptr);
  Floats counts_recent(counts ? rows * counts->kept() : 0);
  for (float& token : counts_recent)
    token = draw.hostile() && draw.once_in(5) ? draw.number(1e9f) : static_cast<float>(draw.within(0, V));
  const pantoum_step_args step{members.data(),
                               numbers.read(),
                               head.read(),
                               head_bias.read(),
                               head_inputs == width ? nullptr : projection.read(),
                               ngrams.table(),
                               ngrams.orders(),
                               ngrams.recent(),
                               counts ? counts->read() : nullptr,
                               counts ? counts_recent.data() : nullptr,
                               logits.data(),
                               first,
                               count,
                               V,
                               H,
                               K,
                               L,
                               head_inputs,
                               ngrams.count,
                               ngrams.size,
                               ngrams.kept,
                               cell.kind,
                               precision,
                               precision};
  for (int again = 0; again < 2; ++again) {
    must(pantoum_step(&step), "step");
    logits.add_to(hash);
  }
  for (const auto& layer : layers) layer->add_to(hash);
  ngrams.add_to(hash);
  counts_recent.add_to(hash);
}

// A draw for some of `rows` streams, each with settings of its own. Of logits that are not finite only the status
// counts.
inline void drawing(Long rows, Long V, Draw& draw, Hash& hash) {
  const Long count = draw.within(0, rows), first = draw.within(0, rows - count), window = draw.within(0, 5);
  const Long bans = draw.within(0, V > 3 ? 3 : V - 1);
  Floats logits(count * V, draw, 5.0f);
  Buffer<std::int32_t> banned(bans), top_k(rows), recent(rows * window), chosen(rows);
  Buffer<double> temperature(rows), top_p(rows), min_p(rows), penalty(rows), nats(rows), log_probability(rows);
  Buffer<std::uint64_t> seed(rows), stream(rows), position(rows);
  Buffer<std::int64_t> written(rows);
  for (Long i = 0; i < bans; ++i) banned[i] = static_cast<std::int32_t>(i);
  for (auto& token : recent) token = static_cast<std::int32_t>(draw.within(-1, V - 1));
  auto share = [&] { return static_cast<double>(draw.word()) * 0x1p-32; };
  for (Long r = 0; r < rows; ++r) {
    temperature[r] = draw.once_in(4) ? 0.0 : draw.once_in(6) ? 1e-300 : 3.0 * share() + 1e-9;
    top_p[r] = draw.once_in(2) ? 1.0 : share() + 1e-9;
    min_p[r] = draw.once_in(2) ? 0.0 : share();
    penalty[r] = draw.once_in(2) ? 1.0 : 1.0 + share();
    top_k[r] = static_cast<std::int32_t>(draw.once_in(2) ? 0 : draw.within(1, V + 2));
    seed[r] = draw.two_words();
    stream[r] = draw.word();
    position[r] = draw.word();
    written[r] = 3;
    nats[r] = 0.5;
    chosen[r] = -1;
    log_probability[r] = 0.0;
  }
  const pantoum_sample_args sample{logits.read(),
                                   banned.read(),
                                   temperature.read(),
                                   top_p.read(),
                                   min_p.read(),
                                   penalty.read(),
                                   top_k.read(),
                                   seed.read(),
                                   stream.read(),
                                   position.data(),
                                   window ? recent.data() : nullptr,
                                   written.data(),
                                   nats.data(),
                                   log_probability.data(),
                                   chosen.data(),
                                   nullptr,
                                   first,
                                   count,
                                   V,
                                   bans,
                                   window,
                                   0};
  const int status = pantoum_sample(&sample);
  hash.add(status);
  if (status == PANTOUM_NOT_FINITE && draw.hostile()) return;
  must(status, "sample");
  for (Long r = first; r < first + count; ++r)
    if (chosen[r] < bans || chosen[r] >= V) fail("sample", "drew a token that is banned or not there");
  for (auto* numbers : {&nats, &log_probability}) numbers->add_to(hash);
  for (auto* numbers : {&recent, &chosen}) numbers->add_to(hash);
  position.add_to(hash);
  written.add_to(hash);
}

}  // namespace tests
