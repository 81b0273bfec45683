// The mixer of what counted contexts and a network say of a decision.
#pragma once

#include "context_counts.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

class Contexts : public ContextCounts {
 public:
  using ContextCounts::ContextCounts;

  // The contexts of the next symbol. Each network gives logits.
  void begin(const float* logits, Long networks) {
    now.networks = static_cast<Int>(networks);
    for (Long n = 0; n < networks; ++n) add_up(logits + n * a.vocabulary, masses(n));
    begin_counts();
  }

  // The chance of 2^22 that the way goes right.
  U32 chance() {
    const int middle = a.middles[now.node];
    const Asked asked = ask_counts(middle);
    float* x = now.inputs + kOfCounts;
    for (Int n = 0; n < now.networks; ++n, x += 2) {
      const double* mass = masses(n);
      const double right = mass[now.high] - mass[middle], left = mass[middle] - mass[now.low];
      x[0] = within(log_of(right > 1e-30 ? static_cast<float>(right) : 1e-30f) -
                        log_of(left > 1e-30 ? static_cast<float>(left) : 1e-30f),
                    12.0f);
      x[1] = (logistic(x[0]) - 0.5f) * 2.0f;
    }
    now.inputs[kOfCounts + 2 * kNetworks] = 0.4f;
    return mixed(asked);
  }

  // The way that was taken.
  void learn(bool right) {
    const float y = right ? 1.0f : 0.0f;
    learn_counts(right, y);
    learn_mixture(y);
  }

  // The probabilities of all symbols below the node, which make up `share`. What is improbable is divided as the
  // networks divide it: a large vocabulary has thousands of such symbols.
  void spread(float share, float* probabilities) {
    if (decided()) {
      probabilities[symbol()] = share;
      return;
    }
    if (now.networks && share < kImprobable) return divide(share, probabilities);
    const Pending here = now;
    const U32 right = chance();
    for (int way = 0; way < 2; ++way) {
      now = here;
      go(way);
      spread(share * (static_cast<float>(way ? right : 4194304u - right) * (1.0f / 4194304.0f)), probabilities);
    }
  }

 private:
  static constexpr float kImprobable = 1.0f / 4096.0f;
  static constexpr double kLeastMass = 1e-20;

  void divide(float share, float* probabilities) const {
    for (Long place = now.low; place < now.high; ++place) {
      double sum = 0.0;
      for (Int n = 0; n < now.networks; ++n) {
        const double* mass = masses(n);
        sum += (mass[place + 1] - mass[place] + kLeastMass) /
               (mass[now.high] - mass[now.low] + static_cast<double>(now.high - now.low) * kLeastMass);
      }
      probabilities[a.symbols[place]] = share * static_cast<float>(sum / static_cast<double>(now.networks));
    }
  }

  double* masses(Long network) const { return a.masses + network * (a.vocabulary + 1); }

  // The probabilities of the places before each, but for a factor.
  void add_up(const float* logits, double* mass) {
    float top = logits[0];
    for (Long v = 1; v < a.vocabulary; ++v) top = logits[v] > top ? logits[v] : top;
    double sum = 0.0;
    alignas(64) float some[kLanes] = {};
    for (Long begin = 0; begin < a.vocabulary; begin += kLanes) {
      const Long end = least(begin + kLanes, a.vocabulary);
      for (Long place = begin; place < end; ++place) {
        const float below = logits[a.symbols[place]] - top;  // a NaN, too, is next to nothing
        some[place - begin] = below > -80.0f ? below : -80.0f;
      }
      store(some, exp_of(load(some)));
      for (Long place = begin; place < end; ++place) {
        mass[place] = sum;
        sum += static_cast<double>(some[place - begin]);
      }
    }
    mass[a.vocabulary] = sum;
  }

