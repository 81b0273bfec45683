// Counted contexts that learn while they read, and the mixer of what they say: the arithmetic of one decision.
//
// A symbol is a path of decisions, left or right, through a binary tree of all symbols. A context (what was read last,
// as a hash) has a run: the symbol that came after it last, and how often in a row. A context that has one has a slot
// for each node that was passed after it: the chance of right, by two rates, and the last outcomes. Maps learn what a
// history of outcomes means. A chain corrects the prediction of the shorter context by the history of the longer one.
// All predictions, among them that of a network, are mixed by logistic mixing (Mahoney 2005, "Adaptive weighing of
// context models for lossless data compression"): sets of weights, each chosen by a small context, follow the gradient
// of their own loss, a second layer mixes their results, and adaptive curves correct what comes out.
//
// Every number is made by sums, products and quotients in a fixed order, none of them fused: the bits are those of
// kernels/reference/contexts.py on every path.
#pragma once

#include "kernels.h"
#include "lanes.h"
#include "reduce.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

using U32 = std::uint32_t;
using U64 = std::uint64_t;
using Int = std::int32_t;

constexpr U64 kMix = 0x9E3779B97F4A7C15u, kStep = 0xD6E8FEB86659FD93u;

// What there is of each thing; kernels/context_tables.py makes the arrays.
constexpr int kContexts = 20, kFirstRun = 2;  // the contexts of no symbol and one have no run
constexpr int kOrders = 8;                    // the first contexts: of the last symbols, more and more
constexpr int kMatches = 2;
constexpr int kChain = 11;
constexpr int kChained[kChain] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14};
constexpr int kWords = 7, kBeforeWords = 3;  // the link of the chain at which words begin goes on from this one
constexpr int kEach = 5;                     // predictions by a context
constexpr int kInputs = 128;                 // of the mixer, a multiple of 16
constexpr int kSets = 8;
constexpr Long kSetSizes[kSets] = {32, 2048, 1024, 256, 1024, 256, 1024, 1024};
constexpr int kStates = 1024, kRunStates = 64, kMatchStates = 32;
constexpr Long kRunMaps = kContexts * kStates, kMatchMaps = kRunMaps + kContexts * kRunStates;
constexpr int kFinals = 2, kFinalContexts = 1024;
constexpr int kCurves = 3, kCurveBits = 14, kKnots = 33;
constexpr int kWays = 4;
constexpr int kIndirect = 1024, kIndirectBits = 16;

// How fast what learns.
constexpr float kRate = 0.002f, kFirstRate = 0.02f, kSlowing = 0.0005f;
constexpr float kFinalRate = 0.002f, kFirstFinalRate = 0.01f;
constexpr float kChainRate = 0.02f;
constexpr float kCurveRate = 0.02f, kCurveShare = 0.5f;
constexpr int kSlowest = 250, kFastest = 12, kMapSlowest = 1023;
constexpr int kLeast[kMatches] = {12, 6};  // symbols that a match begins with

// Places of `where`.
enum {
  kRead,
  kBegun,
  kLine,
  kLineBefore,
  kWord,
  kWord1,
  kWord2,
  kShape,
  kDecisions,
  kFound,
  kLong = kFound + kMatches
};

inline float exp_of(float x) {
  const float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // to the nearest
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float y = 1.0f / 5040.0f * r + 1.0f / 720.0f;
  y = y * r + 1.0f / 120.0f;
  y = y * r + 1.0f / 24.0f;
  y = y * r + 1.0f / 6.0f;
  y = ((y * r + 0.5f) * r + 1.0f) * r + 1.0f;
  U32 bits;
  __builtin_memcpy(&bits, &y, sizeof y);
  bits += static_cast<U32>(static_cast<Int>(n)) << 23;
  __builtin_memcpy(&y, &bits, sizeof y);
  return y;
}

