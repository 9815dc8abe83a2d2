// The promised surface of sched/: what programs elsewhere are compiled against. Names, signatures and types;
// what they do is tested in tests/sched.
#include "support/catch.hpp"

#include <zsync/zsync.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

using namespace std::chrono_literals;

namespace {

template <class A, class B>
inline constexpr bool same = std::is_same_v<A, B>;

// ---- options ----

constexpr bool options_are_aggregates = requires {
  zsync::runtime_options{.workers = 2U,
                         .backend = zsync::io_backend::automatic,
                         .policy = zsync::scheduling::pinned,
                         .stack_size = std::size_t{256} * 1024,
                         .name = std::string("zsync")};
  zsync::spawn_options{.name = std::string_view("worker"),
                       .stack_size = std::size_t{65536},
                       .policy = zsync::scheduling::work_stealing,
                       .worker = zsync::spawn_options::any};
};
static_assert(options_are_aggregates);
static_assert(zsync::io_backend::io_uring != zsync::io_backend::epoll &&
              zsync::io_backend::epoll != zsync::io_backend::kqueue);

// ---- runtime, loop, run ----

static_assert(!std::is_copy_constructible_v<zsync::runtime> && !std::is_move_constructible_v<zsync::runtime>);
static_assert(!std::is_copy_assignable_v<zsync::runtime> && !std::is_move_assignable_v<zsync::runtime>);
static_assert(!std::is_convertible_v<zsync::runtime_options, zsync::runtime>);
using gives_int = int (*)();
using gives_nothing = void (*)();
using gives_reference = int& (*)();
using takes_two = int (*)(int, char);

static_assert(requires(zsync::runtime & r, const zsync::runtime& c, std::ostream& out, gives_int number,
                       gives_nothing nothing, gives_reference reference, takes_two two) {
  requires same<decltype(r.block_on(number)), int>;
  requires same<decltype(r.block_on(nothing)), void>;
  requires same<decltype(r.block_on(reference)), int&>;
  requires same<decltype(r.spawn(two, 1, 'a')), zsync::fiber<int>>;
  r.post(nothing);
  requires same<decltype(r.shutdown(std::chrono::nanoseconds{1s})), bool>;
  requires same<decltype(c.stats()), zsync::runtime_stats>;
  c.dump(out);
});

static_assert(!std::is_copy_constructible_v<zsync::loop> && !std::is_move_constructible_v<zsync::loop>);
static_assert(requires(zsync::loop & l, const zsync::loop& c, std::ostream& out, gives_int number,
                       gives_nothing nothing) {
  requires same<decltype(l.poll()), std::size_t>;
  requires same<decltype(l.run_for(std::chrono::nanoseconds{1ms})), std::size_t>;
  requires same<decltype(l.run_until_idle()), std::size_t>;
  l.run();
  requires noexcept(l.stop());
  requires same<decltype(c.native_handle()), int>;
  requires same<decltype(c.next_deadline()), std::optional<zsync::clock::time_point>>;
  requires same<decltype(l.spawn(number)), zsync::fiber<int>>;
  l.post(nothing);
  requires same<decltype(c.stats()), zsync::runtime_stats>;
  c.dump(out);
});

static_assert(same<decltype(zsync::run([] { return 1.5; })), double>);
static_assert(same<decltype(zsync::run([] {}, {.workers = 1})), void>);

// ---- fiber ----

static_assert(same<decltype(zsync::fiber([] {})), zsync::fiber<>>);
static_assert(same<decltype(zsync::fiber([] { return 1; })), zsync::fiber<int>>);
static_assert(
    same<decltype(zsync::fiber([](std::string s) { return s; }, "text")), zsync::fiber<std::string>>);
static_assert(same<zsync::fiber<>, zsync::fiber<void>>);
static_assert(!std::is_copy_constructible_v<zsync::fiber<>> &&
              std::is_nothrow_move_constructible_v<zsync::fiber<>>);
static_assert(requires(zsync::fiber<int> & f, zsync::fiber<>& v, const zsync::fiber<int>& c) {
  requires same<decltype(c.joinable()), bool> && noexcept(c.joinable());
  requires same<decltype(f.join()), int>;
  requires same<decltype(v.join()), void>;
  requires same<decltype(f.join_for(1ms)), std::optional<int>>;
  requires same<decltype(v.join_for(1ms)), bool>;
  f.detach();
  requires noexcept(f.cancel());
  requires same<decltype(c.get_id()), zsync::fiber_id> && noexcept(c.get_id());
});
static_assert(same<decltype(zsync::spawn([](int i) { return i; }, 1)), zsync::fiber<int>>);
static_assert(same<decltype(zsync::spawn(
                       zsync::spawn_options{.name = "named"}, [](int i) { return i; }, 1)),
                   zsync::fiber<int>>);

// ---- this_fiber and the rest ----

static_assert(requires(const zsync::waker& w) {
  zsync::this_fiber::yield();
  zsync::this_fiber::sleep_for(1ms);
  zsync::this_fiber::sleep_until(std::chrono::steady_clock::now());
  zsync::this_fiber::sleep_until(zsync::clock::now());
  requires same<decltype(zsync::this_fiber::get_id()), zsync::fiber_id>;
  requires same<decltype(zsync::this_fiber::name()), std::string_view>;
  zsync::this_fiber::set_name("name");
  requires same<decltype(zsync::this_fiber::cancellation_requested()), bool>;
  zsync::this_fiber::cancellation_point();
  zsync::this_fiber::park();
  requires same<decltype(zsync::this_fiber::park_until(zsync::clock::now())), bool>;
  requires same<decltype(zsync::this_fiber::get_waker()), zsync::waker>;
  requires same<decltype(zsync::this_fiber::inside()), bool> && noexcept(zsync::this_fiber::inside());
  requires noexcept(w.wake());
});
static_assert(std::is_copy_constructible_v<zsync::waker> && std::is_copy_assignable_v<zsync::waker>);

static_assert(requires(zsync::task_group & g, const zsync::task_group& c) {
  g.spawn([](int) {}, 1);
  g.wait();
  g.cancel();
  requires same<decltype(c.size()), std::size_t>;
});
static_assert(requires(zsync::task_group & g) {
  requires same<decltype(g.wait_for(1ms)), bool>;
  requires same<decltype(g.wait_until(std::chrono::system_clock::now())), bool>;
});
static_assert(!std::is_copy_constructible_v<zsync::task_group>);

static_assert(requires(const zsync::fiber<int>& f) { requires same<decltype(f.done()), bool>; });
static_assert(zsync::spawn_options::in_turn < 0 &&
              zsync::spawn_options::in_turn != zsync::spawn_options::any);
static_assert(!std::is_copy_constructible_v<zsync::deadline_shield>);
static_assert(std::is_constructible_v<zsync::deadline_scope, zsync::deadline>);
static_assert(std::is_constructible_v<zsync::deadline_scope, std::chrono::milliseconds>);
static_assert(std::is_constructible_v<zsync::deadline_scope, std::chrono::steady_clock::time_point>);
static_assert(std::is_constructible_v<zsync::deadline_scope, std::chrono::system_clock::time_point>);
static_assert(!std::is_convertible_v<std::chrono::milliseconds, zsync::deadline_scope>);
static_assert(requires(const zsync::deadline_scope& s) { requires same<decltype(s.expired()), bool>; });
static_assert(std::is_default_constructible_v<zsync::cancellation_shield>);

static_assert(same<decltype(zsync::timeout(1s, [] { return 1; })), int>);
static_assert(same<decltype(zsync::timeout(1s, [] {})), void>);
static_assert(same<decltype(zsync::blocking([] { return 1; })), int>);
static_assert(same<decltype(zsync::blocking([] {})), void>);
static_assert(requires(zsync::fiber_local<std::string> & l) {
  requires same<decltype(*l), std::string&>;
  requires same<decltype(l->size()), std::size_t>;
});

// ---- errors ----

static_assert(std::is_error_code_enum_v<zsync::error>);
static_assert(!std::is_base_of_v<std::exception, zsync::cancelled>);

}  // namespace

