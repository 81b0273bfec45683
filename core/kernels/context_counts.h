// What counted contexts say of a decision, and how they learn from it: runs, slots, matches, the chain.
#pragma once

#include "contexts.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

class ContextCounts {
 public:
  explicit ContextCounts(const pantoum_context_mixer_args& mixer)
      : a(mixer),
        now(*reinterpret_cast<Pending*>(mixer.pending)),
        group_shift(64 - bits_of(mixer.slot_count / kGroup)),
        run_shift(64 - bits_of(mixer.run_count)),
        match_shift(64 - bits_of(mixer.match_count)),
        history_mask(mixer.history_size - 1) {}

  bool decided() const { return now.high - now.low == 1; }
  int symbol() const { return a.symbols[now.low]; }
  bool goes_right(int symbol) const { return a.places[symbol] >= a.middles[now.node]; }

  void go(bool right) {
    const Int middle = a.middles[now.node];
    now.node += right ? middle - now.low : 1;
    (right ? now.low : now.high) = middle;
    now.inside = 2 * now.inside + right;
    if (now.inside >= kGroup && !decided()) find_groups();
  }

  // Learn how often what came, without predicting: what that means is learned where it predicts.
  void count(bool right) {
    const int middle = a.middles[now.node];
    for (int k = 0; k < now.knows; ++k) {
      const int i = now.known[k];
      const U32 slot = seen_slot(i);
      keep_slot(i, after(slot ? slot : first_slot(run_at(i, middle)), right));
    }
  }

  // The symbol is known: its slots below the first levels, and the runs and matches of the next one, in tables that are
  // larger than any cache, are on the way while it is learned from.
  void look_ahead(int symbol) {
    Int node = 0, low = 0, high = static_cast<Int>(a.vocabulary);
    for (int depth = 0; high - low > 1; ++depth) {
      if (depth && depth % 3 == 0)
        for (int k = 0; k < now.knows; ++k)
          __builtin_prefetch(a.slots + (group_key(now.hashes[now.known[k]], node) >> group_shift) * kGroup, 1);
      const Int middle = a.middles[node];
      const bool right = a.places[symbol] >= middle;
      node += right ? middle - low : 1;
      (right ? low : high) = middle;
    }
    std::int64_t here[kFound];
    for (int k = 0; k < kFound; ++k) here[k] = a.where[k];
    a.history[here[kRead] & history_mask] = symbol;  // as `end` will
    ++a.where[kRead];
    end_word(symbol);
    U64 hashes[kContexts];
    hash_contexts(hashes);
    for (int m = 0; m < kMatches; ++m) __builtin_prefetch(match_after(m), 1);
    for (int k = 0; k < kFound; ++k) a.where[k] = here[k];
    for (int i = 0; i < kContexts; ++i) {
      if (i >= kFirstRun) __builtin_prefetch(a.runs + (hashes[i] * kStep >> run_shift), 1);
      __builtin_prefetch(a.slots + (group_key(hashes[i], 0) >> group_shift) * kGroup, 1);
    }
  }

  // The symbol is known.
  void end(int symbol) {
    for (int i = kFirstRun; i < kContexts; ++i) a.runs[now.run_places[i]] = run_after(now.runs[i], symbol);
    follow(a.followed[recent(1) % kIndirect], symbol);
    follow(a.followed[kIndirect + (chained(2) >> (64 - kIndirectBits))], symbol);
    a.history[a.where[kRead] & history_mask] = symbol;
    pass(symbol, true);
  }

  // These symbols alone are before the next one. They follow what was read, and nothing is learned from them.
  void follow_on(const Int* symbols, Long count) {
    reset();
    told = a.where[kRead];
    untold = symbols;
    for (Long t = 0; t < count; ++t) pass(symbols[t], false);
  }

  // A document begins: what was read before is no context any more.
  void reset() {
    a.where[kBegun] = a.where[kLine] = a.where[kLineBefore] = a.where[kRead];
    a.where[kWord] = a.where[kWord1] = a.where[kWord2] = a.where[kShape] = 0;
    for (int m = 0; m < kMatches; ++m) a.where[kLong + m] = 0;
  }

 protected:
  const pantoum_context_mixer_args& a;
  Pending& now;

  // The contexts of the next symbol.
  void begin_counts() {
    hash_contexts(now.hashes);
    for (int i = kFirstRun; i < kContexts; ++i) __builtin_prefetch(a.runs + (now.hashes[i] * kStep >> run_shift));
    for (int i = kFirstRun; i < kContexts; ++i) find_run(i);
    now.knows = 0;
    for (int i = 0; i < kContexts; ++i) {
      now.maps[i] = now.run_maps[i] = -1;
      if (i < kFirstRun || now.runs[i] & 0x7fff) now.known[now.knows++] = i;
    }
    for (float& x : now.inputs) x = 0.0f;
    for (int m = 0; m < kMatches; ++m) now.expected[m] = goes_on(m) ? at(a.where[kFound + m]) : -1;
    now.node = now.low = 0;
    now.high = static_cast<Int>(a.vocabulary);
    find_groups();
  }

