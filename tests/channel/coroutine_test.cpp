#include "meeting.hpp"

#include <zsync/channel/async.hpp>
#include <zsync/channel/await.hpp>
#include <zsync/channel/mutex.hpp>

#include <atomic>
#include <coroutine>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace {

using namespace zsync;
using namespace zsync::test;

future<int> sum(future<int> a, future<int> b) {
  const int left = co_await a;
  co_return left + co_await std::move(b);
}

future<void> fails(future<void> first) {
  co_await first;
  throw std::runtime_error("no");
}

// Somebody else's coroutine type: lazy, resumes who awaits it.
template <class T>
class lazy {
 public:
  struct promise_type {
    lazy get_return_object() { return lazy(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct hand_over {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
          return ended.promise().awaiting;
        }
        void await_resume() noexcept {}
      };
      return hand_over{};
    }
    void return_value(T v) { value = std::move(v); }
    void unhandled_exception() { error = std::current_exception(); }

    T value{};
    std::exception_ptr error;
    std::coroutine_handle<> awaiting;
  };

  lazy(lazy&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  ~lazy() {
    if (coroutine_) coroutine_.destroy();
  }

  bool await_ready() noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) {
    coroutine_.promise().awaiting = awaiting;
    return coroutine_;
  }
  T await_resume() {
    if (coroutine_.promise().error) std::rethrow_exception(coroutine_.promise().error);
    return std::move(coroutine_.promise().value);
  }

