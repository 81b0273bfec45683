// A cell over time steps: scan.h says who does what, cell.h what a cell is.
#include "cells.h"
#include "scan.h"

namespace pantoum {
namespace PANTOUM_ISA {
namespace {

// What the equations of a cell see: sixteen units of a row, or the first few.
template <class N>
struct Given {
  const pantoum_scan_args& a;
  const Place at;
  const N n;
  const float* sums;
  const float* gates;  // input projections, then the values that take their place
  const F16 h, c;

  F16 sum(int gate) const { return load(sums + gate * kGateSums); }
  F16 input(int gate) const { return load(gates + gate * a.units, n); }
  F16 gate(int gate) const { return input(gate); }
  F16 bias() const { return load(a.bias + at.unit, n); }
};

template <class P, class Cell>
class Scan {
 public:
  explicit Scan(const pantoum_scan_args& a)
      : a_(a),
        rows_{a.reset, a.lengths, a.steps, a.batch},
        states_{P::kCodes ? nullptr : static_cast<char*>(a.operands), a.batch, a.units, a.operands_kept},
        products_{static_cast<char*>(a.more_operands), a.batch, a.units, a.operands_kept},
        w_{static_cast<const char*>(a.panels), Cell::kSums * a.units, a.units, a.units},
        w_second_{static_cast<const char*>(a.more_panels), (Cell::kGates - Cell::kSums) * a.units, a.units, a.units} {}

  int run() const {
    const int most = scan_parts<Cell>(a_.steps, a_.batch, a_.units);
    char* code_memory = nullptr;
    if (P::kCodes) {
      const bool meets = share_of<Cell>(a_.batch, a_.units, 0, most).meets;
      code_memory = thread_scratch(Codes<P>::bytes(a_.batch, a_.units, most, meets));
      if (!code_memory) return PANTOUM_OUT_OF_MEMORY;
    }
    Barrier barrier;
    auto part = [&](int index, int parts) -> int {
      const Share share = share_of<Cell>(a_.batch, a_.units, index, parts);
      steps(share, Codes<P>(code_memory, share, a_.batch, a_.units, index), parts, barrier);
      return PANTOUM_OK;
    };
    return run_parts(most, part);
  }

 private:
  void steps(const Share& share, const Codes<P>& codes, int parts, Barrier& barrier) const {
    auto meet = [&] {
      if (share.meets) barrier.wait(parts);
    };
    if (states_.data) {
      states_.finish(share);
      enter(0, share, rows_, a_.units, a_.hidden, states_);
    }
    if (Cell::kTwice) products_.finish(share);
    meet();
    for (Long t = 0; t < a_.steps; ++t) {
      if (Cell::kSums > 0)
        codes.make([&](Long b) { return rows_.begins(t, b) ? nullptr : a_.hidden + (t * a_.batch + b) * a_.units; });
      if constexpr (Cell::kTwice) {
        early(share, codes, t);
        meet();
        codes.make([&](Long b) { return reinterpret_cast<const float*>(products_.row(t, b)); });
      }
      step(share, codes, t);
      meet();
    }
  }

  // The gates of the first product, in place of their input projections, and the operand of the second.
  void early(const Share& share, const Codes<P>& codes, Long t) const {
    alignas(64) float sums[Cell::kSums * kGateSums];
    each_tile(share, kMostRows<P>, [&](Long panel, Long b, int count) {
      multiply(w_, panel, w_.each_block(), Cell::kSums, step_rows(codes, states_, t, b), row(), count, sums);
      each_vector(t, a_.batch, a_.units, panel, b, count, [&](Place at, auto n, Long sum) {
        const typename Cell::Early found = Cell::early(given(at, n, sums + sum));
        for (int g = 0; g < Cell::kSums; ++g) store(gate(at, g), found.gate[g], n);
        write_operand(Stored{}, products_.row(t, at.b), at.unit, found.operand, n);
      });
    });
  }

