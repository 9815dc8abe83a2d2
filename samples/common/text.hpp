// Figures as people read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace samples {

std::string count_text(std::uint64_t count);                  // 1,234,567
std::string count_text(std::uint64_t count, const char* of);  // 1 request, 2 requests
std::string duration_text(std::chrono::nanoseconds d);        // 417 ns, 41.7 µs, 4.17 ms, 41.7 s
std::string bytes_text(double bytes);                         // 512 B, 4.05 KiB, 1.50 GiB
std::string fixed_text(double value, int decimals);           // 3.14
// 1,234/s; "-" if it went back, for then it is not the same that was counted.
std::string rate_text(std::uint64_t before, std::uint64_t now, double seconds);

}  // namespace samples
