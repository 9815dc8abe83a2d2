// zsync-run: launches the samples. `zsync-run list` names them.
#include "common/arguments.hpp"
#include "common/interrupt.hpp"
#include "common/runtime_flags.hpp"
#include "common/suggest.hpp"
#include "sample.hpp"

#include <algorithm>
#include <iostream>
#include <vector>

namespace samples {
namespace {

constexpr int usage_error = 2;

struct usage_problem {
  std::string message;
};

int list() {
  std::size_t width = 0;
  for (const auto& entry : catalogue()) width = std::max(width, entry.name.size());
  for (const auto& entry : catalogue()) {
    std::cout << entry.name << std::string(width + 2 - entry.name.size(), ' ') << entry.summary << '\n';
  }
  return 0;
}

// CLI11 knows unknown subcommands only as surplus arguments, which would make a poor message.
void check_name(const std::vector<std::string>& words) {
  if (words.empty()) throw usage_problem{"no sample named; `zsync-run list` shows them all"};
  const std::string& name = words[0];
  if (name == "-h" || name == "--help" || name == "--version") return;
  if (name.starts_with('-')) {
    throw usage_problem{
        "the name of a sample comes first, then its options; `zsync-run list` shows them all"};
  }
  std::vector<std::string> names{"list", "help"};
  for (const auto& entry : catalogue()) names.push_back(entry.name);
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  const auto close = closest(name, names);
  throw usage_problem{
      "there is no sample '" + name + "'" +
      (close.empty() ? "; `zsync-run list` shows them all" : "; did you mean '" + close + "'?")};
}

// Runs `program` in a fiber until it ends or is interrupted, which is how servers end.
void run_to_the_end(sample& program, zsync::runtime& runtime) {
  runtime.block_on([&] {
    zsync::task_group one;
    const interrupt_watch watch([&] { one.cancel(); });
    one.spawn([&] { program.run(runtime); });
    one.wait();
  });
}

int launch(const std::string& name, sample& program, const runtime_flags& flags) {
  try {
    zsync::runtime runtime(flags.options());
    run_to_the_end(program, runtime);
    program.summarise(std::cout);
    std::cout.flush();
    flags.print_stats(runtime.stats());
    return 0;
  } catch (const std::exception& error) {
    std::cout.flush();
    std::cerr << "zsync-run: " << name << ": " << error.what() << '\n';
    return 1;
  }
}

// As many tools have it: `help` is --help, and `help NAME` that of the sample.
std::vector<std::string> without_help_command(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] != "help") return words;
  words.erase(words.begin());
  words.push_back("--help");
  return words;
}

int parse_and_launch(const std::vector<std::string>& words) {
  check_name(words);
  CLI::App app("Runs the samples of zsync.", "zsync-run");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.add_subcommand("list", "Names the samples, with a line each");
  app.set_version_flag("--version", "zsync " ZSYNC_VERSION ", built by " ZSYNC_COMPILER);

  runtime_flags flags;
  std::vector<std::unique_ptr<sample>> programs;
  for (const auto& entry : catalogue()) {
    CLI::App* command = app.add_subcommand(entry.name, entry.summary)->group("Samples");
    programs.push_back(entry.make());
    programs.back()->add_options(*command);
    flags.add_to(*command);
  }
  // Last, because subcommands would inherit it.
  app.footer("`zsync-run NAME --help` shows the options of a sample.");
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 wants them so
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const std::string& name = words[0];  // of a sample, or `list`: check_name() saw to it
    throw usage_problem{name + ": " + error.what() + "; see `zsync-run " + name + " --help`"};
  }
  for (std::size_t i = 0; i != programs.size(); ++i) {
    const auto& name = catalogue()[i].name;
    if (app.got_subcommand(name)) return launch(name, *programs[i], flags);
  }
  return list();
}

}  // namespace
}  // namespace samples

int main(int argc, char** argv) {
  try {
    return samples::parse_and_launch(samples::without_help_command(argc, argv));
  } catch (const samples::usage_problem& problem) {
    std::cerr << "zsync-run: " << problem.message << '\n';
    return samples::usage_error;
  }
}