// Of a positive normal number: x = 2^k m, m from sqrt(1/2) to sqrt(2), and log m by the series of artanh.
inline float log_of(float x) {
  U32 bits;
  __builtin_memcpy(&bits, &x, sizeof x);
  const Int k = static_cast<Int>(bits - 0x3f3504f3u) >> 23;
  bits -= static_cast<U32>(k) << 23;
  float m;
  __builtin_memcpy(&m, &bits, sizeof m);
  const float y = (m - 1.0f) / (m + 1.0f), z = y * y;
  return static_cast<float>(k) * 0.69314718f +
         y * (2.0f + z * (0.66666667f + z * (0.4f + z * (0.28571429f + z * 0.22222222f))));
}

inline float within(float x, float most) { return x > most ? most : x < -most ? -most : x; }
inline float logistic(float x) { return 1.0f / (1.0f + exp_of(-x)); }
inline U64 mix(U64 hash, U64 next) {
  hash = (hash ^ next) * kMix;
  return hash ^ hash >> 29;
}
inline int bits_of(Long size) { return 63 - __builtin_clzll(static_cast<U64>(size)); }

// 2^16 / (n + 1.5): the mean of all outcomes so far, as if half of one each had been seen before.
struct Shares {
  Int of[1024];
  constexpr Shares() : of() {
    for (int n = 0; n < 1024; ++n) of[n] = 131072 / (2 * n + 3);
  }
};
constexpr Shares kShares;

// What is known between two symbols, and within one, where a symbol comes decision by decision.
struct Pending {
  U64 hashes[kContexts], runs[kContexts], slots[kContexts];
  Long run_places[kContexts], slot_places[kContexts], weights[kSets], curves[kCurves];
  Int maps[kContexts], run_maps[kContexts], expected[kMatches], match_maps[kMatches], finals[kFinals];
  Int node, low, high, network;
  float results[kSets], chances[kSets], final_chances[kFinals], before[kChain], after[kChain], between;
  float inputs[kInputs];
};

class Contexts {
 public:
  explicit Contexts(const pantoum_context_mixer_args& mixer)
      : a(mixer),
        now(*reinterpret_cast<Pending*>(mixer.pending)),
        slot_shift(64 - bits_of(mixer.slot_count)),
        run_shift(64 - bits_of(mixer.run_count)),
        match_shift(64 - bits_of(mixer.match_count)),
        history_mask(mixer.history_size - 1) {}

  // The contexts of the next symbol. The network gives logits or nothing.
  void begin(const float* logits) {
    add_up(logits);
    hash_contexts();
    for (int i = kFirstRun; i < kContexts; ++i) find_run(i);
    for (int m = 0; m < kMatches; ++m) now.expected[m] = a.where[kLong + m] ? at(a.where[kFound + m]) : -1;
    now.node = now.low = 0;
    now.high = static_cast<Int>(a.vocabulary);
  }

  bool decided() const { return now.high - now.low == 1; }
  int symbol() const { return a.symbols[now.low]; }
  bool goes_right(int symbol) const { return a.places[symbol] >= a.middles[now.node]; }

  // The chance of 2^22 that the way goes right.
  U32 chance() {
    const int middle = a.middles[now.node];
    const Asked asked = ask_counts(middle);
    float* x = now.inputs + kOfCounts;
    x[0] = x[1] = 0.0f;
    x[2] = 0.4f;
    if (now.network) {
      const double right = a.masses[now.high] - a.masses[middle], left = a.masses[middle] - a.masses[now.low];
      x[0] = within(log_of(right > 1e-30 ? static_cast<float>(right) : 1e-30f) -
                        log_of(left > 1e-30 ? static_cast<float>(left) : 1e-30f),
                    12.0f);
      x[1] = (logistic(x[0]) - 0.5f) * 2.0f;
    }
    for (x += 3; x < now.inputs + kInputs; ++x) *x = 0.0f;
    return mixed(asked);
  }

