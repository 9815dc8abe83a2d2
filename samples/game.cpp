// game: agents that are fibers, within a loop that draws sixty frames a second.
#include "common/arguments.hpp"
#include "common/latency_histogram.hpp"
#include "common/own_thread.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <atomic>
#include <cmath>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

namespace samples {
namespace {

using namespace std::chrono_literals;

struct place {
  float x = 0, y = 0;
};

// What agents and the loop share. Everything happens on one thread, so nothing of it is locked.
struct world {
  std::vector<place> agents;
  zsync::event next_frame;
  std::uint64_t arrivals = 0;
  std::uint64_t greetings = 0;
};

// Written as one would tell it: it goes somewhere, a step a frame, says hello, and rests.
class agent {
 public:
  agent(world& in, std::size_t me) : world_(in), me_(me), random_(static_cast<unsigned>(me)) {}

  void live(zsync::sender<std::size_t> says, std::chrono::nanoseconds rest) {
    for (;;) {
      go_to({anywhere_(random_), anywhere_(random_)});
      ++world_.arrivals;
      says.send(me_);
      zsync::this_fiber::sleep_for(rest);
    }
  }

 private:
  void go_to(place goal) {
    constexpr float step = 0.02F;
    for (;;) {
      place& at = world_.agents[me_];
      const float dx = goal.x - at.x, dy = goal.y - at.y, far = std::sqrt(dx * dx + dy * dy);
      if (far <= step) return;
      at.x += dx / far * step;
      at.y += dy / far * step;
      world_.next_frame.wait();
    }
  }

  world& world_;
  const std::size_t me_;
  std::minstd_rand random_;
  std::uniform_real_distribution<float> anywhere_{0, 1};
};

class game final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_count(command, "-n,--agents", agents_, 1, 1'000'000, "How many agents");
    add_duration(command, "-t,--seconds", time_, "How long to play");
    add_count(command, "--hz", hz_, 1, 1000, "Frames a second");
    add_duration(command, "--rest", rest_, "How long an agent rests where it has arrived");
  }

  void run(zsync::runtime& runtime) override {
    on_own_thread([&] { play(runtime.options()); }, [this] { over_ = true; });
  }

  void summarise(std::ostream& out) const override {
    out << count_text(frames_.count(), "frame") << ", " << count_text(late_) << " over the budget of "
        << duration_text(frame()) << ": median " << duration_text(frames_.quantile(0.5)) << ", 99 % "
        << duration_text(frames_.quantile(0.99)) << ", longest " << duration_text(frames_.max()) << '\n'
        << count_text(agents_, "agent") << ", " << count_text(turns_, "turn") << ", "
        << count_text(world_.arrivals, "arrival") << ", " << count_text(world_.greetings, "greeting") << '\n';
  }

 private:
  [[nodiscard]] std::chrono::nanoseconds frame() const { return std::chrono::nanoseconds{1s} / hz_; }

  void play(zsync::runtime_options options) {
    options.name = "game";
    zsync::loop loop(options);  // no threads: its fibers run when this thread says so
    auto [says, hears] = zsync::channel<std::size_t>(256);
    world_.agents.resize(agents_);
    for (std::size_t i = 0; i < agents_; ++i)
      loop.post([this, i, says = says] { agent(world_, i).live(says, rest_); });
    loop.post([this, hears = std::move(hears)]() mutable {
      for (const std::size_t who : hears) world_.greetings += who < agents_;
    });

    const auto end = std::chrono::steady_clock::now() + time_;
    auto next = std::chrono::steady_clock::now();
    while (!over_ && next < end) {
      const auto began = std::chrono::steady_clock::now();
      loop.post([this] {
        world_.next_frame.set();
        world_.next_frame.reset();  // whoever waited goes on; whoever waits now waits for the next
      });
      turns_ += loop.run_for(frame() / 2);  // the other half is the picture's
      draw();
      const auto took = std::chrono::steady_clock::now() - began;
      frames_.record(took);
      late_ += took > frame();
      next = std::max(next + frame(), began);  // a late frame is not made up for
      std::this_thread::sleep_until(next);
    }
  }

  // Of no screen: the middle of all agents stands for what a picture would take from the world.
  void draw() {
    place sum;
    for (const place& at : world_.agents) {
      sum.x += at.x;
      sum.y += at.y;
    }
    middle_ = {sum.x / static_cast<float>(agents_), sum.y / static_cast<float>(agents_)};
  }

  std::uint64_t agents_ = 5'000;
  std::uint64_t hz_ = 60;
  std::chrono::nanoseconds time_ = 5s;
  std::chrono::nanoseconds rest_ = 500ms;
  world world_;
  place middle_;
  latency_histogram frames_;
  std::uint64_t late_ = 0;
  std::uint64_t turns_ = 0;
  std::atomic<bool> over_{false};
};

}  // namespace

std::unique_ptr<sample> make_game() { return std::make_unique<game>(); }

}  // namespace samples
