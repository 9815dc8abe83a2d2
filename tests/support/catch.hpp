// Catch2, whichever of version 2 and version 3 is installed.
//
// Its assertions are not for several threads at once: assert in the one fiber, or on the one thread, that
// everybody else is waited for by, and let the others leave what they saw in atomics.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;

// By the names that version 2 has; version 3 has a Contains of its own in Matchers, for ranges.
namespace Catch {
inline auto Contains(const std::string& text) { return Matchers::ContainsSubstring(text); }
using Matchers::EndsWith;
using Matchers::Equals;
using Matchers::Predicate;
using Matchers::StartsWith;
}  // namespace Catch
#else
#include <catch2/catch.hpp>
#endif
