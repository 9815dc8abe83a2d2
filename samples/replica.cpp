// replica: a value kept on three hosts, whose network a simulation spoils. Writers who are content with one
// copy, and readers who believe the first who answers, lose what was acknowledged; but only in some orders of
// events.
#include "common/arguments.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <zsync/io/sim/simulation.hpp>

#include <algorithm>
#include <iostream>
#include <vector>

namespace samples {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t port = 7000;
constexpr std::uint32_t writes = 5;

struct message {
  enum kind : std::uint32_t { read, write } what;
  std::uint32_t version;
};

// One copy: answers every message with the newest version it has seen.
void keep(zsync::tcp_listener listener) {
  std::uint32_t newest = 0;
  zsync::task_group conversations;
  for (;;) {
    conversations.spawn([&newest, s = listener.accept()]() mutable {
      message m{};
      std::error_code ec;  // who asked may have had enough answers, and be gone
      s.read_exact(std::as_writable_bytes(std::span(&m, 1)), ec);
      if (ec) return;
      if (m.what == message::write) newest = std::max(newest, m.version);
      s.write_all(std::as_bytes(std::span(&newest, 1)), ec);
    });
  }
}

class cluster {
 public:
  explicit cluster(bool careful) : careful_(careful) {
    for (const char* name : {"a", "b", "c"}) {
      const zsync::sim::host h = zsync::sim::add_host(name);
      h.spawn([] { keep(zsync::tcp_listener::bind({zsync::ip_address::any_v4(), port})); }).detach();
      copies_.push_back(h);
    }
    zsync::this_fiber::sleep_for(1ms);  // until they listen
  }

  void write(std::uint32_t version) { static_cast<void>(ask_all({message::write, version})); }
  std::uint32_t read() { return ask_all({message::read, 0}); }

  // For ever: cuts off one copy for a while, and then another.
  [[noreturn]] void spoil() {
    for (;;) {
      const zsync::sim::link way =
          zsync::sim::between(zsync::sim::here(), copies_[zsync::sim::random(copies_.size())]);
      way.cut();
      zsync::this_fiber::sleep_for(std::chrono::microseconds(zsync::sim::random(2000)));
      way.mend();
      zsync::this_fiber::sleep_for(std::chrono::microseconds(zsync::sim::random(200)));
    }
  }

 private:
  // The newest version of as many answers as it takes.
  std::uint32_t ask_all(message m) {
    auto [out, answers] = zsync::channel<std::uint32_t>(copies_.size());
    zsync::task_group asking;
    for (const zsync::sim::host& h : copies_) {
      asking.spawn([&h, m, answer = out] {
        auto s = zsync::tcp_stream::connect({h.address(), port});
        s.write_all(std::as_bytes(std::span(&m, 1)));
        std::uint32_t version = 0;
        s.read_exact(std::as_writable_bytes(std::span(&version, 1)));
        answer.send(version);
      });
    }
    std::uint32_t newest = 0;
    const std::size_t enough = careful_ ? copies_.size() / 2 + 1 : 1;
    for (std::size_t i = 0; i < enough; ++i) newest = std::max(newest, answers.recv().value());
    asking.cancel();
    return newest;
  }

  const bool careful_;
  std::vector<zsync::sim::host> copies_;
};

struct lost {
  std::uint32_t written, read;
};

void use(bool careful) {
  cluster c(careful);
  auto spoiling = zsync::spawn([&c] { c.spoil(); });
  for (std::uint32_t version = 1; version <= writes; ++version) {
    c.write(version);
    if (const std::uint32_t seen = c.read(); seen < version) throw lost{version, seen};
  }
}

class replica final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_count(command, "--seed", seed_, 1, 1'000'000'000, "The first seed; the same seed is the same run");
    add_count(command, "--seeds", seeds_, 1, 100'000'000, "How many runs");
    add_flag(command, "--careful", careful_, "Write to and read from a majority");
  }

  [[nodiscard]] bool takes_runtime_options() const override { return false; }

  void run(zsync::runtime&) override {
    // A simulation takes its thread for itself.
    for (; runs_ != seeds_; ++runs_) zsync::blocking([this] { attempt(seed_ + runs_); });
  }

  void summarise(std::ostream& to) const override {
    to << count_text(runs_, "run") << ", " << losses_ << " of them lost a write that had been acknowledged\n";
    if (losses_ != 0) to << "zsync-run replica --seed " << first_ << " --seeds 1 repeats the first\n";
  }

  [[nodiscard]] bool all_well() const override { return losses_ == 0; }

 private:
  void attempt(std::uint64_t seed) {
    try {
      zsync::sim::run({.seed = seed}, [this] { use(careful_); });
    } catch (const lost& l) {
      if (losses_++ != 0) return;
      first_ = seed;
      std::cout << "seed " << seed << ": version " << l.written << " was acknowledged, and then version "
                << l.read << " was read\n";
    }
  }

  std::uint64_t seed_ = 1;
  std::uint64_t seeds_ = 1000;
  std::uint64_t runs_ = 0;
  std::uint64_t losses_ = 0;
  std::uint64_t first_ = 0;
  bool careful_ = false;
};

}  // namespace

std::unique_ptr<sample> make_replica() { return std::make_unique<replica>(); }

}  // namespace samples