  // Learn how often what came, without predicting.
  void count(bool right) {
    ask_counts(a.middles[now.node]);
    learn_counts(right, right ? 1.0f : 0.0f);
  }

  // The way that was taken.
  void learn(bool right) {
    const float y = right ? 1.0f : 0.0f;
    learn_counts(right, y);
    learn_mixture(y);
  }

  // The probabilities of all symbols below the node, which make up `share`.
  void spread(float share, float* probabilities) {
    if (decided()) {
      probabilities[symbol()] = share;
      return;
    }
    const Int node = now.node, low = now.low, high = now.high;
    const U32 right = chance();
    for (int way = 0; way < 2; ++way) {
      now.node = node, now.low = low, now.high = high;
      go(way);
      spread(share * (static_cast<float>(way ? right : 4194304u - right) * (1.0f / 4194304.0f)), probabilities);
    }
  }

  void go(bool right) {
    const Int middle = a.middles[now.node];
    now.node += right ? middle - now.low : 1;
    (right ? now.low : now.high) = middle;
  }

  // The symbol is known.
  void end(int symbol) {
    for (int i = kFirstRun; i < kContexts; ++i) a.runs[now.run_places[i]] = run_after(now.runs[i], symbol);
    follow(a.followed[recent(1) % kIndirect], symbol);
    follow(a.followed[kIndirect + (chained(2) >> (64 - kIndirectBits))], symbol);
    a.history[a.where[kRead]++ & history_mask] = symbol;
    end_word(symbol);
    for (int m = 0; m < kMatches; ++m) end_match(m, symbol);
  }

  // A document begins: what was read before is no context any more.
  void reset() {
    a.where[kBegun] = a.where[kLine] = a.where[kLineBefore] = a.where[kRead];
    a.where[kWord] = a.where[kWord1] = a.where[kWord2] = a.where[kShape] = 0;
    for (int m = 0; m < kMatches; ++m) a.where[kLong + m] = 0;
  }

 private:
  const pantoum_context_mixer_args& a;
  Pending& now;
  const int slot_shift, run_shift, match_shift;
  const Long history_mask;

  int at(Long place) const { return a.history[place & history_mask]; }
  // The symbol so many ago, as its number + 1; 0: none.
  int recent(int back) const {
    const Long place = a.where[kRead] - back;
    return place >= a.where[kBegun] ? at(place) + 1 : 0;
  }
  U64 chained(int count) const {
    U64 hash = 0;
    for (int back = 1; back <= count; ++back) hash = (hash + static_cast<U64>(recent(back)) + 1) * kStep;
    return hash;
  }

  // The probabilities of the places before each, but for a factor.
  void add_up(const float* logits) {
    now.network = logits != nullptr;
    if (!logits) return;
    float top = logits[0];
    for (Long v = 1; v < a.vocabulary; ++v) top = logits[v] > top ? logits[v] : top;
    double sum = 0.0;
    for (Long place = 0; place < a.vocabulary; ++place) {
      a.masses[place] = sum;
      const float below = logits[a.symbols[place]] - top;  // a NaN, too, is next to nothing
      sum += static_cast<double>(exp_of(below > -80.0f ? below : -80.0f));
    }
    a.masses[a.vocabulary] = sum;
  }

