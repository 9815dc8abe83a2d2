// What a sample is, and where they are all listed.
#pragma once

#include <zsync/zsync.hpp>

#include <memory>
#include <ostream>
#include <span>
#include <string>

namespace CLI {
class App;
}

namespace samples {

// A program that zsync-run can launch. Its data members are its options and, while it runs, its figures.
class sample {
 public:
  sample() = default;
  virtual ~sample() = default;
  sample(const sample&) = delete;
  sample& operator=(const sample&) = delete;

  // Adds to the sample's subcommand what it understands beside the common options.
  virtual void add_options(CLI::App&) {}

  // False: it makes a world of its own, of which the common options say nothing.
  [[nodiscard]] virtual bool takes_runtime_options() const { return true; }

  // The program. It runs in a fiber, and is over when it returns or throws. The first Ctrl-C cancels it, so
  // that whatever it waits for throws `zsync::cancelled`; it need not catch that.
  virtual void run(zsync::runtime& runtime) = 0;

  // What there is to say at the end. Called from the main thread after run(), however it ended, unless it
  // failed.
  virtual void summarise(std::ostream&) const {}

  // After that: false makes the status 1, for what was found and told of rather than failed.
  [[nodiscard]] virtual bool all_well() const { return true; }
};

struct catalogue_entry {
  std::string name;
  std::string summary;  // one line
  std::unique_ptr<sample> (*make)();
};

// All of them, in the order in which they are shown.
std::span<const catalogue_entry> catalogue();

}  // namespace samples
