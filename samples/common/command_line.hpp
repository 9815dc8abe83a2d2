// What a command line has that nobody asked for, named as the user spelled it.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Error.hpp>
#include <span>
#include <string>

namespace samples {

// The first of `words`, the arguments of `command`, that looks like an option and is none: a message with a
// suggestion if one is near. An empty string if there is none.
std::string unknown_option(const CLI::App& command, std::span<const std::string> words);

// After parsing, for a command that allows extras: the first argument that has no place. An empty string if
// there is none.
std::string surplus_argument(const CLI::App& command);

// What CLI11 found wrong, in words that name the option rather than the rule.
std::string refusal(const CLI::ParseError& error);

// "; did you mean ...?", or an empty string if nothing of `known` is near.
std::string suggestion(const std::string& word, std::span<const std::string> known);

}  // namespace samples
