// The minimal gated unit: no product in the loop, so rows and units are all independent.
//
//   z = sigma(drive_z)     n = drive_n     h' = n + z * (h - n)
#include "scan_vjp.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

constexpr Long kSmallestPart = 1 << 14;  // elements that are worth waking a thread for

template <class Body>
int each_share(Long steps, Long B, Long H, Body&& body) {
  const Long panels = up(H, kPanelColumns);
  auto part = [&](int index, int parts) -> int {
    const Range units = part_of(panels, index, parts);
    body(Share{0, B, units.begin, units.end, false});
    return PANTOUM_OK;
  };
  return run_parts(static_cast<int>(least(panels, up(steps * B * H, kSmallestPart))), part);
}

}  // namespace

int mingru_scan(const pantoum_scan_args& a) {
  const Rows rows{a.reset, a.lengths, a.steps, a.batch};
  const Operands<Float32> none{};
  const Long H = a.units;
  return each_share(a.steps, a.batch, H, [&](const Share& share) {
    for (Long t = 0; t < a.steps; ++t)
      each_tile(share, [&](Long panel, Long b, int count) {
        each_vector(t, a.batch, H, panel, b, count, [&](Place at, auto n, Long) {
          float* gates = a.drive + at.row * 2 * H + at.unit;
          const F16 z = sigmoid(load(gates, n)), c = load(gates + H, n), h = entering(rows, a.hidden, H, at, n);
          if (a.tape) store(gates, z, n);
          leave(rows, a, none, at, n, h, mix_cell(z, h, c));
        });
      });
  });
}

int mingru_scan_vjp(const pantoum_scan_vjp_args& a) {
  const Rows rows{a.reset, a.lengths, a.steps, a.batch};
  const Operands<Float32> none{};
  const Long H = a.units;
  return each_share(a.steps, a.batch, H, [&](const Share& share) {
    for (Long t = a.steps - 1; t >= 0; --t)
      each_tile(share, [&](Long panel, Long b, int count) {
        each_vector(t, a.batch, H, panel, b, count, [&](Place at, auto n, Long) {
          const float* gates = a.gates + at.row * 2 * H + at.unit;
          const F16 one = broadcast(1.0f), z = load(gates, n), c = load(gates + H, n);
          const F16 h = entering(rows, a.hidden, H, at, n);
          const Incoming in = incoming(rows, a, at, n, zero());
          const bool ended = rows.ended(t, at.b);
          give(a, none, 2, at, n, 0, ended ? zero() : in.whole * (h - c) * (z * (one - z)), zero());
          give(a, none, 2, at, n, 1, ended ? zero() : in.whole * (one - z), zero());
          store(a.d_state + at.b * H + at.unit, ended ? in.carried : in.whole * z, n);
        });
      });
    each_tile(share, [&](Long panel, Long b, int count) {
      each_vector(0, a.batch, H, panel, b, count, [&](Place at, auto n, Long) { arrive(rows, a, at, n, zero()); });
    });
  });
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
