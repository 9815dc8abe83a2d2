#include <zsync/timer/timer_queue.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

using zsync::deadline;
using zsync::detail::timer_node;
using zsync::detail::timer_queue;

namespace {

constexpr zsync::clock::time_point at(std::int64_t ns) {
  return zsync::clock::time_point{std::chrono::nanoseconds{ns}};
}

// A timer that remembers how often it expired, and what its queue looked like then.
struct recorder : timer_node {
  recorder() : timer_node(&recorder::on_expiry) {}

  static void on_expiry(timer_node& node) noexcept {
    auto& self = static_cast<recorder&>(node);
    ++self.expired_times;
    self.was_queued = node.queued();
    if (self.log != nullptr) self.log->push_back(&self);
  }

  int expired_times = 0;
  bool was_queued = false;
  std::int64_t when = 0;
  std::vector<recorder*>* log = nullptr;
};

}  // namespace

TEST_CASE("an empty timer queue has no deadline and expires nothing", "[timer]") {
  timer_queue queue;
  CHECK(queue.empty());
  CHECK(queue.next().is_never());
  CHECK(queue.expire(at(1'000'000), 100) == 0);
}

TEST_CASE("a timer expires at its deadline and not a nanosecond before", "[timer]") {
  timer_queue queue;
  recorder one;
  queue.add(one, deadline{at(1000)});
  CHECK(one.queued());
  CHECK(queue.next() == deadline{at(1000)});
  CHECK(queue.expire(at(999), 10) == 0);
  CHECK(one.expired_times == 0);
  CHECK(queue.expire(at(1000), 10) == 1);
  CHECK(one.expired_times == 1);
  CHECK_FALSE(one.was_queued);
  CHECK_FALSE(one.queued());
  CHECK(queue.empty());
}

TEST_CASE("a cancelled timer does not expire, and may be cancelled again and added again", "[timer]") {
  timer_queue queue;
  recorder one;
  queue.add(one, deadline{at(10)});
  queue.cancel(one);
  queue.cancel(one);
  CHECK_FALSE(one.queued());
  CHECK(queue.expire(at(100), 10) == 0);
  queue.add(one, deadline{at(20)});
  CHECK(queue.expire(at(100), 10) == 1);
  CHECK(one.expired_times == 1);
}

TEST_CASE("timers expire in the order of their deadlines", "[timer]") {
  timer_queue queue;
  std::vector<recorder*> order;
  std::vector<std::unique_ptr<recorder>> all;
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    auto& one = *all.emplace_back(std::make_unique<recorder>());
    one.when = static_cast<std::int64_t>(random() % 500);
    one.log = &order;
    queue.add(one, deadline{at(one.when)});
  }
  CHECK(queue.expire(at(1000), 100'000) == 1000);
  CHECK(std::ranges::is_sorted(order, {}, &recorder::when));
}

TEST_CASE("a storm of equal deadlines expires in bites of the limit", "[timer]") {
  timer_queue queue;
  std::vector<std::unique_ptr<recorder>> all;
  for (int i = 0; i < 1000; ++i) queue.add(*all.emplace_back(std::make_unique<recorder>()), deadline{at(5)});
  CHECK(queue.expire(at(5), 256) == 256);
  CHECK(queue.size() == 744);
  CHECK(queue.next() == deadline{at(5)});
  CHECK(queue.expire(at(5), 10'000) == 744);
  CHECK(std::ranges::all_of(all, [](const auto& one) { return one->expired_times == 1; }));
}

TEST_CASE("a timer's callback may add and cancel timers of the same queue", "[timer]") {
  struct meddler : timer_node {
    explicit meddler(timer_queue& q) : timer_node(&meddler::on_expiry), queue(q) {}
    static void on_expiry(timer_node& node) noexcept {
      auto& self = static_cast<meddler&>(node);
      self.queue.cancel(self.victim);
      self.queue.add(self.child, deadline{at(2)});
      self.queue.add(self.later, deadline{at(100)});
    }
    timer_queue& queue;
    recorder victim, child, later;
  };
  timer_queue queue;
  meddler one(queue);
  queue.add(one.victim, deadline{at(3)});
  queue.add(one, deadline{at(1)});
  CHECK(queue.expire(at(50), 10) == 2);
  CHECK(one.victim.expired_times == 0);
  CHECK(one.child.expired_times == 1);
  CHECK(one.later.expired_times == 0);
  CHECK(queue.size() == 1);
  queue.cancel(one.later);
}

// The reference: a multimap does the same, slowly and obviously.
TEST_CASE("any sequence of adds, cancels and expiries behaves as the model does", "[timer]") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::mt19937 random(seed);
    timer_queue queue;
    std::multimap<std::int64_t, recorder*> model;
    std::vector<std::unique_ptr<recorder>> pool;
    for (int i = 0; i < 200; ++i) pool.push_back(std::make_unique<recorder>());
    std::int64_t now = 0;
    const std::int64_t spread = seed % 2 == 0 ? 20 : 100'000;
    const auto forget = [&](const recorder* one) {
      std::erase_if(model, [&](const auto& entry) { return entry.second == one; });
    };
    bool agrees = true;
    for (int step = 0; step < 4000 && agrees; ++step) {
      recorder& one = *pool[random() % pool.size()];
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
        case 3:
          if (!one.queued()) {
            one.when = now + static_cast<std::int64_t>(random() % static_cast<unsigned>(spread));
            queue.add(one, deadline{at(one.when)});
            model.emplace(one.when, &one);
          }
          break;
        case 4:
        case 5:
          queue.cancel(one);
          forget(&one);
          break;
        default: {
          now += static_cast<std::int64_t>(random() % 10);
          const std::size_t limit = random() % 4 == 0 ? random() % 5 : 1000;
          std::vector<recorder*> expired;
          for (const auto& each : pool) each->log = &expired;
          const std::size_t count = queue.expire(at(now), limit);
          agrees = agrees && count == expired.size() && count <= limit;
          for (const recorder* each : expired) {
            // Whoever expired was due, and nobody who was due sooner stays behind.
            agrees = agrees && !model.empty() && each->when <= now && each->when == model.begin()->first;
            forget(each);
          }
          agrees = agrees && (count == limit || model.empty() || model.begin()->first > now);
        }
      }
      agrees = agrees && queue.size() == model.size();
      agrees = agrees &&
               (model.empty() ? queue.next().is_never() : queue.next() == deadline{at(model.begin()->first)});
    }
    INFO("seed " << seed);
    CHECK(agrees);
    for (const auto& one : pool) {
      CHECK(one->queued() == std::ranges::any_of(model, [&](auto& e) { return e.second == one.get(); }));
      queue.cancel(*one);
    }
    CHECK(queue.empty());
  }
}