  U32 mixed(const Asked& asked) {
    float guide = now.networks ? 0.0f : now.inputs[3 * kEach];
    for (Int n = 0; n < now.networks; ++n) guide += now.inputs[kOfCounts + 2 * n] / static_cast<float>(now.networks);
    const int sureness = static_cast<int>((within(guide, 7.9f) + 8.0f) * 2.0f);
    const int c1 = recent(1), c2 = recent(2);
    find_curves(guide, static_cast<U64>(c1), static_cast<U64>(c2));
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
    }
    for (int n = 0; n < kNetworks; ++n) now.results[kSets + n] = now.inputs[kOfCounts + 2 * n];
    float mean = 0.0f;
    const int final_contexts[kFinals] = {asked.match, kMatchStates + c1 % kFinalContexts,
                                         kMatchStates + kFinalContexts + now.node % kFinalContexts};
    for (int f = 0; f < kFinals; ++f) {
      now.finals[f] = final_contexts[f] * kResults;
      float sum = 0.0f;
      for (int s = 0; s < kResults; ++s) sum += a.finals[now.finals[f] + s] * now.results[s];
      sum = within(sum, 15.0f);
      now.results[kResults + f] = sum;
      mean += sum * (1.0f / kFinals);
    }
    const float place = knot_of(mean);
    const int knot = static_cast<int>(place);
    now.between = place - static_cast<float>(knot);
    float corrected = 0.0f;
    for (int c = 0; c < kCurves; ++c) {
      now.curves[c] += knot;
      const float* at_knot = a.curves + now.curves[c];
      corrected += at_knot[0] * (1.0f - now.between) + at_knot[1] * now.between;
    }
    const float chance = logistic(mean) * (1.0f - kCurveShare) + corrected * (kCurveShare / kCurves);
    const Int whole = static_cast<Int>(chance * 4194304.0f);
    return static_cast<U32>(whole < 1 ? 1 : whole > 4194303 ? 4194303 : whole);
  }

  static float knot_of(float logit) { return within(logit, 7.99f) * 2.0f + 16.0f; }

  // Where the curves begin. They are larger than any cache: what lies around the knot that the guide expects is on the
  // way while the mixer adds up.
  void find_curves(float guide, U64 c1, U64 c2) {
    const U64 node = static_cast<U64>(now.node), one = mix(mix(c1, 5), node);
    const U64 by[kCurves] = {one, mix(one, c2), mix(mix(now.hashes[3], 77), node)};
    const int expected = static_cast<int>(knot_of(guide));
    for (int c = 0; c < kCurves; ++c) {
      const Long row = (Long{c} << kCurveBits) + static_cast<Long>(by[c] * kStep >> (64 - kCurveBits));
      now.curves[c] = row * kKnots;
      for (int knot = expected - 3; knot <= expected + 4; knot += 7)
        __builtin_prefetch(a.curves + now.curves[c] + (knot > 0 ? knot : 0), 1);
    }
  }

  void learn_mixture(float y) {
    const float slower = 1.0f / (1.0f + static_cast<float>(++a.where[kDecisions]) * kSlowing);
    const float rate = kRate + kFirstRate * slower, final_rate = kFinalRate + kFirstFinalRate * slower;
    alignas(64) float wrong[kLanes];
    store(wrong, broadcast(y) - logistic(load(now.results)));
    for (int s = 0; s < kSets; ++s) {
      float* w = a.weights + now.weights[s];
      const F16 step = broadcast(wrong[s] * rate);
      for (int j = 0; j < kInputs; j += kLanes) store(w + j, load(w + j) + step * load(now.inputs + j));
    }
    for (int f = 0; f < kFinals; ++f) {
      const float step = wrong[kResults + f] * final_rate;
      for (int s = 0; s < kResults; ++s) a.finals[now.finals[f] + s] += step * now.results[s];
    }
    for (int c = 0; c < kCurves; ++c) {
      float* knot = a.curves + now.curves[c];
      knot[0] += (y - knot[0]) * (kCurveRate * (1.0f - now.between));
      knot[1] += (y - knot[1]) * (kCurveRate * now.between);
    }
  }
};

}  // namespace
}  // namespace PANTOUM_ISA
}  // namespace pantoum
