// "Did you mean ...?"
#pragma once

#include <span>
#include <string>

namespace samples {

// Whichever of `known` is spelled most like `word`, or an empty string if none is much like it.
std::string closest(const std::string& word, std::span<const std::string> known);

}  // namespace samples
