// pipeline: finds primes. Each fiber of it has one, and passes on what it does not divide.
#include "common/arguments.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <iostream>

namespace samples {
namespace {

using numbers = zsync::receiver<std::uint32_t>;

class pipeline final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_count(command, "-n,--count", count_, 1, 20'000, "How many primes");
    add_count(command, "--capacity", capacity_, 0, 1 << 20, "Numbers that wait between two fibers");
  }

  void run(zsync::runtime&) override {
    const auto started = zsync::clock::now();
    zsync::task_group stages;
    numbers in = count_up(stages);
    for (; found_ != count_; ++found_) {
      last_ = *in.recv();
      std::cout << last_ << '\n';
      in = drop_multiples(stages, std::move(in), last_);
    }
    stages.cancel();
    taken_ = zsync::clock::now() - started;
  }

  void summarise(std::ostream&) const override {
    std::cerr << count_text(found_, "prime") << ", a fiber each, in " << duration_text(taken_) << '\n';
  }

 private:
  numbers count_up(zsync::task_group& stages) const {
    auto [out, result] = zsync::channel<std::uint32_t>(capacity_);
    stages.spawn([out = std::move(out)]() mutable {
      for (std::uint32_t n = 2; out.send(n);) ++n;
    });
    return std::move(result);
  }

  numbers drop_multiples(zsync::task_group& stages, numbers in, std::uint32_t prime) const {
    auto [out, result] = zsync::channel<std::uint32_t>(capacity_);
    stages.spawn([in = std::move(in), out = std::move(out), prime]() mutable {
      for (const std::uint32_t n : in) {
        if (n % prime != 0 && !out.send(n)) return;
      }
    });
    return std::move(result);
  }

  std::uint64_t count_ = 100;
  std::uint64_t capacity_ = 128;
  std::uint64_t found_ = 0;
  std::uint32_t last_ = 0;
  std::chrono::nanoseconds taken_{};
};

}  // namespace

std::unique_ptr<sample> make_pipeline() { return std::make_unique<pipeline>(); }

}  // namespace samples
