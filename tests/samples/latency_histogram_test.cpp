#include "common/latency_histogram.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace std::chrono_literals;
using samples::latency_histogram;

namespace {

// From nanoseconds to minutes, each order of magnitude as likely as the others.
std::vector<std::chrono::nanoseconds> values(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> exponent(0, 11.5);
  std::vector<std::chrono::nanoseconds> result;
  for (std::size_t i = 0; i != count; ++i) {
    result.emplace_back(static_cast<std::int64_t>(std::pow(10.0, exponent(random))));
  }
  return result;
}

}  // namespace

TEST_CASE("an empty histogram answers zero", "[histogram]") {
  const latency_histogram none;
  CHECK(none.count() == 0);
  CHECK(none.quantile(0.5) == 0ns);
  CHECK(none.max() == 0ns);
  CHECK(none.mean() == 0ns);
}

TEST_CASE("quantiles are right to 3 percent over eleven orders of magnitude", "[histogram]") {
  auto exact = values(100'000, 1);
  latency_histogram histogram;
  for (const auto value : exact) histogram.record(value);
  std::sort(exact.begin(), exact.end());

  for (const double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(exact.size())));
    const auto right = static_cast<double>(exact[std::max<std::size_t>(rank, 1) - 1].count());
    const auto got = static_cast<double>(histogram.quantile(q).count());
    INFO("quantile " << q << ": " << got << " for " << right);
    CHECK(std::abs(got - right) <= 0.03 * right);
  }
  CHECK(histogram.count() == exact.size());
  CHECK(histogram.max() == exact.back());
}

TEST_CASE("small values are exact", "[histogram]") {
  latency_histogram histogram;
  for (int i = 1; i <= 31; ++i) histogram.record(std::chrono::nanoseconds{i});
  CHECK(histogram.quantile(0.5) == 16ns);
  CHECK(histogram.quantile(1.0) == 31ns);
  CHECK(histogram.mean() == 16ns);
}

TEST_CASE("no quantile exceeds the largest value", "[histogram]") {
  latency_histogram histogram;
  histogram.record(1'000'001ns);
  CHECK(histogram.quantile(1.0) <= histogram.max());
  CHECK(histogram.max() == 1'000'001ns);
}

TEST_CASE("merged histograms answer as one that recorded everything", "[histogram]") {
  latency_histogram whole;
  latency_histogram merged;
  for (unsigned seed = 0; seed != 20; ++seed) {
    latency_histogram part;
    for (const auto value : values(500, seed)) {
      part.record(value);
      whole.record(value);
    }
    merged.merge(part);
  }
  CHECK(merged.count() == whole.count());
  CHECK(merged.max() == whole.max());
  for (const double q : {0.01, 0.5, 0.99, 0.999}) CHECK(merged.quantile(q) == whole.quantile(q));
}

TEST_CASE("values out of range count as the nearest one within", "[histogram]") {
  latency_histogram histogram;
  histogram.record(-5ns);
  CHECK(histogram.quantile(1.0) == 0ns);
  histogram.record(std::chrono::hours{24});
  CHECK(histogram.max() == latency_histogram::value_max);
  CHECK(histogram.count() == 2);
}
