// Counted contexts that learn while they read, and the mixer of what they say: the arithmetic of one decision.
//
// A symbol is a path of decisions, left or right, through a binary tree of all symbols. A context (what was read last,
// as a hash) has a run: the symbol that came after it last, and how often in a row. A context that has one has a group
// of slots for each three levels of the tree that were passed after it, and in each slot the chance of right and the
// last outcomes. Maps learn what a history of outcomes means. A chain corrects the prediction of the shorter context by
// the history of the longer one. All predictions, among them those of networks, are mixed by logistic mixing (Mahoney
// 2005, "Adaptive weighing of context models for lossless data compression"): sets of weights, each chosen by a small
// context, follow the gradient of their own loss, a second layer mixes their results, and adaptive curves correct what
// comes out.
//
// Every number is made by sums, products and quotients in a fixed order, none of them fused: the bits are those of
// tests/oracle/contexts.py on every path.
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
constexpr int kContexts = 21, kFirstRun = 2;  // the contexts of no symbol and one have no run
constexpr int kOrders = 8;                    // the first contexts: of the last symbols, more and more
constexpr int kMatches = 2;
constexpr int kChain = 11;
constexpr int kChained[kChain] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14};
constexpr int kWords = 7, kBeforeWords = 3;  // the link of the chain at which words begin goes on from this one
constexpr int kEach = 4;                     // predictions by a context
constexpr int kInputs = 112;                 // of the mixer, a multiple of 16
constexpr int kGroup = 8;                    // the name of a group and its slots, those of a tree of three levels
constexpr int kSets = 8;
constexpr Long kSetSizes[kSets] = {32, 2048, 1024, 256, 1024, 256, 1024, 1024};
constexpr int kStates = 1024, kRunStates = 64, kMatchStates = 32;
constexpr int kFarOff = 100;  // parts of 4,096
constexpr Long kRunMaps = kContexts * kStates, kMatchMaps = kRunMaps + kContexts * kRunStates;
constexpr int kFinals = 3, kFinalContexts = 1024;
constexpr int kNetworks = 2;                 // at most
constexpr int kResults = kSets + kNetworks;  // the mixer's results and the networks
constexpr int kCurves = 3, kCurveBits = 14, kKnots = 33;
constexpr Long kColumns = 63;  // of a line: there are more, but they are taken for the last one
constexpr int kWays = 4, kGroupWays = 2;
constexpr int kIndirect = 1024, kIndirectBits = 16;

// How fast what learns.
constexpr float kRate = 0.0013f, kFirstRate = 0.02f, kSlowing = 0.0005f;
constexpr float kFinalRate = 0.002f, kFirstFinalRate = 0.01f;
constexpr float kChainRate = 0.02f;
constexpr float kCurveRate = 0.02f, kCurveShare = 0.5f;
constexpr int kSlowest = 250, kMapSlowest = 1023;
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

// The same of sixteen.
inline F16 exp_of(F16 x) {
  const F16 one = broadcast(1.0f), round = broadcast(12582912.0f);
  const F16 t = x * broadcast(1.44269504f) + round, n = t - round;
  const F16 r = (x - n * broadcast(0.693359375f)) + n * broadcast(2.12194440e-4f);
  F16 y = broadcast(1.0f / 5040.0f) * r + broadcast(1.0f / 720.0f);
  y = y * r + broadcast(1.0f / 120.0f);
  y = y * r + broadcast(1.0f / 24.0f);
  y = y * r + broadcast(1.0f / 6.0f);
  y = ((y * r + broadcast(0.5f)) * r + one) * r + one;
  return from_bits(bits(y) + shift_left<23>(bits(t)));
}
inline F16 logistic(F16 x) { return broadcast(1.0f) / (broadcast(1.0f) + exp_of(zero() - x)); }

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
inline Int share(int count) { return kShares.of[count]; }

