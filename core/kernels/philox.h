// Uniform numbers as a function of (seed, stream, position): Philox4x32-10 (Salmon et al. 2011).
#pragma once

#include <cstdint>

namespace pantoum {
namespace PANTOUM_ISA {

// A number in [0, 1) with 53 random bits.
inline double uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t position) {
  std::uint32_t c[4] = {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32),
                        static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)};
  std::uint32_t key[2] = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = static_cast<std::uint64_t>(c[0]) * 0xD2511F53u,
                        b = static_cast<std::uint64_t>(c[2]) * 0xCD9E8D57u;
    c[0] = static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ key[0];
    c[2] = static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ key[1];
    c[1] = static_cast<std::uint32_t>(b);
    c[3] = static_cast<std::uint32_t>(a);
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  const std::uint64_t bits = (static_cast<std::uint64_t>(c[0] >> 5) << 26) + (c[1] >> 6);
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace PANTOUM_ISA
}  // namespace pantoum
