// Usage: zsync-races racy|free NUMBER WORKERS
//
// Runs one program of the corpus. What ThreadSanitizer finds is on stderr and in the status.
#include "races/corpus.hpp"

#include <cstdlib>
#include <string_view>

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const bool racy = std::string_view(arguments[1]) == "racy";
  const auto races = zsync::test::racy_programs();
  const auto all = racy ? std::vector(races.begin(), races.end()) : zsync::test::race_free_programs();
  const auto number = static_cast<std::size_t>(std::atoi(arguments[2]));
  const auto workers = static_cast<unsigned>(std::atoi(arguments[3]));
  if (number >= all.size()) return 2;
  const auto& program = all[number];
  if (program.main != nullptr) {
    program.main();
  } else {
    zsync::run([&] { program.body(); }, {.workers = workers});
  }
}
