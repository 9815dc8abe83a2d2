#include "explore/explorer.hpp"

#include <boost/context/fiber.hpp>

#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace zsync::explore {
namespace {

namespace context = boost::context;

constexpr std::uint64_t steps_max = 200'000;  // of one run; scenarios are small

class explorer {
 public:
  explicit explorer(std::uint64_t seed) : random_(seed * 0x9E3779B97F4A7C15ULL + 1) {
    switch_one_in_ = 2 + draw(7);
  }

  std::size_t draw(std::size_t below) noexcept {  // splitmix64
    std::uint64_t z = random_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return static_cast<std::size_t>((z ^ (z >> 31U)) % below);
  }

  void run(const std::function<scenario()>& make) {
    scenario s = make();
    const std::size_t count = s.threads.size() + 1;
    if (count > threads_max) throw std::logic_error("a scenario of too many threads");
    for (std::size_t i = 1; i < count; ++i) {
      // What was set up happened before; each has a time of its own from here on.
      clocks_[i] = clocks_[0];
      ++clocks_[i].at[i];
      threads_[i] = context::fiber([this, body = std::move(s.threads[i - 1])](context::fiber&& root) mutable {
        root_ = std::move(root);
        std::exchange(body, nullptr)();  // what it has goes here, as one of its steps
        finished_[current_] = true;
        return std::move(root_);
      });
      finished_[i] = false;
    }
    ++clocks_[0].at[0];
    while (const std::size_t next = pick(count)) {
      current_ = next;
      threads_[next] = std::move(threads_[next]).resume();
      current_ = 0;
      if (++steps_ > steps_max) {
        fail("it does not end");
        break;
      }
    }
    for (std::size_t i = 1; i < count; ++i) {
      if (!finished_[i] && failure_.empty()) fail("a thread waits for ever");
      if (finished_[i]) {
        clocks_[0].join(clocks_[i]);
      } else {
        new context::fiber(std::move(threads_[i]));  // cannot be unwound through what throws nothing
      }
    }
    if (failure_.empty()) s.finally();
  }

  void point() noexcept {
    if (current_ != 0 && draw(switch_one_in_) == 0) give_way();
  }
  void give_way() noexcept { root_ = std::move(root_).resume(); }

  void fence() noexcept {
    point();
    ++clocks_[current_].at[current_];
    fences_.join(clocks_[current_]);
    clocks_[current_] = fences_;
  }

  void long_while() noexcept {
    if (current_ != 0) give_way();
    vector_clock all;
    for (const vector_clock& each : clocks_) all.join(each);
    clocks_.fill(all);
  }

  void wait_for(unsigned& count) noexcept {
    while (count == 0) {
      if (current_ == 0) return fail("who sets up or looks at the end waits");
      waits_for_[current_] = &count;
      give_way();
      waits_for_[current_] = nullptr;
    }
    --count;
  }

  void fail(const std::string& why) noexcept {
    if (failure_.empty()) failure_ = why;
  }

  std::array<vector_clock, threads_max> clocks_{};
  std::size_t current_ = 0;
  std::string failure_;

 private:
  // 0: nobody can.
  std::size_t pick(std::size_t count) noexcept {
    std::array<std::size_t, threads_max> able{};
    std::size_t n = 0;
    for (std::size_t i = 1; i < count; ++i) {
      if (!finished_[i] && (waits_for_[i] == nullptr || *waits_for_[i] != 0)) able[n++] = i;
    }
    return n == 0 ? 0 : able[draw(n)];
  }

  std::uint64_t random_;
  vector_clock fences_;
  std::size_t switch_one_in_;
  std::uint64_t steps_ = 0;
  std::array<context::fiber, threads_max> threads_;
  context::fiber root_;
  std::array<bool, threads_max> finished_{};
  std::array<unsigned*, threads_max> waits_for_{};
};

explorer* running = nullptr;

}  // namespace

std::size_t me() noexcept { return running->current_; }
vector_clock& now() noexcept { return running->clocks_[running->current_]; }
void point() noexcept { running->point(); }
std::size_t draw(std::size_t below) noexcept { return running->draw(below); }
void race(const char* what) noexcept { running->fail(std::string("a race: ") + what); }
bool happened(std::size_t thread, std::uint32_t time) noexcept { return now().at[thread] >= time; }
void fail(const std::string& why) noexcept { running->fail(why); }

void full_fence() noexcept { running->fence(); }
void long_while() noexcept { running->long_while(); }

void gate::open() noexcept {
  point();
  ++now().at[me()];
  opened_.join(now());
  ++count_;
}
void gate::wait() noexcept {
  running->wait_for(count_);
  now().join(opened_);
}

void run(std::uint64_t seeds, const std::function<scenario()>& make) {
  if (const char* const many = std::getenv("ZSYNC_EXPLORE_SEEDS")) seeds = std::strtoull(many, nullptr, 10);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    explorer one(seed);
    running = &one;
    one.run(make);
    running = nullptr;
    if (!one.failure_.empty())
      throw std::runtime_error("with seed " + std::to_string(seed) + ": " + one.failure_);
  }
}

}  // namespace zsync::explore
