// Runs whole training steps of every cell, and every other operation, through the C ABI on odd sizes,
// with buffers of exactly the sizes that the header states, for every path of this machine and one to
// three threads. All float32 results must have the same bits; their hash is printed, and is the same on
// other architectures. Under sanitizers it is the memory and thread test of the core.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../pantoum_core.h"

namespace {

using Floats = std::vector<float>;

struct Hash {
  std::uint64_t value = 1469598103934665603ull;  // FNV-1a
  void add(const void* data, std::size_t size) {
    const unsigned char* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) value = (value ^ bytes[i]) * 1099511628211ull;
  }
  void add(const Floats& x) { add(x.data(), x.size() * sizeof(float)); }
};

// Numbers between -1 and 1, the same everywhere.
Floats numbers(std::size_t count, std::uint32_t seed, float scale = 1.0f) {
  Floats x(count);
  std::uint32_t state = seed * 2654435761u + 1u;
  for (float& v : x) {
    state = state * 1664525u + 1013904223u;
    v = scale * (static_cast<float>(state >> 8) * 0x1p-23f - 1.0f);
  }
  return x;
}

void must(int status, const char* what) {
  if (status == PANTOUM_OK) return;
  std::printf("%s: %s\n", what, pantoum_message(status));
  std::exit(1);
}

struct Aligned {
  explicit Aligned(std::int64_t size) : data(std::aligned_alloc(64, static_cast<std::size_t>((size + 63) / 64 * 64 + 64))) {
    std::memset(data, 0xff, static_cast<std::size_t>(size));  // every float and bf16 a NaN: nothing unwritten is read
  }
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  void* data;
};

Aligned* packed(const float* weight, std::int64_t rows, std::int64_t depth, std::int64_t block, int precision, int transposed) {
  Aligned* panels = new Aligned(pantoum_packed_bytes(rows, depth, block, precision, transposed));
  const pantoum_pack_args args{weight, panels->data, rows, depth, block, precision, transposed};
  must(pantoum_pack(&args), "pack");
  return panels;
}

struct Cell {
  const char* name;
  std::int64_t gates;
  int (*scan)(const pantoum_scan_args*);
  int (*vjp)(const pantoum_scan_vjp_args*);
};

const Cell kCells[] = {{"rnn", 1, pantoum_rnn_scan, pantoum_rnn_scan_vjp},
                       {"gru", 3, pantoum_gru_scan, pantoum_gru_scan_vjp},
                       {"gru_before", 3, pantoum_gru_before_scan, pantoum_gru_before_scan_vjp},
                       {"lstm", 4, pantoum_lstm_scan, pantoum_lstm_scan_vjp},
                       {"mingru", 2, pantoum_mingru_scan, pantoum_mingru_scan_vjp}};