 private:
  explicit lazy(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  std::coroutine_handle<promise_type> coroutine_;
};

lazy<int> twice(future<int> f) { co_return 2 * co_await std::move(f); }
lazy<int> twice_of(lazy<int> inner) { co_return 2 * co_await inner; }
lazy<int> throwing() {
  throw std::logic_error("no");
  co_return 1;
}

// Begins at once, and ends with its owner, wherever it is by then.
class owned {
 public:
  struct promise_type {
    owned get_return_object() { return owned(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };

  owned(owned&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  ~owned() {
    if (coroutine_) coroutine_.destroy();
  }

 private:
  explicit owned(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};

owned adds_to(int& sum, shared_future<int> value) { sum += co_await value; }

owned ends_another(shared_future<int> value, std::optional<owned>& other) {
  (void)co_await value;
  other.reset();
}

future<std::pair<int, int>> a_pair() { co_return {1, 2}; }

TEST_CASE("a coroutine may return a list in braces", "[future]") { CHECK(a_pair().get() == std::pair(1, 2)); }

TEST_CASE("a coroutine awaits futures, and its own is one", "[coroutine]") {
  over_workers([] {
    promise<int> late;
    auto result = sum(async([] { return 1; }), late.get_future());
    let_others_wait();
    CHECK_FALSE(result.is_ready());
    late.set_value(41);
    CHECK(result.get() == 42);
    CHECK_THROWS_AS(fails(async([] {})).get(), std::runtime_error);
    auto of_shared = [](shared_future<int> f) -> future<int> { co_return co_await f + co_await f; };
    CHECK(of_shared(async([] { return 4; }).share()).get() == 8);
  });
}

TEST_CASE("a coroutine that is destroyed while it awaits a future is not resumed", "[coroutine]") {
  promise<int> p;
  const shared_future<int> value = p.get_future().share();
  int sum = 0;
  std::optional<owned> third;
  {
    const owned gone = adds_to(sum, value);
    const owned second = ends_another(value, third);
    const owned gone_too = adds_to(sum, value);
  }
  const owned second = ends_another(value, third);
  third.emplace(adds_to(sum, value));
  const owned fourth = adds_to(sum, value);
  p.set_value(3);  // resumes the second, which ends the third, whose turn would have come next
  CHECK(!third.has_value());
  CHECK(sum == 3);
  const owned late = adds_to(sum, value);
  CHECK(sum == 6);
}

TEST_CASE("a fiber awaits a coroutine of any kind", "[coroutine]") {
  over_workers([] {
    CHECK(await(twice(async([] {
            this_fiber::sleep_for(1ms);
            return 21;
          }))) == 42);
    auto named = twice_of(twice(make_ready_future(2)));
    CHECK(await(named) == 8);
    CHECK_THROWS_AS(await(throwing()), std::logic_error);
    CHECK(await(sum(make_ready_future(1), make_ready_future(2))) == 3);
    await(std::suspend_never{});
  });
}

future<int> step(future<int> f) { co_return 1 + co_await std::move(f); }

// Awaits what is ready, twice: neither kind of await makes the coroutine suspend.
future<int> step_of_two(future<int> f) {
  const int before = co_await std::move(f);
  co_await std::suspend_never{};
  co_return before + co_await make_ready_future(1);
}

template <class Step>
int chain_of(int links, Step one) {
  promise<int> p;
  future<int> end = p.get_future();
  for (int i = 0; i < links; ++i) end = one(std::move(end));
  p.set_value(0);
  return end.get();
}

// It overflowed a fiber's stack at 2,500: each coroutine resumed the next from within its own end.
TEST_CASE("a chain of a hundred thousand coroutines needs no deep stack", "[coroutine]") {
  over_workers([] {
    CHECK(chain_of(100'000, step) == 100'000);
    CHECK(chain_of(20'000, step_of_two) == 20'000);
  });
}

TEST_CASE("a broken promise passes through a long chain of coroutines", "[coroutine]") {
  over_workers([] {
    future<int> end = promise<int>().get_future();
    for (int i = 0; i < 20'000; ++i) end = step(std::move(end));
    CHECK_THROWS_AS(end.get(), std::future_error);
    promise<int> p;
    end = p.get_future();
    for (int i = 0; i < 20'000; ++i) end = step(std::move(end));
    p = {};
    CHECK_THROWS_AS(end.get(), std::future_error);
  });
}

future<int> under_lock(zsync::mutex& lock, std::shared_ptr<int> argument, future<int> f) {
  const std::scoped_lock held(lock);
  co_return *argument + co_await std::move(f);
}

future<bool> finds_free(zsync::mutex& lock, const std::weak_ptr<int>& argument, future<int> f) {
  (void)co_await std::move(f);
  const bool free = lock.try_lock();
  if (free) lock.unlock();
  co_return free&& argument.expired();
}

TEST_CASE("who awaits a coroutine goes on when its locals and arguments are gone", "[coroutine]") {
  over_workers([] {
    zsync::mutex lock;
    auto argument = std::make_shared<int>(1);
    const std::weak_ptr<int> watched = argument;
    promise<int> p;
    auto ended = finds_free(lock, watched, under_lock(lock, std::move(argument), p.get_future()));
    p.set_value(1);
    CHECK(ended.get());

    auto at_once = std::make_shared<int>(2);
    const std::weak_ptr<int> watched_too = at_once;
    CHECK(finds_free(lock, watched_too, under_lock(lock, std::move(at_once), make_ready_future(1))).get());
  });
}

// Keeps who awaits it, to be resumed by others.
struct kept_in {
  std::coroutine_handle<>& place;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) const { place = awaiting; }
  void await_resume() const noexcept {}
};

future<int> by_others(future<int> f, std::coroutine_handle<>& place) {
  const int before = co_await std::move(f);
  co_await kept_in{place};
  co_return co_await twice(make_ready_future(before));
}

TEST_CASE("a coroutine goes on by whoever resumes it last", "[coroutine]") {
  over_workers([] {
    promise<int> p;
    std::coroutine_handle<> place;
    auto result = step(by_others(step(p.get_future()), place));
    p.set_value(3);
    CHECK_FALSE(result.is_ready());
    REQUIRE(place);
    place.resume();
    REQUIRE(result.is_ready());
    CHECK(result.get() == 9);
  });
}

struct fails_at_its_end {
  ~fails_at_its_end() noexcept(false) { throw std::runtime_error("no"); }
};

future<int> fails_after_its_return(future<int> f) {
  const int value = co_await std::move(f);
  const fails_at_its_end last;
  co_return value;
}

TEST_CASE("an exception that ends a coroutine after its return is its result", "[coroutine]") {
  promise<int> p;
  auto failed = fails_after_its_return(p.get_future());
  p.set_value(1);
  CHECK_THROWS_AS(failed.get(), std::runtime_error);
}

// Has what a future has, whose calls would block the thread; awaiting it does not.
struct looks_like_a_future {
  int get() const { return -1; }
  void wait() const {}
  bool valid() const { return true; }
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  int await_resume() const noexcept { return 1; }
};

TEST_CASE("what is no future of this library is awaited, whatever else it can be asked", "[coroutine]") {
  CHECK(await(looks_like_a_future()) == 1);
  const shared_future<int> shared = make_ready_future(2).share();
  CHECK(await(shared) == 2);
}

TEST_CASE("a plain thread awaits a coroutine that a fiber resumes", "[coroutine]") {
  runtime one({.workers = 1});
  for (int i = 0; i < 100; ++i) {
    promise<int> p;
    auto f = p.get_future();
    auto setter = one.spawn([&] { p.set_value(i); });
    CHECK(await(twice(std::move(f))) == 2 * i);
    setter.join();
  }
}

TEST_CASE("a fiber that awaits a coroutine stays until it is through, even if cancelled", "[coroutine]") {
  over_workers([] {
    promise<int> p;
    std::atomic<int> got{0};
    auto waits = spawn([&, f = p.get_future()]() mutable {
      got = await(twice(std::move(f)));
      this_fiber::cancellation_point();
    });
    let_others_wait();
    waits.cancel();
    let_others_wait();
    p.set_value(3);
    CHECK_THROWS_AS(waits.join(), cancelled);
    CHECK(got == 6);
  });
}

}  // namespace