  void hash_contexts() {
    U64 orders[12] = {0};
    for (int back = 1; back < 12; ++back)
      orders[back] = (orders[back - 1] + static_cast<U64>(recent(back)) + 1) * kStep;
    const U64 word = static_cast<U64>(a.where[kWord]), word1 = static_cast<U64>(a.where[kWord1]),
              word2 = static_cast<U64>(a.where[kWord2]), shape = static_cast<U64>(a.where[kShape]);
    const U64 c1 = recent(1), c2 = recent(2), c3 = recent(3), c4 = recent(4), outside = word ? 0 : 16 * c1;
    const Long line = a.where[kLine], above_place = a.where[kLineBefore] + a.where[kRead] - line;
    const U64 above = above_place < line ? at(above_place) + 1 : 0;
    const U64 one = a.followed[c1 % kIndirect] & 0xfffff,
              two = a.followed[kIndirect + (orders[2] >> (64 - kIndirectBits))] & 0xfffff;
    const U64 found[kContexts] = {0,
                                  orders[1],
                                  orders[2],
                                  orders[3],
                                  orders[4],
                                  orders[5],
                                  orders[6],
                                  orders[8],
                                  mix(word, 1 + outside),
                                  mix(mix(word, 2 + outside), word1),
                                  mix(mix(mix(word, 3 + outside), word1), word2),
                                  mix(mix(c2, 4), c3),
                                  mix(mix(word, 5), word2),
                                  mix(mix(one, 6), c1),
                                  mix(mix(two, 7), c1),
                                  mix(mix(above, 8), c1),
                                  mix(mix(mix(c1, 9), c3), c4),
                                  mix(mix(shape & 0xffff, 10), c1),
                                  mix(mix(mix(word, 11), c1), mix(word1, c2)),
                                  mix(mix(mix(c2, 12), c3), c4)};
    for (int i = 0; i < kContexts; ++i) now.hashes[i] = mix(found[i], 101 + static_cast<U64>(i));
  }

  // A run: a check of 24 bits, the symbol (24), whether nothing else ever came (1), how often in a row (15).
  void find_run(int i) {
    const U64 key = now.hashes[i] * kStep, check = key >> 8 & 0xffffff;
    const Long first = static_cast<Long>(key >> run_shift);
    U64 least = ~U64{0};
    for (int way = 0; way < kWays; ++way) {
      const U64 run = a.runs[first ^ way], count = run & 0x7fff;
      if (count && run >> 40 == check) {
        now.runs[i] = run;
        now.run_places[i] = first ^ way;
        return;
      }
      if (count < least) {
        least = count;
        now.run_places[i] = first ^ way;
      }
    }
    now.runs[i] = check << 40;
  }

  static U64 run_after(U64 run, int symbol) {
    const U64 count = run & 0x7fff, before = run >> 16 & 0xffffff, next = static_cast<U64>(symbol);
    const U64 kept = run >> 40 << 40 | next << 16;
    if (!count) return kept | 0x8000 | 1;
    if (before != next) return kept | 1;
    return kept | (run & 0x8000) | (count < 0x7fff ? count + 1 : count);
  }

  // A slot: a check (16), the chance of right by a slow rate (16) and a fast one (16), the last outcomes after a
  // leading 1 (8), how often (8).
  static U64 after(U64 slot, bool right) {
    const int count = static_cast<int>(slot & 255);
    const U64 outcomes = (slot >> 8 & 255) << 1 | (right ? 1 : 0);
    Long slow = static_cast<Long>(slot >> 32 & 0xffff), fast = static_cast<Long>(slot >> 16 & 0xffff);
    const Long target = right ? 65535 : 0;
    slow += (target - slow) * share(count < kSlowest ? count : kSlowest) >> 16;
    fast += (target - fast) * share(count < kFastest ? count : kFastest) >> 16;
    return slot >> 48 << 48 | static_cast<U64>(slow) << 32 | static_cast<U64>(fast) << 16 |
           (outcomes < 256 ? outcomes : 128 | (outcomes & 127)) << 8 | static_cast<U64>(count < 255 ? count + 1 : 255);
  }
  static Long share(int count) { return kShares.of[count]; }

  // A map: a chance (22 bits) and how often (10).
  static void learn_map(U32& map, bool right, int slowest) {
    const Long chance = map >> 10, count = map & 1023;
    const Long moved = chance + (((right ? 4194303 : 0) - chance) * share(static_cast<int>(count)) >> 16);
    map = static_cast<U32>(moved) << 10 | static_cast<U32>(count < slowest ? count + 1 : count);
  }
  float logit_of(U32 map) const { return a.logits[map >> 20]; }
  static float centred(U32 map) { return static_cast<float>(map >> 10) * (1.0f / 4194304.0f) - 0.5f; }