void train(const Cell& cell, std::int64_t T, std::int64_t B, std::int64_t H, bool rows, int precision, Hash& hash) {
  const std::int64_t G = cell.gates * H;
  const std::string name = cell.name;
  const bool recurrent = name != "mingru", before = name == "gru_before", lstm = name == "lstm", gru = name == "gru";
  const Floats weight = numbers(G * H, 3, 0.3f), bias = numbers(H, 4), d_outputs = numbers(T * B * H, 5);
  Floats gates = numbers(T * B * G, 6, 2.0f), hidden((T + 1) * B * H), memory((T + 1) * B * H), candidate(T * B * H);
  const Floats state = numbers(B * H, 7);
  std::copy(state.begin(), state.end(), hidden.begin());
  std::copy(state.begin(), state.end(), memory.begin());
  std::vector<std::uint8_t> reset(T * B);
  std::vector<std::int64_t> lengths(B);
  for (std::int64_t i = 0; i < T * B; ++i) reset[i] = i % 7 == 3;
  for (std::int64_t b = 0; b < B; ++b) lengths[b] = b % (T + 1);
  Floats outputs(T * B * H), d_state = numbers(B * H, 8), d_memory = numbers(B * H, 9), d_weight(G * H), d_bias(H), bias_rows(B * H);
  const std::int64_t operand = pantoum_operand_bytes(T * B, H, precision);
  Aligned operands(operand), more(operand), d_operands(pantoum_operand_bytes(T * B, G, precision));
  const std::int64_t first = before ? 2 * H : G;
  std::vector<Aligned*> panels;
  for (int transposed = 0; recurrent && transposed < 2; ++transposed) {
    panels.push_back(packed(weight.data(), first, H, H, precision, transposed));
    panels.push_back(packed(weight.data() + (before ? 2 * H * H : 0), H, H, H, precision, transposed));
  }
  auto at = [&](std::size_t i) { return recurrent ? panels[i]->data : nullptr; };
  const pantoum_scan_args forward{
      gates.data(), hidden.data(), lstm ? memory.data() : nullptr, gru ? candidate.data() : nullptr,
      rows ? outputs.data() : nullptr, recurrent ? operands.data : nullptr, before ? more.data : nullptr, at(0),
      before ? at(1) : nullptr, gru ? bias.data() : nullptr, rows ? reset.data() : nullptr,
      rows ? lengths.data() : nullptr, T, B, H, T, precision, 1};
  must(cell.scan(&forward), cell.name);
  hash.add(hidden);
  hash.add(outputs);
  const pantoum_scan_vjp_args back{
      gates.data(), hidden.data(), lstm ? memory.data() : nullptr, gru ? candidate.data() : nullptr,
      recurrent ? operands.data : nullptr, before ? more.data : nullptr, at(2), before ? at(3) : nullptr,
      d_outputs.data(), d_state.data(), lstm ? d_memory.data() : nullptr, gates.data(), recurrent ? d_operands.data : nullptr,
      d_weight.data(), gru ? d_bias.data() : nullptr, gru ? bias_rows.data() : nullptr, rows ? reset.data() : nullptr,
      rows ? lengths.data() : nullptr, T, B, H, precision};
  must(cell.vjp(&back), cell.name);
  for (const Floats* x : {&gates, &d_state, &d_memory, &d_weight, &d_bias}) hash.add(*x);
  for (Aligned* p : panels) delete p;
}

