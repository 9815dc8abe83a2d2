#include "common/suggest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace samples {
namespace {

// Levenshtein's distance: how many letters to insert, delete or replace.
std::size_t distance(const std::string& from, const std::string& to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i != from.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j != to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string closest(const std::string& word, std::span<const std::string> known) {
  std::string best;
  std::size_t least = word.size() / 3 + 2;  // further off than this is another word
  for (const auto& candidate : known) {
    const std::size_t d = candidate.starts_with(word) ? 1 : distance(word, candidate);
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace samples
