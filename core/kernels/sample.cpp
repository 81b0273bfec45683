// The draw of the next token, a row alone: penalty, tokens that are banned or not allowed, temperature, the K most
// probable, the smallest set that holds probability P, the min-p floor, then the inverse of the cumulative
// distribution.
//
// All of it in double and by plain operations (wide.h), so that a row's token depends on nothing but the
// row; only the log-probability that is reported comes from exponentials in float, as losses do. What a filter keeps is
// found by selection, never by sorting a vocabulary. Where min-p is the only filter, a block of tokens that are all
// below its floor needs no exponentials. With fewer rows than threads and a large vocabulary, the threads share the
// exponentials of a row, chunk by chunk.
#include "kernels.h"

#include "../scratch.h"
#include "../threads.h"
#include "exponentials.h"
#include "panels.h"
#include "philox.h"
#include "reduce.h"
#include "wide.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kSmallestPart = 1 << 12;  // logits that are worth waking a thread for
constexpr Long kBlock = 64;              // of a row, summed at once
constexpr Long kChunk = 1024;            // of a row, whole blocks: the exponentials that one thread sums up
constexpr Long kShared = 4096;           // symbols from which threads share a row
constexpr int kMostParts = 64;

struct Candidate {
  double p;
  Long token;
};

// The order of candidates: by probability, and of equals the smaller token first.
bool precedes(const Candidate& a, const Candidate& b) { return a.p > b.p || (a.p == b.p && a.token < b.token); }

void swap(Candidate& a, Candidate& b) {
  const Candidate kept = a;
  a = b;
  b = kept;
}

// Moves a middling candidate of begin .. end to its place, those before it to its left; returns the place.
Long partition(Candidate* c, Long begin, Long end) {
  const Long middle = begin + (end - begin) / 2, last = end - 1;
  if (precedes(c[middle], c[begin])) swap(c[middle], c[begin]);
  if (precedes(c[last], c[begin])) swap(c[last], c[begin]);
  if (precedes(c[middle], c[last])) swap(c[middle], c[last]);  // the middling one is now the last
  Long place = begin;
  for (Long i = begin; i < last; ++i)
    if (precedes(c[i], c[last])) swap(c[i], c[place++]);
  swap(c[place], c[last]);
  return place;
}

// Moves the first k candidates of n to the front.
void select_first(Candidate* c, Long n, Long k) {
  for (Long begin = 0, end = n; begin < end;) {
    const Long place = partition(c, begin, end);
    if (place == k || place == k - 1) return;
    if (place < k)
      begin = place + 1;
    else
      end = place;
  }
}

// Moves those to the front before which less than `mass` stands; returns how many they are.
Long select_mass(Candidate* c, Long n, double mass) {
  double held = 0.0;
  Long begin = 0;
  for (Long end = n; begin < end && held < mass;) {
    const Long place = partition(c, begin, end);
    double more = held;
    for (Long i = begin; i < place; ++i) more += c[i].p;
    if (more >= mass) {
      end = place;
    } else {
      held = more + c[place].p;
      begin = place + 1;
    }
  }
  return begin;
}