TEST_CASE("what is promised of sched/ is there, and holds where it is a value", "[surface]") {
  const zsync::runtime_options options;
  CHECK(options.workers == 0);
  CHECK(options.backend == zsync::io_backend::automatic);
  CHECK(options.policy == zsync::scheduling::pinned);
  CHECK(options.stack_size == 256 * 1024);
  CHECK(options.name == "zsync");
  CHECK(std::error_code(zsync::error::closed) == zsync::error::closed);
  CHECK(std::error_code(zsync::error::unexpected_eof) != zsync::error::closed);
}

TEST_CASE("several runtimes live at once, and each returns and rethrows to a plain thread", "[surface]") {
  zsync::runtime one({.workers = 1});
  zsync::runtime two({.workers = 1, .backend = zsync::io_backend::epoll});
  CHECK(one.block_on([&] { return two.spawn([] { return 1; }).join() + 1; }) == 2);
  CHECK_THROWS_AS(two.block_on([] { throw std::logic_error("no"); }), std::logic_error);
  CHECK(one.block_on([] { return std::make_unique<int>(3); }) != nullptr);
  std::ostringstream dump;
  one.dump(dump);
  CHECK(one.shutdown(10s));
}

TEST_CASE("catching std::exception does not swallow a cancellation", "[surface]") {
  const bool swallowed = zsync::run([] {
    bool caught = false;
    zsync::fiber f([&] {
      try {
        zsync::this_fiber::park();
      } catch (const std::exception&) {
        caught = true;
      }
    });
    zsync::this_fiber::yield();
    f.cancel();
    CHECK_THROWS_AS(f.join(), zsync::cancelled);
    return caught;
  });
  CHECK(!swallowed);
}
