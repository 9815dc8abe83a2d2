// Catch2, whichever of version 2 and version 3 is installed.
//
// Its assertions are not for several threads at once: assert in the one fiber, or on the one thread, that
// everybody else is waited for by, and let the others leave what they saw in atomics.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