// A run: a check of 24 bits, the symbol (24), whether nothing else ever came (1), how often in a row (15).
inline U64 run_after(U64 run, int symbol) {
  const U64 count = run & 0x7fff, before = run >> 16 & 0xffffff, next = static_cast<U64>(symbol);
  const U64 kept = run >> 40 << 40 | next << 16;
  if (!count) return kept | 0x8000 | 1;
  if (before != next) return kept | 1;
  return kept | (run & 0x8000) | (count < 0x7fff ? count + 1 : count);
}

// A slot: the chance of right (16), the last outcomes after a leading 1 (8), how often (8).
inline U32 after(U32 slot, bool right) {
  const int count = static_cast<int>(slot & 255);
  const std::int64_t slow = slot >> 16;
  const U32 outcomes = (slot >> 8 & 255) << 1 | (right ? 1 : 0);
  const std::int64_t moved = slow + (((right ? 65535 : 0) - slow) * share(count < kSlowest ? count : kSlowest) >> 16);
  return static_cast<U32>(moved) << 16 | (outcomes < 256 ? outcomes : 128 | (outcomes & 127)) << 8 |
         static_cast<U32>(count < 255 ? count + 1 : 255);
}

// A map: a chance (22 bits) and how often (10).
inline void learn_map(U32& map, bool right, int slowest) {
  const std::int64_t chance = map >> 10, count = map & 1023;
  const std::int64_t moved = chance + (((right ? 4194303 : 0) - chance) * share(static_cast<int>(count)) >> 16);
  map = static_cast<U32>(moved) << 10 | static_cast<U32>(count < slowest ? count + 1 : count);
}
inline float centred(U32 map) { return static_cast<float>(map >> 10) * (1.0f / 4194304.0f) - 0.5f; }

// The map of a slot, of those of its context: by its last outcomes, and where there were more, by whether all of them
// say less, about as much or more.
inline Int map_of(U32 slot, const U32* maps) {
  const Int last = static_cast<Int>(slot >> 8 & 255);
  if ((slot & 255) < 8) return last;
  const Int more = static_cast<Int>(slot >> 20) - static_cast<Int>(maps[last] >> 20);
  return last + (more < -kFarOff ? 256 : more > kFarOff ? 768 : 512);
}

// What is known between two symbols, and within one, where a symbol comes decision by decision.
struct Pending {
  U64 hashes[kContexts], runs[kContexts];
  Long run_places[kContexts], groups[kContexts], weights[kSets], curves[kCurves];
  U32 names[kContexts], slots[kContexts];
  Int known[kContexts], knows;  // the contexts that have slots
  Int maps[kContexts], run_maps[kContexts], expected[kMatches], match_maps[kMatches], finals[kFinals];
  Int node, low, high, inside, networks;
  float before[kLanes], after[kLanes], results[kLanes], between;
  float inputs[kInputs];
};

constexpr Long weights_of_sets() {
  Long sum = 0;
  for (int s = 0; s < kSets; ++s) sum += kSetSizes[s] * kInputs;
  return sum;
}
static_assert(kIndirect + (1 << kIndirectBits) == PANTOUM_CONTEXT_FOLLOWED);
static_assert(kMatchMaps + kMatches * kMatchStates == PANTOUM_CONTEXT_MAPS);
static_assert(kRunMaps == PANTOUM_CONTEXT_LINKS && weights_of_sets() == PANTOUM_CONTEXT_WEIGHTS);
static_assert((kMatchStates + (kFinals - 1) * kFinalContexts) * kResults == PANTOUM_CONTEXT_FINALS);
static_assert((kCurves << kCurveBits) * kKnots == PANTOUM_CONTEXT_CURVES);
static_assert(kLong + kMatches <= PANTOUM_CONTEXT_WHERE && sizeof(Pending) <= 8 * PANTOUM_CONTEXT_PENDING);

}  // namespace
}  // namespace PANTOUM_ISA
}  // namespace pantoum