// Of the lanes, by one fixed tree.
double sum_of(double* lanes) {
  for (int half = kWideLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

struct Largest {
  double value;
  bool bad;  // whether one of them is no number

  // Asked of a whole row: a part of which no token is allowed has minus infinities alone.
  bool finite() const { return !bad && value - value == 0.0; }
};

// Of the first `width` values, which are followed by minus infinities up to a whole number of lanes.
Largest largest(const double* x, Long width) {
  double most[kWideLanes];
  std::uint64_t bad[kWideLanes] = {};
  for (double& m : most) m = -__builtin_inf();
  for (Long i = 0; i < width; i += kWideLanes)
    for (int lane = 0; lane < kWideLanes; ++lane) {
      const double v = x[i + lane];
      most[lane] = v > most[lane] ? v : most[lane];
      bad[lane] |= v != v ? 1 : 0;
    }
  double value = most[0];
  std::uint64_t any = 0;
  for (int lane = 0; lane < kWideLanes; ++lane) {
    value = most[lane] > value ? most[lane] : value;
    any |= bad[lane];
  }
  return {value, any != 0};
}

// The threads that draw one row together, and what each has found of its own chunks; alone without a barrier.
struct Team {
  int index, parts;
  Barrier* barrier;
  Largest* found;  // [parts]

  void meet() const {
    if (barrier) barrier->wait(parts);
  }
  // The largest of all parts, after they have met.
  Largest all() const {
    Largest most = found[0];
    for (int part = 1; part < parts; ++part) {
      most.bad = most.bad || found[part].bad;
      most.value = found[part].value > most.value ? found[part].value : most.value;
    }
    return most;
  }
};

class Row {
 public:
  Row(const pantoum_sample_args& a, char* scratch)
      : a_(a),
        V_(a.vocabulary),
        x_(reinterpret_cast<double*>(scratch)),
        sums_(x_ + padded(V_)),
        candidates_(reinterpret_cast<Candidate*>(sums_ + up(V_, kChunk))) {}

  static std::size_t scratch_bytes(Long V) {
    return static_cast<std::size_t>(padded(V) + up(V, kChunk)) * sizeof(double) +
           static_cast<std::size_t>(V + 1) * sizeof(Candidate);
  }

  int draw(Long number, const Team& team) {
    const Long row = a_.first + number;
    const float* logits = a_.logits + number * V_;
    const Range chunks = part_of(up(V_, kChunk), team.index, team.parts);
    const Long begin = chunks.begin * kChunk, end = least(chunks.end * kChunk, padded(V_));
    widen(logits, begin, end);
    team.found[team.index] = largest(x_ + begin, end - begin);
    team.meet();
    const double own_top = team.all().value;
    for (Long chunk = chunks.begin; chunk < chunks.end; ++chunk)
      sums_[chunk] = sum_of_exponentials(logits, chunk, static_cast<float>(own_top));
    Largest top = team.all();
    const bool may_fall = changes_top(logits, row, top);
    team.meet();
    if (team.index == 0) change(logits, row);
    team.meet();
    if (may_fall) {
      team.found[team.index] = largest(x_ + begin, end - begin);
      team.meet();
      top = team.all();
    }
    if (!top.finite()) return PANTOUM_NOT_FINITE;
    const double temperature = a_.temperature[row];
    if (temperature != 0.0) exponentials(begin, end, top.value, row);
    team.meet();
    if (team.index != 0) return PANTOUM_OK;
    double own_sum = 0.0;
    for (Long chunk = 0; chunk < up(V_, kChunk); ++chunk) own_sum += sums_[chunk];
    const Long token = temperature == 0.0 ? first_of(top.value) : drawn(row);
    note(row, token, static_cast<double>(logits[token]) - own_top - wide_log(own_sum));
    return PANTOUM_OK;
  }

 private:
  // A row's length as whole lanes.
  static Long padded(Long V) { return up(V, kWideLanes) * kWideLanes; }

  void widen(const float* logits, Long begin, Long end) {
    const Long last = least(end, V_);
    for (Long i = begin; i < last; ++i) x_[i] = static_cast<double>(logits[i]);
    for (Long i = last; i < end; ++i) x_[i] = -__builtin_inf();
  }

  double sum_of_exponentials(const float* logits, Long chunk, float top) const {
    const Long begin = chunk * kChunk;
    return sum_lanes(add_exponentials(logits + begin, least(kChunk, V_ - begin), top, zero()));
  }

  // Whether penalties, bans or what is allowed may give the row another largest value.
  bool changes_top(const float* logits, Long row, const Largest& top) const {
    bool may = !top.finite() || a_.allowed || (a_.recent && a_.penalty[row] != 1.0);
    for (Long i = 0; i < a_.banned_count; ++i) may = may || static_cast<double>(logits[a_.banned[i]]) == top.value;
    return may;
  }

  // x becomes exp((x - top) / temperature), or 0 below the floor of min-p; a block that is all below it needs no
  // exponentials. With a filter before min-p everything is kept.
  void exponentials(Long begin, Long end, double top, Long row) {
    const double temperature = a_.temperature[row], floor = narrows(row) ? 0.0 : a_.min_p[row];
    const double least_of_all = bound(top, temperature, floor);
    for (Long first = begin; first < end; first += kBlock) {
      const Long last = least(first + kBlock, end);
      double most[kWideLanes];
      for (double& m : most) m = -__builtin_inf();
      for (Long i = first; i < last; i += kWideLanes)
        for (int lane = 0; lane < kWideLanes; ++lane)
          most[lane] = x_[i + lane] > most[lane] ? x_[i + lane] : most[lane];
      bool any = false;
      for (const double m : most) any = any || !(m < least_of_all);
      if (!any)
        for (Long i = first; i < last; ++i) x_[i] = 0.0;
      else if (temperature == 1.0)
        for (Long i = first; i < last; ++i) x_[i] = wide_exp(x_[i] - top);
      else
        for (Long i = first; i < last; ++i) x_[i] = wide_exp((x_[i] - top) / temperature);
      if (any && floor > 0.0) drop(first, last, floor);
    }
  }

  // A value below which tokens are surely below the floor of min-p: slightly too low, however values are rounded.
  static double bound(double top, double temperature, double floor) {
    if (!(floor > 0.0)) return -__builtin_inf();
    const double below = temperature * (wide_log(1.0 / floor) + 1e-6);
    return top - below - 1e-14 * ((top < 0.0 ? -top : top) + below);
  }

  void drop(Long begin, Long end, double floor) {
    for (Long i = begin; i < end; ++i) x_[i] = x_[i] < floor ? 0.0 : x_[i];
  }

  // Whether top-k or top-p looks at the row before min-p does.
  bool narrows(Long row) const {
    const Long k = a_.top_k[row];
    return (k > 0 && k < V_) || a_.top_p[row] < 1.0;
  }

  // The penalty on recent tokens and minus infinity for those that are banned or not allowed. A penalised value is made
  // from the logit itself, so that a token which stands in the window twice is penalised once.
  void change(const float* logits, Long row) {
    if (a_.recent && a_.penalty[row] != 1.0)
      for (Long i = 0; i < a_.window; ++i) {
        const Long token = a_.recent[row * a_.window + i];
        if (token < 0) continue;
        const double value = static_cast<double>(logits[token]);
        x_[token] = value > 0.0 ? value / a_.penalty[row] : value * a_.penalty[row];
      }
    for (Long i = 0; i < a_.banned_count; ++i) x_[a_.banned[i]] = -__builtin_inf();
    if (a_.allowed) keep_allowed(a_.allowed + row * a_.words);
  }

  void keep_allowed(const std::uint32_t* words) {
    for (Long begin = 0; begin < V_; begin += 32) {
      const std::uint32_t word = words[begin / 32];
      if (word == ~std::uint32_t{0}) continue;
      const Long width = least(32, V_ - begin);
      for (Long i = 0; i < width; ++i) x_[begin + i] = (word >> i) & 1 ? x_[begin + i] : -__builtin_inf();
    }
  }

  Long first_of(double top) const {
    Long token = 0;
    while (x_[token] != top) ++token;
    return token;
  }

  // From exp((x - largest) / temperature).
  Long drawn(Long row) {
    if (narrows(row)) {
      keep_most_probable(a_.top_k[row], a_.top_p[row]);
      if (a_.min_p[row] > 0.0) drop(0, V_, a_.min_p[row]);
    }
    double* blocks = reinterpret_cast<double*>(candidates_);  // which are not needed any more
    double sum = 0.0;
    for (Long b = 0; b < up(V_, kBlock); ++b) sum += blocks[b] = block_sum(b * kBlock);
    return at(uniform(a_.seed[row], a_.stream[row], a_.position[row]) * sum, blocks);
  }

  // The token at which the cumulative sum passes `target`: the block, then within it. Where rounding has left no
  // other, the last one with any probability stands in.
  Long at(double target, const double* blocks) const {
    double passed = 0.0;
    Long found = 0;
    bool within = false;
    for (Long b = 0; b < up(V_, kBlock) && !within; ++b) {
      if (blocks[b] == 0.0) continue;
      found = b;
      within = passed + blocks[b] > target;
      passed += within ? 0.0 : blocks[b];
    }
    Long token = 0;
    const Long end = least((found + 1) * kBlock, V_);
    for (Long i = found * kBlock; i < end && !(within && passed > target); ++i) {
      if (x_[i] == 0.0) continue;
      token = i;
      passed += x_[i];
    }
    return token;
  }

  void keep_most_probable(Long k, double mass) {
    const bool fewer = k > 0 && k < V_;
    Long n = gather(fewer ? bound_of(k) : total() * (1.0 - mass) / static_cast<double>(V_));
    if (fewer) {
      select_first(candidates_, n, k);
      keep(n = k);
    }
    if (mass < 1.0) keep(select_mass(candidates_, n, mass * total()));
  }

  // A probability that at least k tokens reach: each of k groups has its largest.
  double bound_of(Long k) {
    const Long groups = k < 64 ? 64 : k;
    if (V_ < 4 * groups) return 0.0;
    double* most = reinterpret_cast<double*>(candidates_);
    for (Long g = 0; g < groups; ++g) most[g] = x_[g];
    for (Long begin = groups; begin < V_; begin += groups) {
      const Long width = least(groups, V_ - begin);
      for (Long g = 0; g < width; ++g) most[g] = x_[begin + g] > most[g] ? x_[begin + g] : most[g];
    }
    double bound = most[0];
    for (Long g = 1; g < groups; ++g) bound = most[g] < bound ? most[g] : bound;
    return bound;
  }

  // The tokens of at least this probability as candidates; those below together hold less than what the
  // filters that follow leave out.
  Long gather(double bound) {
    Long n = 0;
    for (Long i = 0; i < V_; ++i) {
      candidates_[n] = {x_[i], i};
      n += x_[i] >= bound ? 1 : 0;
    }
    return n;
  }

  void keep(Long kept) {
    for (Long i = 0; i < V_; ++i) x_[i] = 0.0;
    for (Long i = 0; i < kept; ++i) x_[candidates_[i].token] = candidates_[i].p;
  }

  double total() const {
    double sum = 0.0;
    for (Long begin = 0; begin < V_; begin += kBlock) sum += block_sum(begin);
    return sum;
  }

  // Of whole lanes: what follows the last token is 0.
  double block_sum(Long begin) const {
    double sums[kWideLanes] = {};
    const Long end = least(begin + kBlock, up(V_, kWideLanes) * kWideLanes);
    for (Long i = begin; i < end; i += kWideLanes)
      for (int lane = 0; lane < kWideLanes; ++lane) sums[lane] += x_[i + lane];
    return sum_of(sums);
  }

  void note(Long row, Long token, double log_probability) const {
    a_.tokens[row] = static_cast<std::int32_t>(token);
    a_.log_probability[row] = log_probability;
    a_.nats[row] -= log_probability;
    if (a_.recent) a_.recent[row * a_.window + a_.written[row] % a_.window] = static_cast<std::int32_t>(token);
    ++a_.written[row];
    ++a_.position[row];
  }

  const pantoum_sample_args& a_;
  const Long V_;
  double* const x_;
  double* const sums_;  // of the exponentials, by chunks
  Candidate* const candidates_;
};

Company company;

}  // namespace

int sample(const pantoum_sample_args& a) {
  const std::size_t bytes = Row::scratch_bytes(a.vocabulary);
  if (a.vocabulary >= kShared && a.count < thread_count() && company.present()) {
    char* scratch = thread_scratch(bytes);
    if (!scratch) return PANTOUM_OUT_OF_MEMORY;
    Largest found[kMostParts];
    for (Long r = 0; r < a.count; ++r) {
      Barrier barrier;
      auto share = [&](int index, int parts) -> int {
        return Row(a, scratch).draw(r, {index, parts, &barrier, found});
      };
      const int most = static_cast<int>(least(least(kMostParts, thread_count()), up(a.vocabulary, kChunk)));
      const int status = run_parts(most, share);
      company.met(barrier);
      if (status != PANTOUM_OK) return status;
    }
    return PANTOUM_OK;
  }
  auto part = [&](int index, int parts) -> int {
    const Range rows = part_of(a.count, index, parts);
    char* scratch = thread_scratch(bytes);
    if (!scratch) return PANTOUM_OUT_OF_MEMORY;
    Row row(a, scratch);
    Largest found;
    const Team alone{0, 1, nullptr, &found};
    int status = PANTOUM_OK;
    for (Long r = rows.begin; r < rows.end && status == PANTOUM_OK; ++r) status = row.draw(r, alone);
    return status;
  };
  return run_parts(static_cast<int>(least(least(kMostParts, a.count), up(a.count * a.vocabulary, kSmallestPart))),
                   part);
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