  // What the mixer is chosen by.
  struct Asked {
    int longest, sure, match, said;  // the longest order seen, runs of one symbol alone, the match and its symbol
  };
  static constexpr int kOfCounts = kContexts * kEach + 2 * kMatches + kChain;

  Asked ask_counts(int middle) {
    Asked asked{0, 0, 0, 0};
    for (int i = 0; i < kContexts; ++i) ask_context(i, middle, asked);
    float* x = now.inputs + kContexts * kEach;
    for (int m = 0; m < kMatches; ++m, x += 2) ask_match(m, middle, x, asked);
    ask_chain(x);
    return asked;
  }

  void ask_context(int i, int middle, Asked& asked) {
    float* x = now.inputs + i * kEach;
    x[0] = x[1] = x[2] = x[3] = x[4] = 0.0f;
    now.maps[i] = now.run_maps[i] = -1;
    const U64 run = i < kFirstRun ? 0 : now.runs[i], times = run & 0x7fff;
    if (i >= kFirstRun && !times) return;
    const int place = a.places[run >> 16 & 0xffffff];
    const bool goes_on = times && now.low <= place && place < now.high, right = place >= middle, alone = run & 0x8000;
    const U64 slot = find_slot(i);
    U64 value = slot;
    if (!(slot & 255) && goes_on && alone)
      for (U64 time = 0; time < 3 && time < times; ++time) value = after(value, right);
    now.slots[i] = value;
    const int count = static_cast<int>(value & 255);
    const int size = count < 8 ? 0 : count < 16 ? 1 : count < 48 ? 2 : 3;
    now.maps[i] = static_cast<Int>(i * kStates + size * 256 + static_cast<int>(value >> 8 & 255));
    const U32 map = a.maps[now.maps[i]];
    x[0] = logit_of(map);
    x[1] = centred(map) * 2.0f;
    if (count) {
      x[2] = a.logits[value >> 36 & 4095];
      x[3] = (static_cast<float>(value >> 16 & 0xffff) * (1.0f / 65536.0f) - 0.5f) * 2.0f;
      if (i < kOrders) asked.longest = i;
    }
    if (!goes_on) return;
    const Int kept =
        static_cast<Int>(kRunMaps) + i * kRunStates + static_cast<Int>(times < 31 ? times : 31) * 2 + alone;
    const float said = logit_of(a.maps[kept]);
    x[4] = right ? said : -said;
    now.run_maps[i] = kept << 1 | right;
    asked.sure += alone;
  }

  U64 find_slot(int i) {
    const U64 key = (now.hashes[i] + static_cast<U64>(now.node + 1) * kMix) * kStep, check = key >> 8 & 0xffff;
    const Long first = static_cast<Long>(key >> slot_shift);
    U64 least = ~U64{0};
    for (int way = 0; way < kWays; ++way) {
      const U64 slot = a.slots[first ^ way], count = slot & 255;
      if (count && slot >> 48 == check) {
        now.slot_places[i] = first ^ way;
        return slot;
      }
      if (count < least) {
        least = count;
        now.slot_places[i] = first ^ way;
      }
    }
    return check << 48 | U64{32768} << 32 | U64{32768} << 16 | 1 << 8;
  }

  void ask_match(int m, int middle, float* x, Asked& asked) {
    x[0] = x[1] = 0.0f;
    now.match_maps[m] = -1;
    if (now.expected[m] < 0) return;
    const int place = a.places[now.expected[m]];
    if (place < now.low || place >= now.high) return;
    const Long length = a.where[kLong + m];
    const int size = static_cast<int>(length < 16    ? length
                                      : length < 32  ? 12 + length / 4
                                      : length < 64  ? 16 + length / 8
                                      : length < 512 ? 23 + length / 64
                                                     : 31);
    const Int kept = static_cast<Int>(kMatchMaps) + m * kMatchStates + size;
    const bool right = place >= middle;
    const float logit = logit_of(a.maps[kept]), chance = centred(a.maps[kept]) * 4.0f;
    x[0] = right ? logit : -logit;
    x[1] = right ? chance : -chance;
    now.match_maps[m] = kept << 1 | right;
    if (asked.match) return;
    asked.match = size;
    asked.said = now.expected[m] + 1;
  }