  // The symbol so many ago, as its number + 1; 0: none.
  int recent(int back) const {
    const Long place = a.where[kRead] - back;
    return place >= a.where[kBegun] ? at(place) + 1 : 0;
  }

  // What the mixer is chosen by.
  struct Asked {
    int longest, sure, match, said;  // the longest order seen, runs of one symbol alone, the match and its symbol
  };
  static constexpr int kOfCounts = kContexts * kEach + 2 * kMatches + kChain;

  Asked ask_counts(int middle) {
    Asked asked{0, 0, 0, 0};
    for (int k = 0; k < now.knows; ++k) ask_context(now.known[k], middle, asked);
    float* x = now.inputs + kContexts * kEach;
    for (int m = 0; m < kMatches; ++m, x += 2) ask_match(m, middle, x, asked);
    ask_chain(x);
    return asked;
  }

  void learn_counts(bool right, float y) {
    for (int k = 0; k < now.knows; ++k) {
      const int i = now.known[k];
      learn_map(a.maps[now.maps[i]], right, kMapSlowest);
      keep_slot(i, after(now.slots[i], right));
      if (now.run_maps[i] >= 0) learn_map(a.maps[now.run_maps[i] >> 1], right == (now.run_maps[i] & 1), 1023);
    }
    for (int m = 0; m < kMatches; ++m)
      if (now.match_maps[m] >= 0) learn_map(a.maps[now.match_maps[m] >> 1], right == (now.match_maps[m] & 1), 1023);
    alignas(64) float steps[kLanes];
    store(steps, (broadcast(y) - logistic(load(now.after))) * broadcast(kChainRate));
    for (int j = 0; j < kChain; ++j) {
      const Int map = now.maps[kChained[j]];
      if (map < 0) continue;
      a.links[2 * map] += steps[j] * now.before[j];
      a.links[2 * map + 1] += steps[j] * 0.5f;
    }
  }

 private:
  const int group_shift, run_shift, match_shift;
  const Long history_mask;
  std::int64_t told = std::int64_t{1} << 62;  // the first place of what is not in the history,
  const Int* untold = nullptr;                // but here

  int at(std::int64_t place) const { return place < told ? a.history[place & history_mask] : untold[place - told]; }
  bool goes_on(int m) const { return a.where[kLong + m] && a.where[kFound + m] < told; }

  void pass(int symbol, bool learns) {
    ++a.where[kRead];
    end_word(symbol);
    for (int m = 0; m < kMatches; ++m) end_match(m, symbol, learns);
  }
  U64 chained(int count) const {
    U64 hash = 0;
    for (int back = 1; back <= count; ++back) hash = (hash + static_cast<U64>(recent(back)) + 1) * kStep;
    return hash;
  }