  void step(const Share& share, const Codes<P>& codes, Long t) const {
    alignas(64) float sums[Cell::kGates * kGateSums];  // not read where a cell has no product
    each_tile(share, kMostRows<P>, [&](Long panel, Long b, int count) {
      const Place first{t, b, panel * kPanelColumns, t * a_.batch + b};
      for (int g = 0; Cell::kSums > 0 && g < Cell::kGates; ++g) ask_for(gate(first, g), Cell::kGates * a_.units, count);
      if constexpr (Cell::kTwice)
        multiply(w_second_, panel, w_second_.each_block(), Cell::kGates - Cell::kSums,
                 step_rows(codes, products_, t, b), row(), count, sums + Cell::kSums * kGateSums);
      else if constexpr (Cell::kSums > 0)
        multiply(w_, panel, w_.each_block(), Cell::kSums, step_rows(codes, states_, t, b), row(), count, sums);
      each_vector(t, a_.batch, a_.units, panel, b, count, [&](Place at, auto n, Long sum) {
        const auto x = given(at, n, sums + sum);
        const typename Cell::Forward found = Cell::forward(x);
        if (a_.tape) {
          for (int g = Cell::kTwice ? Cell::kSums : 0; g < Cell::kTaped; ++g) store(gate(at, g), found.gate[g], n);
          if (Cell::kBiased) store(a_.candidate + at.row * a_.units + at.unit, found.candidate, n);
        }
        leave(at, n, x, found);
      });
    });
  }

  // Writes the new state to wherever it is needed.
  template <class N>
  void leave(Place at, N n, const Given<N>& before, const typename Cell::Forward& after) const {
    const bool ended = rows_.ended(at.t, at.b);
    const Long next = (at.row + a_.batch) * a_.units + at.unit;
    const F16 h = ended ? before.h : after.h;
    store(a_.hidden + next, h, n);
    if (Cell::kMemory) store(a_.cell + next, ended ? before.c : after.c, n);
    if (a_.outputs) store(a_.outputs + at.row * a_.units + at.unit, ended ? zero() : h, n);
    if (states_.data && at.t + 1 < a_.steps)
      write_operand(Stored{}, states_.row(at.t + 1, at.b), at.unit, rows_.begins(at.t + 1, at.b) ? zero() : h, n);
  }

  template <class N>
  Given<N> given(Place at, N n, const float* sums) const {
    return {a_,
            at,
            n,
            sums,
            gate(at, 0),
            entering(rows_, a_.hidden, a_.units, at, n),
            Cell::kMemory ? entering(rows_, a_.cell, a_.units, at, n) : zero()};
  }
  float* gate(Place at, int g) const { return a_.projection + (at.row * Cell::kGates + g) * a_.units + at.unit; }
  Long row() const { return operand_row<P>(a_.units); }

  using Stored = typename P::Stored;
  const pantoum_scan_args& a_;
  const Rows rows_;
  const Operands<Stored> states_, products_;
  const Panels<P> w_, w_second_;
};

template <class P>
int scan_as(const pantoum_scan_args& a) {
  return with_cell(a.kind, [&](auto cell) -> int {
    using Cell = decltype(cell);
    if constexpr (has_precision<P, Cell>) {
      if (P::kCodes && Cell::kTwice && a.tape) return PANTOUM_BAD_ARGUMENT;
      return a.steps == 0 ? PANTOUM_OK : Scan<P, Cell>(a).run();
    } else {
      const pantoum_scan_args same = in_float32(a);
      return PANTOUM_AS_FLOAT32(scan, same);
    }
  });
}

template <class... Cells>
const pantoum_cell* facts(CellList<Cells...>, std::int64_t* count) {
  static constexpr pantoum_cell found[] = {
      {Cells::kName, Cells::kGates, Cells::kSums, Cells::kMemory, Cells::kBiased}...};
  *count = sizeof...(Cells);
  return found;
}

}  // namespace

const pantoum_cell* cells(std::int64_t* count) { return facts(AllCells{}, count); }
int scan(const pantoum_scan_args& a) { PANTOUM_CHOOSE_PRECISION(scan, a); }

}  // namespace PANTOUM_ISA
}  // namespace pantoum