  // Each link: w0 * (what the link before says) + w1, by weights of the history of its context.
  void ask_chain(float* x) {
    float said = now.inputs[0];
    for (int j = 0; j < kChain; ++j) {
      if (j == kWords) said = now.after[kBeforeWords];
      now.before[j] = said;
      const Int map = now.maps[kChained[j]];
      if (map >= 0) said = within(a.links[2 * map] * said + a.links[2 * map + 1], 12.0f);
      x[j] = now.after[j] = said;
    }
  }

  U32 mixed(const Asked& asked) {
    const float guide = now.network ? now.inputs[kOfCounts] : now.inputs[3 * kEach];
    const int sureness = static_cast<int>((within(guide, 7.9f) + 8.0f) * 2.0f);
    const int c1 = recent(1), c2 = recent(2);
    const Long shape = a.where[kShape];
    const Long chosen[kSets] = {asked.match,
                                now.node % kSetSizes[1],
                                c1 % kSetSizes[2],
                                asked.longest * 24 + (asked.sure < 23 ? asked.sure : 23),
                                c2 % kSetSizes[4],
                                shape & 255,
                                asked.said % kSetSizes[6],
                                sureness * 32 + asked.match};
    Long base = 0;
    for (int s = 0; s < kSets; ++s) {
      now.weights[s] = (base + chosen[s]) * kInputs;
      base += kSetSizes[s];
      const float* w = a.weights + now.weights[s];
      F16 sum = zero();
      for (int j = 0; j < kInputs; j += kLanes) sum = sum + load(w + j) * load(now.inputs + j);
      now.results[s] = within(sum_lanes(sum), 15.0f);
      now.chances[s] = logistic(now.results[s]);
    }
    float mean = 0.0f;
    const int final_contexts[kFinals] = {asked.match, kMatchStates + c1 % kFinalContexts};
    for (int f = 0; f < kFinals; ++f) {
      now.finals[f] = final_contexts[f] * kSets;
      float sum = 0.0f;
      for (int s = 0; s < kSets; ++s) sum += a.finals[now.finals[f] + s] * now.results[s];
      sum = within(sum, 15.0f);
      now.final_chances[f] = logistic(sum);
      mean += sum * 0.5f;
    }
    const float place = within(mean, 7.99f) * 2.0f + 16.0f;
    const int knot = static_cast<int>(place);
    now.between = place - static_cast<float>(knot);
    const U64 node = static_cast<U64>(now.node), one = mix(mix(static_cast<U64>(c1), 5), node);
    const U64 by[kCurves] = {one, mix(one, static_cast<U64>(c2)), mix(mix(now.hashes[3], 77), node)};
    float corrected = 0.0f;
    for (int c = 0; c < kCurves; ++c) {
      const Long row = (Long{c} << kCurveBits) + static_cast<Long>(by[c] * kStep >> (64 - kCurveBits));
      now.curves[c] = row * kKnots + knot;
      const float* at_knot = a.curves + now.curves[c];
      corrected += at_knot[0] * (1.0f - now.between) + at_knot[1] * now.between;
    }
    const float chance = logistic(mean) * (1.0f - kCurveShare) + corrected * (kCurveShare / kCurves);
    const Int whole = static_cast<Int>(chance * 4194304.0f);
    return static_cast<U32>(whole < 1 ? 1 : whole > 4194303 ? 4194303 : whole);
  }

