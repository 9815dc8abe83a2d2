#include "common/command_line.hpp"

#include "common/suggest.hpp"

#include <algorithm>
#include <vector>

namespace samples {
namespace {

// "--size=3" has the name "--size", and "-s3" the name "-s".
std::string option_name(const std::string& word) {
  return word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

}  // namespace

std::string suggestion(const std::string& word, std::span<const std::string> known) {
  const auto near = closest(word, known);
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

std::string unknown_option(const CLI::App& command, std::span<const std::string> words) {
  for (std::size_t i = 0; i != words.size() && words[i] != "--"; ++i) {
    const std::string& word = words[i];
    if (word.size() < 2 || word[0] != '-') continue;
    const auto name = option_name(word);
    const CLI::Option* option = command.get_option_no_throw(name);
    if (option == nullptr) {
      return "there is no option '" + name + "'" + suggestion(name, option_names(command));
    }
    // What follows an option that takes a value is that value, whatever it looks like.
    if (word == name && option->get_items_expected_max() > 0 && i + 1 != words.size()) ++i;
  }
  return {};
}

std::string refusal(const CLI::ParseError& error) {
  const std::string text = error.what();  // "NAME is required", "--NAME: At Most 1 required but received 2"
  const std::string name = text.substr(0, text.find_first_of(": "));
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return "no " + name + " given";
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) return text;
  return name + (text.find("At Most") != text.npos ? " may be given once" : " needs a value");
}

std::string surplus_argument(const CLI::App& command) {
  const auto surplus = command.remaining();
  return surplus.empty() ? "" : "there is no place for '" + surplus.front() + "'";
}

}  // namespace samples
