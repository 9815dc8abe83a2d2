#include "meeting.hpp"

#include <zsync/channel/async.hpp>
#include <zsync/channel/packaged_task.hpp>
#include <zsync/channel/when_any.hpp>
#include <zsync/sched/scope.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>

namespace {

using namespace zsync;
using namespace zsync::test;

template <class F>
std::error_code code_of(F f) {
  try {
    f();
  } catch (const std::future_error& e) {
    return e.code();
  }
  return {};
}

TEST_CASE("a shared future goes on as often as one likes, and stays valid", "[future]") {
  promise<std::string> promised;
  const shared_future<std::string> text = promised.get_future().share();
  auto length = text.then([](const std::string& s) { return s.size(); });
  auto itself = text.then([](shared_future<std::string> f) { return f.get() + "!"; });
  auto unwrapped_one = text.then([](const std::string& s) { return make_ready_future(s + "?"); });
  CHECK_FALSE(length.is_ready());
  promised.set_value("hello");
  CHECK(length.get() == 5);
  CHECK(itself.get() == "hello!");
  CHECK(unwrapped_one.get() == "hello?");
  CHECK(text.then([](const std::string& s) { return s; }).get() == "hello");
  CHECK(text.get() == "hello");

  promise<void> fails;
  const shared_future<void> failure = fails.get_future().share();
  auto skipped = failure.then([] { return 1; });
  auto told = failure.then([](const shared_future<void>& f) { return f.is_ready(); });
  fails.set_exception(std::make_exception_ptr(std::runtime_error("told")));
  CHECK_THROWS_AS(skipped.get(), std::runtime_error);
  CHECK(told.get());

  int target = 3;
  promise<int&> refers;
  const shared_future<int&> reference = refers.get_future().share();
  auto through = reference.then([](int& i) { return ++i; });
  refers.set_value(target);
  CHECK(through.get() == 4);
  CHECK(target == 4);

  auto both =
      when_all(text.then([](const std::string& s) { return s; }), reference.then([](int& i) { return i; }));
  CHECK(both.get() == std::tuple<std::string, int>("hello", 4));
}

TEST_CASE("a future waits for its promise", "[future]") {
  over_workers([] {
    promise<std::unique_ptr<int>> p;
    auto f = p.get_future();
    CHECK_FALSE(f.is_ready());
    CHECK(f.wait_for(1ms) == future_status::timeout);
    auto setter = spawn([&] {
      this_fiber::sleep_for(2ms);
      p.set_value(std::make_unique<int>(3));
    });
    f.wait();
    CHECK(f.is_ready());
    CHECK(f.wait_until(clock::now()) == future_status::ready);
    CHECK(*f.get() == 3);
    setter.join();

    promise<void> done;
    auto waits = spawn([g = done.get_future()]() mutable { g.get(); });
    done.set_value();
    waits.join();

    int place = 1;
    promise<int&> reference;
    auto r = reference.get_future();
    reference.set_value(place);
    CHECK(&r.get() == &place);
  });
}

TEST_CASE("a wait for a future until some time ends then", "[future]") {
  over_workers([] {
    promise<int> p;
    auto f = p.get_future();
    const auto until = clock::now() + 2ms;
    CHECK(f.wait_until(until) == future_status::timeout);
    CHECK(clock::now() >= until);
    CHECK(f.valid());
  });
}

TEST_CASE("a future is read once", "[future]") {
  promise<int> p;
  auto f = p.get_future();
  p.set_value(1);
  CHECK(f.valid());
  CHECK(f.get() == 1);
  CHECK_FALSE(f.valid());
  CHECK(code_of([&] { f.get(); }) == std::future_errc::no_state);
  CHECK(code_of([&] { f.wait(); }) == std::future_errc::no_state);
  CHECK(code_of([&] { (void)p.get_future(); }) == std::future_errc::future_already_retrieved);
  CHECK(code_of([&] { p.set_value(2); }) == std::future_errc::promise_already_satisfied);
  CHECK(code_of([&] { p.set_exception(nullptr); }) == std::future_errc::promise_already_satisfied);
}

TEST_CASE("a promise that goes without a result is broken", "[future]") {
  over_workers([] {
    auto p = std::make_unique<promise<int>>();
    auto f = p->get_future();
    auto waits = spawn([&] { return code_of([&] { f.get(); }); });
    let_others_wait();
    p.reset();
    CHECK(waits.join() == std::future_errc::broken_promise);
  });
}

TEST_CASE("an exception passes through a future", "[future]") {
  over_workers([] {
    auto f = async([]() -> int { throw std::runtime_error("no"); });
    CHECK_THROWS_AS(f.get(), std::runtime_error);
    struct picky {
      explicit picky(bool fail) {
        if (fail) throw std::logic_error("copy");
      }
      picky(const picky& other) : fails(other.fails) {
        if (fails) throw std::logic_error("copy");
      }
      bool fails = false;
    };
    promise<picky> p;
    auto g = p.get_future();
    picky bad(false);
    bad.fails = true;
    CHECK_THROWS_AS(p.set_value(bad), std::logic_error);
    CHECK_FALSE(g.is_ready());
    p.set_value(picky(false));
    CHECK(g.is_ready());
  });
}

TEST_CASE("many wait for one shared future", "[future]") {
  over_workers([] {
    promise<std::string> p;
    const shared_future<std::string> f = p.get_future().share();
    std::vector<fiber<std::size_t>> all;
    for (int i = 0; i < 5; ++i) all.push_back(spawn([f] { return f.get().size(); }));
    let_others_wait();
    p.set_value("hello");
    for (auto& one : all) CHECK(one.join() == 5);
    CHECK(&f.get() == &shared_future(f).get());
  });
}

TEST_CASE("a cancelled or timed-out wait leaves the future as it was", "[future]") {
  over_workers([] {
    promise<int> p;
    auto f = p.get_future();
    auto waits = spawn([&] { (void)f.get(); });
    let_others_wait();
    waits.cancel();
    CHECK_THROWS_AS(waits.join(), cancelled);
    {
      const deadline_scope scope(2ms);
      CHECK_THROWS_AS(f.get(), std::system_error);
    }
    REQUIRE(f.valid());
    p.set_value(4);
    CHECK(f.get() == 4);
  });
}

TEST_CASE("the last future of an async waits for it", "[future]") {
  over_workers([] {
    std::atomic<bool> ended{false};
    const auto work = [&] {
      this_fiber::sleep_for(2ms);
      ended = true;
    };
    { const auto f = async(work); }
    CHECK(ended);
    ended = false;
    {
      auto shared = async(work).share();
      const auto copy = shared;
      shared = {};
      CHECK_FALSE(ended);
    }
    CHECK(ended);
    CHECK(zsync::async([](std::unique_ptr<int> p, int q) { return *p + q; }, std::make_unique<int>(1), 2)
              .get() == 3);
  });
}

TEST_CASE("a future of async is ready when the function and its arguments are gone", "[future]") {
  over_workers([] {
    for (int i = 0; i < 50; ++i) {
      // A destructor that takes its time shows whoever does not wait for it.
      struct slow_to_end {
        explicit slow_to_end(std::atomic<int>& count) : ended(&count) {}
        slow_to_end(slow_to_end&& other) noexcept : ended(std::exchange(other.ended, nullptr)) {}
        ~slow_to_end() {
          if (ended == nullptr) return;
          this_fiber::yield();
          ++*ended;
        }
        std::atomic<int>* ended;
      };
      std::atomic<int> ended{0};
      async([own = slow_to_end(ended)](const slow_to_end&) {}, slow_to_end(ended)).get();
      CHECK(ended == 2);
    }
  });
}

TEST_CASE("async takes the policy that std::async does", "[future]") {
  over_workers([] {
    CHECK(zsync::async(
              std::launch::async, [](int a, int b) { return a + b; }, 1, 2)
              .get() == 3);
    CHECK(zsync::async(std::launch::async | std::launch::deferred, [] { return 4; }).get() == 4);
    int place = 5;
    CHECK(&zsync::async([&]() -> int& { return place; }).get() == &place);
  });
}

struct waits_for {
  shared_future<void> until;
  void operator()() const { until.get(); }
};
[[gnu::noinline]] future<void> asks_for_async(const shared_future<void>& until) {
  return async(waits_for{until});
}
[[gnu::noinline]] future<void> asks_for_the_same(const shared_future<void>& until) {
  return async(waits_for{until});
}

TEST_CASE("a dump names who called async, not what async calls", "[future]") {
  if (sanitized) return;  // what is to be inlined may not be
  run([] {
    promise<void> p;
    const shared_future<void> until = p.get_future().share();
    auto waits = asks_for_async(until);
    auto waits_too = asks_for_the_same(until);
    let_others_wait();
    std::ostringstream text;
    detail::dump(detail::current_worker()->owner(), text);
    CHECK(text.str().find("asks_for_async") != std::string::npos);
    CHECK(text.str().find("asks_for_the_same") != std::string::npos);
    CHECK(text.str().find("spawned at zsync::async") == std::string::npos);
    p.set_value();
    waits.get();
    waits_too.get();
  });
}

TEST_CASE("an exception can be given as a future that is ready", "[future]") {
  auto failed = make_exceptional_future<int>(std::make_exception_ptr(std::logic_error("no")));
  REQUIRE(failed.is_ready());
  CHECK_THROWS_AS(failed.get(), std::logic_error);
  bool called = false;
  auto next = make_exceptional_future<void>(std::make_exception_ptr(std::logic_error("no"))).then([&] {
    called = true;
  });
  CHECK_THROWS_AS(next.get(), std::logic_error);
  CHECK_FALSE(called);
}

TEST_CASE("the last future of an async waits for it beyond any deadline scope", "[future]") {
  over_workers([] {
    std::atomic<bool> ended{false};
    auto f = async([&] {
      this_fiber::sleep_for(5ms);
      ended = true;
    });
    {
      const deadline_scope expired(0s);
      f = {};
    }
    CHECK(ended);
  });
}

TEST_CASE("a promise that is assigned to is broken at once", "[future]") {
  promise<int> first;
  promise<int> second;
  auto of_first = first.get_future();
  auto of_second = second.get_future();
  first = std::move(second);
  REQUIRE(of_first.is_ready());
  CHECK(code_of([&] { of_first.get(); }) == std::future_errc::broken_promise);
  first.set_value(2);
  CHECK(of_second.get() == 2);
}

TEST_CASE("a packaged task gives its result to its future", "[future]") {
  over_workers([] {
    packaged_task<int(int)> task([own = std::make_unique<int>(2)](int x) { return *own * x; });
    auto f = task.get_future();
    auto runs = spawn([&] { task(21); });
    CHECK(f.get() == 42);
    runs.join();
    CHECK(code_of([&] { task(1); }) == std::future_errc::promise_already_satisfied);
    task.reset();
    auto g = task.get_future();
    task(1);
    CHECK(g.get() == 2);
    packaged_task<void()> failing([] { throw std::runtime_error("no"); });
    auto h = failing.get_future();
    failing();
    CHECK_THROWS_AS(h.get(), std::runtime_error);
    auto unused = packaged_task<int()>([] { return 1; }).get_future();
    CHECK(code_of([&] { unused.get(); }) == std::future_errc::broken_promise);
    packaged_task<int()> not_called([] { return 1; });
    auto given_up = not_called.get_future();
    not_called.reset();
    CHECK(code_of([&] { given_up.get(); }) == std::future_errc::broken_promise);
    CHECK_FALSE(packaged_task<int()>().valid());
  });
}

TEST_CASE("a packaged task knows what it can be called with, as std's does", "[future]") {
  packaged_task adds([](int a, long b) { return a + b; });
  static_assert(std::is_same_v<decltype(adds), packaged_task<long(int, long)>>);
  packaged_task counts([n = 0]() mutable noexcept { return ++n; });
  static_assert(std::is_same_v<decltype(counts), packaged_task<int()>>);
  packaged_task of_function(static_cast<int (*)(int)>([](int v) { return v; }));
  static_assert(std::is_same_v<decltype(of_function), packaged_task<int(int)>>);
  packaged_task owns([p = std::make_unique<int>(4)] { return *p; });
  packaged_task moved(std::move(owns));
  static_assert(std::is_same_v<decltype(moved), packaged_task<int()>>);
  auto f = moved.get_future();
  moved();
  CHECK(f.get() == 4);
}

TEST_CASE("then goes on with the value, skips exceptions, and unwraps futures", "[future]") {
  over_workers([] {
    promise<int> p;
    auto text =
        p.get_future().then([](int v) { return v + 1; }).then([](int v) { return std::to_string(v); });
    CHECK_FALSE(text.is_ready());
    p.set_value(1);
    CHECK(text.get() == "2");

    bool called = false;
    auto failed = async([]() -> int { throw std::runtime_error("no"); }).then([&](int) { called = true; });
    CHECK_THROWS_AS(failed.get(), std::runtime_error);
    CHECK_FALSE(called);
    auto repaired = async([]() -> int { throw std::runtime_error("no"); }).then([](future<int> f) {
      try {
        return f.get();
      } catch (const std::runtime_error&) {
        return -1;
      }
    });
    CHECK(repaired.get() == -1);
    CHECK_THROWS_AS(make_ready_future(1).then([](int) -> int { throw std::logic_error("x"); }).get(),
                    std::logic_error);
    CHECK(make_ready_future().then([] { return 5; }).get() == 5);
    CHECK(async([] { return 3; }).then([](int v) { return async([v] { return v * 3; }); }).get() == 9);
  });
}

TEST_CASE("a chain of a hundred thousand needs no deep stack", "[future]") {
  over_workers([] {
    promise<int> p;
    auto f = p.get_future();
    for (int i = 0; i < 100'000; ++i) f = f.then([](int v) { return v + 1; });
    p.set_value(0);
    CHECK(f.get() == 100'000);
  });
}

TEST_CASE("a chain whose steps return futures that are ready needs no deep stack either", "[future]") {
  over_workers([] {
    promise<int> p;
    future<int> end = p.get_future();
    for (int i = 0; i < 20'000; ++i) end = end.then([](int n) { return make_ready_future(n + 1); });
    p.set_value(0);
    CHECK(end.get() == 20'000);
  });
}

TEST_CASE("when_all gathers the results of all, or the first exception", "[future]") {
  over_workers([] {
    auto [number, text, nothing] =
        when_all(async([] { return 1; }), async([] { return std::string("x"); }), async([] {})).get();
    CHECK(number == 1);
    CHECK(text == "x");
    (void)nothing;

    std::vector<future<std::unique_ptr<int>>> many;
    for (int i = 0; i < 20; ++i) {
      many.push_back(async([i] {
        if (i % 3 == 0) this_fiber::sleep_for(500us);
        return std::make_unique<int>(i);
      }));
    }
    const auto values = when_all(std::move(many)).get();
    REQUIRE(values.size() == 20);
    for (int i = 0; i < 20; ++i) CHECK(*values[static_cast<std::size_t>(i)] == i);

    promise<int> never;
    auto fails = when_all(never.get_future(), async([]() -> int { throw std::runtime_error("no"); }));
    CHECK_THROWS_AS(fails.get(), std::runtime_error);
    std::vector<future<void>> voids;
    voids.push_back(async([] {}));
    when_all(std::move(voids)).get();
  });
}

TEST_CASE("references are gathered as references, and the first of them is one", "[future]") {
  over_workers([] {
    int a = 1;
    int b = 2;
    const auto later = [](int& place) {
      return async([&place]() -> int& {
        this_fiber::yield();
        return place;
      });
    };
    auto [first, text, second] = when_all(later(a), async([] { return std::string("x"); }), later(b)).get();
    STATIC_REQUIRE(std::is_same_v<decltype(first), int&>);
    CHECK(&first == &a);
    CHECK(text == "x");
    CHECK(&second == &b);

    std::vector<future<int&>> many;
    many.push_back(later(b));
    many.push_back(later(a));
    const std::vector<std::reference_wrapper<int>> both = when_all(std::move(many)).get();
    REQUIRE(both.size() == 2);
    CHECK(&both[0].get() == &b);
    CHECK(&both[1].get() == &a);

    promise<int&> never;
    CHECK(&when_any(never.get_future(), later(a)).get().value == &a);
    promise<std::string> never_either;
    const auto mixed = when_any(never_either.get_future(), later(b)).get();
    REQUIRE(mixed.index == 1);
    CHECK(&std::get<1>(mixed.value).get() == &b);
    std::vector<future<int&>> some;
    some.push_back(later(a));
    CHECK(&when_any(std::move(some)).get().value == &a);
    promise<int&> slower;
    CHECK(&race(slower.get_future(), later(b)).get() == &b);
  });
}

template <class... Futures>
concept has_a_first = requires(Futures... futures) {
  when_any(std::move(futures)...);
  race(std::move(futures)...);
};

TEST_CASE("when_all of no futures is ready, and of none there is no first", "[future]") {
  auto all = when_all();
  REQUIRE(all.is_ready());
  CHECK(all.get() == std::tuple<>());
  auto all_of_vector = when_all(std::vector<future<int>>());
  REQUIRE(all_of_vector.is_ready());
  CHECK(all_of_vector.get().empty());
  auto all_of_voids = when_all(std::vector<future<void>>());
  REQUIRE(all_of_voids.is_ready());
  all_of_voids.get();

  STATIC_REQUIRE(has_a_first<future<int>, future<int>>);
  STATIC_REQUIRE(!has_a_first<>);
  CHECK_THROWS_AS(when_any(std::vector<future<int>>()), std::invalid_argument);
  CHECK_THROWS_AS(race(std::vector<future<int>>()), std::invalid_argument);
}

TEST_CASE("when_any and race give the first", "[future]") {
  over_workers([] {
    promise<int> slow;
    const auto first = when_any(slow.get_future(), async([] { return 7; })).get();
    CHECK(first.index == 1);
    CHECK(first.value == 7);
    promise<int> slower;
    const auto mixed = when_any(slower.get_future(), async([] { return std::string("x"); })).get();
    CHECK(mixed.index == 1);
    CHECK(std::get<1>(mixed.value) == "x");
    std::vector<promise<void>> promises(4);
    std::vector<future<void>> futures;
    for (auto& p : promises) futures.push_back(p.get_future());
    auto any = when_any(std::move(futures));
    promises[2].set_value();
    promises[0].set_value();
    CHECK(any.get().index == 2);

    promise<int> loses;
    CHECK(race(loses.get_future(), make_ready_future(4)).get() == 4);
    promise<int> loses_too;
    CHECK_THROWS_AS(
        race(loses_too.get_future(), async([]() -> int { throw std::runtime_error("no"); })).get(),
        std::runtime_error);
  });
}

TEST_CASE("a promise may be destroyed as soon as its future is ready", "[future]") {
  over_workers([] {
    for (int i = 0; i < 300; ++i) {
      auto p = std::make_unique<promise<int>>();
      auto f = p->get_future();
      auto setter = spawn([&p = *p, i] { p.set_value(i); });
      CHECK(f.get() == i);
      p.reset();
      setter.join();
    }
  });
}

TEST_CASE("a result whose move throws is none, and the promise can be given another", "[future]") {
  over_workers([] {
    promise<fragile> p;
    auto f = p.get_future();
    fragile::moves_left = 0;
    CHECK_THROWS_AS(p.set_value(fragile(1)), std::string);
    CHECK_FALSE(f.is_ready());
    p.set_value(fragile(2));
    CHECK(f.get().value == 2);

    packaged_task<fragile()> task([] {
      fragile made(3);
      fragile::moves_left = 0;
      return fragile(std::move(made));
    });
    auto failed = task.get_future();
    task();
    CHECK_THROWS_AS(failed.get(), std::string);
    fragile::moves_left = -1;
  });
  CHECK(fragile::alive == 0);
}

TEST_CASE("promises and futures pass between runtimes and plain threads", "[future]") {
  runtime one({.workers = 1});
  runtime two({.workers = 1});
  for (int i = 0; i < 100; ++i) {
    promise<int> a;
    promise<int> b;
    promise<int> c;
    auto fa = a.get_future();
    auto fb = b.get_future();
    auto fc = c.get_future();
    auto f1 = one.spawn([&] { b.set_value(fa.get() + 1); });
    auto f2 = two.spawn([&] { c.set_value(fb.get() + 1); });
    std::thread t([&] { a.set_value(i); });
    CHECK(fc.get() == i + 2);
    t.join();
    f1.join();
    f2.join();
  }
}

}  // namespace