  void hash_contexts(U64* hashes) const {
    U64 orders[12] = {0};
    for (int back = 1; back < 12; ++back)
      orders[back] = (orders[back - 1] + static_cast<U64>(recent(back)) + 1) * kStep;
    const U64 word = static_cast<U64>(a.where[kWord]), word1 = static_cast<U64>(a.where[kWord1]),
              word2 = static_cast<U64>(a.where[kWord2]), shape = static_cast<U64>(a.where[kShape]);
    const U64 c1 = recent(1), c2 = recent(2), c3 = recent(3), c4 = recent(4), outside = word ? 0 : 16 * c1;
    const Long line = a.where[kLine], above_place = a.where[kLineBefore] + a.where[kRead] - line;
    const U64 above = above_place < line ? at(above_place) + 1 : 0;
    const U64 column = static_cast<U64>(least(a.where[kRead] - line, kColumns));
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
                                  mix(mix(mix(c2, 12), c3), c4),
                                  mix(mix(column, 13), c1)};
    for (int i = 0; i < kContexts; ++i) hashes[i] = mix(found[i], 101 + static_cast<U64>(i));
  }

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

  // What the run of a context says of a decision: whether its symbol can still come, on which side, and whether nothing
  // else ever came.
  struct Run {
    int times;
    bool goes_on, right, alone;
  };
  Run run_at(int i, int middle) const {
    const U64 run = i < kFirstRun ? 0 : now.runs[i];
    const int times = static_cast<int>(run & 0x7fff), place = a.places[run >> 16 & 0xffffff];
    return {times, times && now.low <= place && place < now.high, place >= middle, (run & 0x8000) != 0};
  }

  // The slot of a context at this node; 0: it has none.
  U32 seen_slot(int i) const {
    const U32* group = a.slots + now.groups[i];
    return group[0] == now.names[i] ? group[now.inside] : 0;
  }
  // What it begins with: a context has slots from its second occurrence on, so the run knows what came before.
  static U32 first_slot(const Run& run) {
    U32 slot = 32768u << 16 | 1 << 8;
    if (run.goes_on && run.alone)
      for (int time = 0; time < 3 && time < run.times; ++time) slot = after(slot, run.right);
    return slot;
  }
  void keep_slot(int i, U32 slot) {
    U32* group = a.slots + now.groups[i];
    if (group[0] != now.names[i]) {
      group[0] = now.names[i];
      for (int other = 1; other < kGroup; ++other) group[other] = 0;
    }
    group[now.inside] = slot;
  }

  float logit_of(U32 map) const { return a.logits[map >> 20]; }

  void ask_context(int i, int middle, Asked& asked) {
    float* x = now.inputs + i * kEach;
    const Run run = run_at(i, middle);
    const U32 seen = seen_slot(i), slot = seen ? seen : first_slot(run);
    now.slots[i] = slot;
    const int count = static_cast<int>(slot & 255);
    now.maps[i] = static_cast<Int>(i * kStates) + map_of(slot, a.maps + i * kStates);
    const U32 map = a.maps[now.maps[i]];
    x[0] = logit_of(map);
    x[1] = centred(map) * 2.0f;
    x[2] = count ? a.logits[slot >> 20] : 0.0f;
    if (count && i < kOrders) asked.longest = i;
    x[3] = 0.0f;
    now.run_maps[i] = -1;
    if (!run.goes_on) return;
    const Int kept = static_cast<Int>(kRunMaps) + i * kRunStates + (run.times < 31 ? run.times : 31) * 2 + run.alone;
    const float said = logit_of(a.maps[kept]);
    x[3] = run.right ? said : -said;
    now.run_maps[i] = kept << 1 | run.right;
    asked.sure += run.alone;
  }

  static U64 group_key(U64 hash, Int node) { return (hash + static_cast<U64>(node + 1) * kMix) * kStep; }
  Int* match_after(int m) const { return a.matches + m * a.match_count + (chained(kLeast[m]) >> match_shift); }

  // The slots of the next three levels. The tables are larger than any cache: all their lines are on the way before
  // the first is needed.
  void find_groups() {
    now.inside = 1;
    Long first[kContexts];
    for (int k = 0; k < now.knows; ++k) {
      const int i = now.known[k];
      const U64 key = group_key(now.hashes[i], now.node);
      now.names[i] = static_cast<U32>(key >> 8) | 1;
      first[k] = static_cast<Long>(key >> group_shift);
      __builtin_prefetch(a.slots + first[k] * kGroup);
    }
    for (int k = 0; k < now.knows; ++k) {
      const int i = now.known[k];
      U32 least = ~U32{0};
      for (int way = 0; way < kGroupWays; ++way) {
        const Long place = (first[k] ^ way) * kGroup;
        const U32 count = a.slots[place + 1] & 255;
        if (a.slots[place] == now.names[i]) {
          now.groups[i] = place;
          break;
        }
        if (count < least) {
          least = count;
          now.groups[i] = place;
        }
      }
    }
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

  static void follow(U32& followed, int symbol) { followed = followed << 10 | (static_cast<U32>(symbol) & 1023); }

  void end_word(int symbol) {
    const int kind = a.kinds[symbol];
    if (kind == 1 || (kind == 4 && !a.where[kWord])) {
      a.where[kWord] = static_cast<std::int64_t>(
          mix(static_cast<U64>(a.where[kWord]) + 0x1234567, static_cast<U64>(a.folds[symbol]) + 1));
    } else if (a.where[kWord]) {
      a.where[kWord2] = a.where[kWord1];
      a.where[kWord1] = a.where[kWord];
      a.where[kWord] = kind == 4 ? static_cast<std::int64_t>(mix(0x1234567, static_cast<U64>(a.folds[symbol]) + 1)) : 0;
    }
    if (kind == 3) {
      a.where[kLineBefore] = a.where[kLine];
      a.where[kLine] = a.where[kRead];
    }
    a.where[kShape] = (a.where[kShape] << 2 | (kind & 3)) & 0xffffffff;
  }

  void end_match(int m, int symbol, bool learns) {
    std::int64_t &found = a.where[kFound + m], &length = a.where[kLong + m];
    if (goes_on(m) && at(found) == symbol) {
      ++found;
      length += length < 65535;
    } else {
      length = 0;
    }
    Int& last = *match_after(m);
    const Long read = a.where[kRead], begun = a.where[kBegun];
    if (!length && last) {
      const Long candidate = last;
      while (length < 32 && length < candidate && read - 1 - length >= begun &&
             at(candidate - 1 - length) == at(read - 1 - length))
        ++length;
      if (length < kLeast[m]) length = 0;
      found = candidate;
    }
    if (learns) last = static_cast<Int>(read);
  }
};

}  // namespace
}  // namespace PANTOUM_ISA
}  // namespace pantoum
