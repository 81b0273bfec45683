// Counted contexts that learn while they read: whole texts, the next symbol's probabilities, single decisions.
#include "context_mixer.h"
#include "exponentials.h"

namespace pantoum {
namespace PANTOUM_ISA {

int read_contexts(const pantoum_read_contexts_args& a) {
  if (a.vocabulary < 2 || a.networks < 0 || a.networks > kNetworks) return PANTOUM_BAD_ARGUMENT;
  Contexts contexts(*a.mixer);
  U32* next = a.chances;
  for (Long t = 0; t < a.count; ++t) {
    if (a.resets && a.resets[t]) contexts.reset();
    const int symbol = a.tokens[t];
    contexts.begin(a.given + t * a.networks * a.vocabulary, a.networks);
    if (t + 1 < a.count && !(a.resets && a.resets[t + 1])) contexts.look_ahead(symbol);
    double nats = 0.0;
    while (!contexts.decided()) {
      const bool right = contexts.goes_right(symbol);
      if (a.nats) {
        const U32 chance = contexts.chance(), given = right ? chance : 4194304u - chance;
        nats -= static_cast<double>(log_of(static_cast<float>(given) * (1.0f / 4194304.0f)));
        if (next) *next++ = given << 1 | (right ? 1u : 0u);
        contexts.learn(right);
      } else {
        contexts.count(right);
      }
      contexts.go(right);
    }
    if (a.nats) a.nats[t] = static_cast<float>(nats);
    contexts.end(symbol);
  }
  return PANTOUM_OK;
}

int context_probabilities(const pantoum_context_probabilities_args& a) {
  if (a.vocabulary < 2 || a.networks < 0 || a.networks > kNetworks) return PANTOUM_BAD_ARGUMENT;
  Contexts contexts(*a.mixer);
  if (a.after) {
    Long first = a.after_count;
    while (first > 0 && a.after[first - 1] >= 0 && a.after[first - 1] < a.vocabulary) --first;
    contexts.follow_on(a.after + first, a.after_count - first);
  }
  contexts.begin(a.given, a.networks);
  contexts.spread(1.0f, a.probabilities);
  if (a.mixed) mix_row(a.mixed, 1.0f - a.share, a.probabilities, a.share, a.vocabulary);
  return PANTOUM_OK;
}

int decide_context(const pantoum_decide_context_args& a) {
  if (a.vocabulary < 2 || a.networks < 0 || a.networks > kNetworks || a.outcome < -1 || a.outcome > 1)
    return PANTOUM_BAD_ARGUMENT;
  Contexts contexts(*a.mixer);
  *a.symbol = -1;
  if (a.outcome < 0) {
    contexts.begin(a.given, a.networks);
  } else {
    contexts.learn(a.outcome == 1);
    contexts.go(a.outcome == 1);
    if (contexts.decided()) {
      *a.symbol = contexts.symbol();
      contexts.end(*a.symbol);
      return PANTOUM_OK;
    }
  }
  *a.chance = contexts.chance();
  return PANTOUM_OK;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