  void learn_counts(bool right, float y) {
    for (int i = 0; i < kContexts; ++i) {
      if (now.maps[i] < 0) continue;
      learn_map(a.maps[now.maps[i]], right, kMapSlowest);
      a.slots[now.slot_places[i]] = after(now.slots[i], right);
      if (now.run_maps[i] >= 0) learn_map(a.maps[now.run_maps[i] >> 1], right == (now.run_maps[i] & 1), 1023);
    }
    for (int m = 0; m < kMatches; ++m)
      if (now.match_maps[m] >= 0) learn_map(a.maps[now.match_maps[m] >> 1], right == (now.match_maps[m] & 1), 1023);
    for (int j = 0; j < kChain; ++j) {
      const Int map = now.maps[kChained[j]];
      if (map < 0) continue;
      const float step = (y - logistic(now.after[j])) * kChainRate;
      a.links[2 * map] += step * now.before[j];
      a.links[2 * map + 1] += step * 0.5f;
    }
  }

  void learn_mixture(float y) {
    const float slower = 1.0f / (1.0f + static_cast<float>(++a.where[kDecisions]) * kSlowing);
    const float rate = kRate + kFirstRate * slower, final_rate = kFinalRate + kFirstFinalRate * slower;
    for (int s = 0; s < kSets; ++s) {
      float* w = a.weights + now.weights[s];
      const F16 step = broadcast((y - now.chances[s]) * rate);
      for (int j = 0; j < kInputs; j += kLanes) store(w + j, load(w + j) + step * load(now.inputs + j));
    }
    for (int f = 0; f < kFinals; ++f) {
      const float step = (y - now.final_chances[f]) * final_rate;
      for (int s = 0; s < kSets; ++s) a.finals[now.finals[f] + s] += step * now.results[s];
    }
    for (int c = 0; c < kCurves; ++c) {
      float* knot = a.curves + now.curves[c];
      knot[0] += (y - knot[0]) * (kCurveRate * (1.0f - now.between));
      knot[1] += (y - knot[1]) * (kCurveRate * now.between);
    }
  }

  static void follow(U32& followed, int symbol) { followed = followed << 10 | (static_cast<U32>(symbol) & 1023); }

  void end_word(int symbol) {
    const int kind = a.kinds[symbol];
    if (kind == 1 || (kind == 4 && !a.where[kWord])) {
      a.where[kWord] =
          static_cast<Long>(mix(static_cast<U64>(a.where[kWord]) + 0x1234567, static_cast<U64>(a.folds[symbol]) + 1));
    } else if (a.where[kWord]) {
      a.where[kWord2] = a.where[kWord1];
      a.where[kWord1] = a.where[kWord];
      a.where[kWord] = kind == 4 ? static_cast<Long>(mix(0x1234567, static_cast<U64>(a.folds[symbol]) + 1)) : 0;
    }
    if (kind == 3) {
      a.where[kLineBefore] = a.where[kLine];
      a.where[kLine] = a.where[kRead];
    }
    a.where[kShape] = (a.where[kShape] << 2 | (kind & 3)) & 0xffffffff;
  }

  void end_match(int m, int symbol) {
    Long &found = a.where[kFound + m], &length = a.where[kLong + m];
    if (length && at(found) == symbol) {
      ++found;
      length += length < 65535;
    } else {
      length = 0;
    }
    Int& last = a.matches[m * a.match_count + static_cast<Long>(chained(kLeast[m]) >> match_shift)];
    const Long read = a.where[kRead], begun = a.where[kBegun];
    if (!length && last) {
      const Long candidate = last;
      while (length < 32 && length < candidate && read - 1 - length >= begun &&
             at(candidate - 1 - length) == at(read - 1 - length))
        ++length;
      if (length < kLeast[m]) length = 0;
      found = candidate;
    }
    last = static_cast<Int>(read);
  }
};

}  // namespace
}  // namespace PANTOUM_ISA
}  // namespace pantoum