// Everything around the scans: products, tables, losses, normalisation, dropout, the update.
void others(std::int64_t N, std::int64_t K, std::int64_t V, int precision, Hash& hash) {
  const Floats x = numbers(N * K, 1), weight = numbers(V * K, 2), bias = numbers(V, 3);
  Floats logits(N * V), d_x(N * K), d_weight(V * K), d_bias(V), nats(N), table(N * K);
  std::vector<std::int32_t> tokens(N), predictions(N);
  for (std::int64_t i = 0; i < N; ++i) tokens[i] = static_cast<std::int32_t>(i * 7 % V);
  Aligned* panels[] = {packed(weight.data(), V, K, V, precision, 0), packed(weight.data(), V, K, V, precision, 1)};
  const pantoum_product_args product{x.data(), panels[0]->data, bias.data(), logits.data(), N, K, V, V, precision};
  must(pantoum_product(&product), "product");
  hash.add(logits);
  const pantoum_softmax_args softmax{logits.data(), tokens.data(), nats.data(), predictions.data(), N, V, 1.0f / static_cast<float>(N)};
  must(pantoum_softmax(&softmax), "softmax");
  const pantoum_product_args back{logits.data(), panels[1]->data, nullptr, d_x.data(), N, V, K, K, precision};
  must(pantoum_product(&back), "product");
  const pantoum_weight_gradient_args of_weight{logits.data(), x.data(), d_weight.data(), N, V, K, precision, 0};
  must(pantoum_weight_gradient(&of_weight), "weight_gradient");
  const pantoum_bias_gradient_args of_bias{logits.data(), d_bias.data(), N, V, 0};
  must(pantoum_bias_gradient(&of_bias), "bias_gradient");
  const pantoum_lookup_args lookup{weight.data(), tokens.data(), table.data(), N, K};
  must(pantoum_lookup(&lookup), "lookup");
  for (const Floats* f : {&logits, &nats, &d_x, &d_weight, &d_bias, &table}) hash.add(*f);
  hash.add(predictions.data(), predictions.size() * sizeof(std::int32_t));
  const pantoum_lookup_gradient_args of_table{x.data(), tokens.data(), d_weight.data(), N, K, V};
  must(pantoum_lookup_gradient(&of_table), "lookup_gradient");
  Floats normal(N * K), scale(N), y(N * K), gain = numbers(K, 4), d_gain(K), d_shift(K);
  const pantoum_layer_norm_args norm{x.data(), gain.data(), gain.data(), normal.data(), scale.data(), y.data(), N, K};
  must(pantoum_layer_norm(&norm), "layer_norm");
  const pantoum_layer_norm_vjp_args norm_back{normal.data(), scale.data(), gain.data(), x.data(), d_x.data(), d_gain.data(), d_shift.data(), N, K};
  must(pantoum_layer_norm_vjp(&norm_back), "layer_norm_vjp");
  for (const Floats* f : {&d_weight, &y, &d_x, &d_gain, &d_shift}) hash.add(*f);
  std::vector<std::uint32_t> streams(N, 9);
  const pantoum_dropout_args dropout{x.data(), y.data(), streams.data(), 1, N, K, 1ull << 40, 5, 2, 20000, 1.5f, 0};
  must(pantoum_dropout(&dropout), "dropout");
  Floats parameter = weight, moment(V * K), second(V * K), averaged(V * K);
  const float* arrays[] = {d_weight.data(), x.data()};
  const std::int64_t sizes[] = {V * K, N * K};
  double total = 0;
  const pantoum_sum_of_squares_args squares{arrays, sizes, &total, 2};
  must(pantoum_sum_of_squares(&squares), "sum_of_squares");
  const pantoum_adamw_args adamw{parameter.data(), d_weight.data(), moment.data(), second.data(), V * K, 0.9f, 0.1f, 0.99f, 0.01f, 10.0f, 1e-8f, 0.01f, 0.99f};
  must(pantoum_adamw(&adamw), "adamw");
  const pantoum_average_args average{averaged.data(), parameter.data(), V * K, 0.1f};
  must(pantoum_average(&average), "average");
  Floats of_rows(V);
  const pantoum_row_squares_args rows{d_weight.data(), of_rows.data(), V, K, 0.5f, 2.0f};
  must(pantoum_row_squares(&rows), "row_squares");
  const pantoum_adapt_args adapt{parameter.data(), d_weight.data(), weight.data(), of_rows.data(), bias.data(), V, K};
  must(pantoum_adapt(&adapt), "adapt");
  for (const Floats* f : {&y, &parameter, &moment, &second, &averaged, &of_rows}) hash.add(*f);
  hash.add(&total, sizeof total);
  for (Aligned* p : panels) delete p;
}

std::uint64_t everything(int precision) {
  Hash hash;
  const std::int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 7}, {5, 25, 33}, {3, 2, 240}};
  for (const auto& s : sizes)
    for (const Cell& cell : kCells)
      for (bool rows : {false, true}) train(cell, s[0], s[1], s[2], rows, precision, hash);
  others(1, 1, 1, precision, hash);
  others(61, 33, 98, precision, hash);
  others(700, 70, 40, precision, hash);
  return hash.value;
}

}  // namespace

int main() {
  std::uint64_t expected = 0;
  bool same = true;
  for (const char* path : {"generic", "avx2", "avx512", "bf16", "neon"}) {
    if (pantoum_set_isa(path) != PANTOUM_OK) continue;
    for (int threads = 1; threads <= 3; ++threads) {
      must(pantoum_set_threads(threads), "set_threads");
      const std::uint64_t found = everything(PANTOUM_FLOAT32);
      if (expected == 0) expected = found;
      same = same && found == expected;
      if (found != expected) std::printf("%s, %d threads: %016llx\n", path, threads, static_cast<unsigned long long>(found));
      if (std::strcmp(path, "bf16") == 0) everything(PANTOUM_BF16);
    }
  }
  std::printf("%016llx\n", static_cast<unsigned long long>(expected));
  return same ? 0 : 1;
}
