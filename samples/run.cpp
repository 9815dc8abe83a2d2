// zsync-run: launches the samples. `zsync-run list` names them.
#include "common/arguments.hpp"
#include "common/command_line.hpp"
#include "common/interrupt.hpp"
#include "common/runtime_flags.hpp"
#include "inspect.hpp"
#include "sample.hpp"

#include <zsync/io/backends.hpp>

#include <fcntl.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <span>
#include <sstream>
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
  std::vector<std::string> names = inspecting::names();
  names.insert(names.end(), {"list", "help"});
  for (const auto& entry : catalogue()) names.push_back(entry.name);
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  const auto near = suggestion(name, names);
  throw usage_problem{"there is no sample '" + name + "'" +
                      (near.empty() ? "; `zsync-run list` shows them all" : near)};
}

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw usage_problem{name + ": " + why + "; see `zsync-run " + name + " --help`"};
}

std::string version() {
  std::ostringstream text;
  text << "zsync " << ZSYNC_VERSION;
  const char* before = "\n  backends   ";
  for (const zsync::io_backend backend : zsync::built_backends()) {
    text << before << zsync::to_string(backend);
    before = ", ";
  }
  text << "\n  compiler   " << ZSYNC_COMPILER << "\n  libraries  " << ZSYNC_LIBRARIES;
  return text.str();
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

int launch(const std::string& name, sample& program, runtime_flags& flags) {
  try {
    // Somebody who presses Ctrl-\ wants to know what hangs; who wants a core has SIGABRT.
    const zsync::dump_on quit(SIGQUIT);
    const auto inspection = flags.inspection();
    flags.open_trace();
    zsync::runtime runtime(flags.options());
    run_to_the_end(program, runtime);
    program.summarise(std::cout);
    std::cout.flush();
    flags.write_trace(runtime);
    flags.print_stats(runtime.stats());
    return program.all_well() ? 0 : 1;
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
  app.add_subcommand("list", "Names the samples, with a line each")->allow_extras();
  inspecting look;
  look.add_to(app);
  app.set_version_flag("--version", version(), "Say what this was built from, and exit");

  runtime_flags flags;
  std::vector<std::unique_ptr<sample>> programs;
  for (const auto& entry : catalogue()) {
    CLI::App* command = app.add_subcommand(entry.name, entry.summary)->group("Samples")->allow_extras();
    programs.push_back(entry.make());
    programs.back()->add_options(*command);
    if (programs.back()->takes_runtime_options()) flags.add_to(*command);
  }
  // Last, because subcommands would inherit it.
  app.footer("`zsync-run NAME --help` shows the options of a sample.");
  const std::string& name = words[0];  // of a sample, or `list`, or an option: check_name() saw to it
  const auto asked =
      app.get_subcommands([&](const CLI::App* command) { return command->get_name() == name; });
  if (!asked.empty()) {
    const auto unknown = unknown_option(*asked[0], std::span(words).subspan(1));
    if (!unknown.empty()) refuse(name, unknown);
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 wants them so
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    refuse(name, refusal(error));
  }
  if (const auto surplus = surplus_argument(*asked[0]); !surplus.empty()) refuse(name, surplus);
  for (std::size_t i = 0; i != programs.size(); ++i) {
    if (catalogue()[i].name == name) return launch(name, *programs[i], flags);
  }
  try {
    if (look.run()) return 0;
  } catch (const std::exception& error) {
    std::cerr << "zsync-run: " << name << ": " << error.what() << '\n';
    return 1;
  }
  return list();
}

// Without them the numbers 0 to 2 would go to sockets of the program's, and what it prints to whoever is at
// their other end. In place of each comes one that cannot be used the way it is meant, so that it fails.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

// What was printed may not have got to where it should: the disk is full, or stdout is closed.
int with_output_checked(int status) {
  if (std::cout.flush()) return status;
  std::cerr << "zsync-run: cannot write to standard output\n";
  return std::max(status, 1);
}

}  // namespace
}  // namespace samples

int main(int argc, char** argv) {
  try {
    samples::fill_standard_descriptors();
    return samples::with_output_checked(samples::parse_and_launch(samples::without_help_command(argc, argv)));
  } catch (const samples::usage_problem& problem) {
    std::cerr << "zsync-run: " << problem.message << '\n';
    return samples::usage_error;
  }
}
