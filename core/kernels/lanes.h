// A row of numbers, sixteen at a time: whole vectors, then what is left.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vector.h"

namespace pantoum {
namespace PANTOUM_ISA {

using Long = std::ptrdiff_t;  // of sizes and places: in WebAssembly it has 32 bits

inline Long least(Long a, Long b) { return a < b ? a : b; }
inline Long up(Long a, Long b) { return (a + b - 1) / b; }

// All sixteen lanes; an int in its place means the first few.
struct All {
  constexpr operator int() const { return kLanes; }
};
inline F16 load(const float* p, All) { return load(p); }
inline void store(float* p, F16 x, All) { store(p, x); }
inline I16 load_bytes(const std::int8_t* p, All) { return load_bytes(p); }
#ifdef PANTOUM_HAS_BF16
inline void store_half(Half* p, F16 x, All) { store_half(p, x); }
#endif

// Calls body(column, lanes) for the vectors of the columns begin .. end - 1.
template <class Body>
inline void each_lanes(Long begin, Long end, Body&& body) {
  Long c = begin;
  for (; c + kLanes <= end; c += kLanes) body(c, All{});
  if (c < end) body(c, static_cast<int>(end - c));
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
