#include <zsync/sched/fiber.hpp>

#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

struct move_only {
  explicit move_only(int v) : value(std::make_unique<int>(v)) {}
  std::unique_ptr<int> value;
};

// Counts how many of it are alive.
struct counted {
  explicit counted(std::atomic<int>& n) : count(&n) { ++*count; }
  counted(const counted& other) : count(other.count) { ++*count; }
  counted(counted&& other) noexcept : count(other.count) { ++*count; }
  counted& operator=(const counted&) = delete;
  ~counted() { --*count; }
  std::atomic<int>* count;
};

}  // namespace

TEST_CASE("a fiber's result arrives at its join", "[fiber]") {
  test::in_fiber(everything, [] {
    CHECK(zsync::fiber([] { return 7; }).join() == 7);
    CHECK(zsync::spawn([](int a, int b) { return a + b; }, 2, 3).join() == 5);
    CHECK(zsync::spawn([] { return std::string(1000, 'x'); }).join().size() == 1000);
    bool ran = false;
    zsync::spawn([&ran] { ran = true; }).join();
    CHECK(ran);
  });
}

TEST_CASE("a fiber of no result drops what its function returns", "[fiber]") {
  test::in_fiber(everything, [] {
    struct counter {
      int add(int n) { return count += n; }
      std::atomic<int> count = 0;
    } counted;
    std::vector<zsync::fiber<>> all;
    all.emplace_back(&counter::add, &counted, 3);
    all.emplace_back(
        [last = std::make_unique<int>(4)](counter* c) { return std::make_unique<int>(c->add(*last)); },
        &counted);
    for (auto& each : all) {
      each.join();
    }
    CHECK(counted.count == 7);
    zsync::fiber<> throws([]() -> int { throw std::runtime_error("told"); });
    CHECK_THROWS_AS(throws.join(), std::runtime_error);
  });
}

TEST_CASE("an id can be written", "[fiber]") {
  std::ostringstream out;
  out << zsync::fiber_id{17} << ' ' << zsync::fiber_id{};
  CHECK(out.str() == "17 0");
}

TEST_CASE("results may be references, move-only, or const", "[fiber]") {
  test::in_fiber(everything, [] {
    int object = 1;
    auto by_reference = zsync::spawn([&object]() -> int& { return object; });
    int& result = by_reference.join();
    CHECK(&result == &object);
    CHECK(*zsync::spawn([] { return move_only(3); }).join().value == 3);
    CHECK(zsync::spawn([]() -> const std::string { return "constant"; }).join() == "constant");
    auto text = std::make_unique<std::string>("moved");
    auto by_rvalue = zsync::spawn([&text]() -> std::unique_ptr<std::string>&& { return std::move(text); });
    const std::unique_ptr<std::string> taken = by_rvalue.join();
    CHECK(*taken == "moved");
    CHECK(text == nullptr);
  });
}

TEST_CASE("closures and arguments may be move-only, and are decayed as for a thread", "[fiber]") {
  test::in_fiber(everything, [] {
    auto owner = std::make_unique<int>(5);
    CHECK(zsync::spawn([owner = std::move(owner)] { return *owner; }).join() == 5);
    CHECK(zsync::spawn([](move_only m) { return *m.value; }, move_only(6)).join() == 6);
    int n = 0;
    zsync::spawn([](int& by_reference) { by_reference = 7; }, std::ref(n)).join();
    CHECK(n == 7);
    const char text[] = "decays";
    CHECK(zsync::spawn([](const std::string& s) { return s; }, text).join() == "decays");
    struct adder {
      int base;
      int add(int more) const { return base + more; }
    };
    CHECK(zsync::spawn(&adder::add, adder{10}, 1).join() == 11);
  });
}

TEST_CASE("a closure dies when the fiber ends, whether or not anybody joins", "[fiber]") {
  test::in_fiber(everything, [] {
    std::atomic<int> alive{0};
    auto one = zsync::spawn([keep = counted(alive)] { CHECK(*keep.count >= 1); });
    while (!one.join_for(1s)) {
    }
    CHECK(alive == 0);
    auto two = zsync::spawn([](const counted&) { throw std::runtime_error("out"); }, counted(alive));
    CHECK_THROWS_AS(two.join(), std::runtime_error);
    CHECK(alive == 0);
  });
}

TEST_CASE("what leaves a joinable fiber is rethrown by its join", "[fiber]") {
  test::in_fiber(everything, [] {
    auto fails = zsync::spawn([]() -> int { throw std::runtime_error("from the fiber"); });
    CHECK_THROWS_WITH(fails.join(), "from the fiber");
    CHECK_FALSE(fails.joinable());
    auto odd = zsync::spawn([] { throw 42; });
    CHECK_THROWS_AS(odd.join(), int);
  });
}

TEST_CASE("join_for says whether the fiber has ended, and leaves it joinable if not", "[fiber]") {
  test::in_fiber(everything, [] {
    auto sleeper = zsync::spawn([] {
      this_fiber::park();
      return 1;
    });
    CHECK_FALSE(sleeper.join_for(1ms).has_value());
    CHECK_FALSE(sleeper.join_for(0ms).has_value());
    CHECK(sleeper.joinable());
    sleeper.cancel();
    CHECK_THROWS_AS(sleeper.join_for(10s), zsync::cancelled);
    CHECK_FALSE(sleeper.joinable());
    zsync::waker wake;
    std::atomic<bool> has_waker{false};
    auto quiet = zsync::spawn([&] {
      wake = this_fiber::get_waker();
      has_waker = true;
      this_fiber::park();
    });
    CHECK_FALSE(quiet.join_until(zsync::clock::now() + 1ms));
    while (!has_waker) this_fiber::sleep_for(1ms);
    wake.wake();
    CHECK(quiet.join_for(10s));
  });
}

// Once these did not compile.
TEST_CASE("join_for gives a reference as a pointer, null while the fiber has not ended", "[fiber]") {
  test::in_fiber(everything, [] {
    const std::string object = "object";
    const auto refers = [&object]() -> const std::string& {
      this_fiber::park();
      return object;
    };
    auto never_woken = zsync::spawn(refers);
    CHECK(never_woken.join_for(1ms) == nullptr);
    CHECK(never_woken.join_until(zsync::clock::now()) == nullptr);
    CHECK(never_woken.joinable());
    never_woken.cancel();
    CHECK_THROWS_AS(never_woken.join_for(10s), zsync::cancelled);
    auto by_reference = zsync::spawn([&object]() -> const std::string& { return object; });
    CHECK(by_reference.join_for(30s) == &object);
    CHECK_FALSE(by_reference.joinable());
    auto text = std::make_unique<int>(3);
    auto by_rvalue = zsync::spawn([&text]() -> std::unique_ptr<int>&& { return std::move(text); });
    CHECK(by_rvalue.join_until(zsync::clock::now() + 30s) == &text);
  });
}

TEST_CASE("whoever waits for the end of a fiber goes on, however many they are", "[fiber]") {
  test::matrix([](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<bool> end{false};
    auto watched = own.spawn([&] {
      while (!end) this_fiber::sleep_for(100us);
    });
    std::atomic<int> asked{0};
    const auto ends = [&, task = watched.task()] {
      ++asked;
      bool scoped = false;
      return task->wait_done(zsync::detail::wait::uncancellable, zsync::deadline::after(5s), scoped) ==
             zsync::detail::wake_cause::notified;
    };
    std::vector<zsync::fiber<bool>> fibers;
    for (int i = 0; i < 5; ++i) fibers.push_back(own.spawn(ends));
    std::atomic<int> threads_told{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { threads_told += ends(); });
    while (asked < 7) std::this_thread::sleep_for(100us);
    std::this_thread::sleep_for(1ms);  // so that they wait
    end = true;
    for (auto& one : fibers) CHECK(one.join());
    for (auto& one : threads) one.join();
    CHECK(threads_told == 2);
    watched.join();
  });
}

TEST_CASE("a handle is empty after a join, a detach and a move", "[fiber]") {
  test::in_fiber(everything, [] {
    zsync::fiber<int> none;
    CHECK_FALSE(none.joinable());
    CHECK_THROWS_AS(none.join(), std::system_error);
    CHECK_THROWS_AS(none.detach(), std::system_error);
    none.cancel();
    CHECK(none.get_id() == zsync::fiber_id{});
    auto first = zsync::spawn([] { return 1; });
    const auto id = first.get_id();
    CHECK(id != zsync::fiber_id{});
    auto second = std::move(first);
    CHECK_FALSE(first.joinable());  // NOLINT: that is what is tested
    CHECK(second.get_id() == id);
    CHECK(second.join() == 1);
    CHECK_THROWS_AS(second.join(), std::system_error);
    std::atomic<bool> ran{false};
    auto loose = zsync::spawn([&] { ran = true; });
    loose.detach();
    CHECK_FALSE(loose.joinable());
    while (!ran) this_fiber::sleep_for(1ms);
  });
}

TEST_CASE("destroying a joinable handle cancels the fiber and waits for its end", "[fiber]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> unwound{false};
    {
      const auto sleeper = zsync::spawn([&] {
        struct at_end {
          std::atomic<bool>& flag;
          ~at_end() {
            this_fiber::yield();
            flag = true;
          }
        } mark{unwound};
        this_fiber::park();
      });
      this_fiber::yield();
    }
    CHECK(unwound);
  });
}

TEST_CASE("assigning to a joinable handle ends its old fiber first", "[fiber]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> ended{false};
    auto handle = zsync::spawn([&] {
      try {
        this_fiber::park();
      } catch (const zsync::cancelled&) {
        ended = true;
        throw;
      }
    });
    handle = zsync::spawn([] {});
    CHECK(ended);
    handle.join();
  });
}

TEST_CASE("many fibers join one another in a tree", "[fiber]") {
  test::in_fiber(everything, [] {
    struct tree {
      static std::uint64_t sum(std::uint64_t from, std::uint64_t count) {
        if (count == 1) return from;
        std::vector<zsync::fiber<std::uint64_t>> children;
        for (std::uint64_t i = 0; i < 10; ++i)
          children.push_back(zsync::spawn(&tree::sum, from + i * count / 10, count / 10));
        std::uint64_t total = 0;
        for (auto& child : children) total += child.join();
        return total;
      }
    };
    CHECK(tree::sum(0, 10'000) == 49'995'000);
  });
}

TEST_CASE("fibers spawned by a plain thread run, and it can join and cancel them", "[fiber]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::vector<zsync::fiber<int>> all;
    for (int i = 0; i < 200; ++i) {
      all.push_back(own.spawn([i] {
        this_fiber::yield();
        return i;
      }));
    }
    int sum = 0;
    for (auto& one : all) sum += one.join();
    CHECK(sum == 199 * 200 / 2);
    auto parked = own.spawn([] { this_fiber::park(); });
    CHECK_FALSE(parked.join_for(1ms));
    parked.cancel();
    CHECK_THROWS_AS(parked.join(), zsync::cancelled);
    CHECK_THROWS_WITH(own.block_on([] { throw std::runtime_error("through"); }), "through");
    std::atomic<int> posted{0};
    for (int i = 0; i < 100; ++i) own.post([&] { ++posted; });
    while (posted < 100) std::this_thread::yield();
  });
}

TEST_CASE("spawning outside any runtime is an error", "[fiber]") {
  try {
    zsync::spawn([] {}).detach();
    FAIL("it did not throw");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::operation_not_permitted);
  }
}

TEST_CASE("identities are unique and the same from inside and outside", "[fiber]") {
  test::in_fiber(everything, [] {
    std::unordered_set<zsync::fiber_id> seen;
    for (int i = 0; i < 3000; ++i) {
      auto one = zsync::spawn([] { return this_fiber::get_id(); });
      const auto outside = one.get_id();
      const auto inside = one.join();
      if (inside != outside) FAIL("two identities for one fiber");
      seen.insert(inside);
    }
    CHECK(seen.size() == 3000);
    CHECK(seen.count(zsync::fiber_id{}) == 0);
  });
  CHECK(this_fiber::get_id() == zsync::fiber_id{});
}

TEST_CASE("a fiber has the name that it was given", "[fiber]") {
  test::in_fiber(everything, [] {
    CHECK(zsync::spawn({.name = "worker bee"}, [] { return std::string(this_fiber::name()); }).join() ==
          "worker bee");
    zsync::spawn([] {
      CHECK(this_fiber::name().empty());
      this_fiber::set_name("self-made");
      CHECK(this_fiber::name() == "self-made");
      this_fiber::set_name("");
      CHECK(this_fiber::name().empty());
    }).join();
  });
  this_fiber::set_name("nobody");
  CHECK(this_fiber::name().empty());
}

TEST_CASE("inside() is true in fibers only", "[fiber]") {
  CHECK_FALSE(this_fiber::inside());
  test::in_fiber(everything, [] { CHECK(this_fiber::inside()); });
  test::matrix([](const zsync::runtime_options& options) {
    CHECK(zsync::run([] { return this_fiber::inside(); }, options));
    CHECK_FALSE(this_fiber::inside());
  });
}

TEST_CASE("a worker of any number can be asked for, and one that is not there is an error", "[fiber]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    own.block_on([&] {
      for (int w = 0; w < static_cast<int>(options.workers); ++w) {
        const auto first = zsync::spawn({.worker = w}, [] { return std::this_thread::get_id(); }).join();
        const auto second = zsync::spawn({.worker = w}, [] { return std::this_thread::get_id(); }).join();
        CHECK(first == second);
      }
      const auto beyond = static_cast<int>(options.workers);
      CHECK_THROWS_AS(zsync::spawn({.worker = beyond}, [] {}), std::system_error);
      CHECK_THROWS_AS(zsync::spawn({.worker = -7}, [] {}), std::system_error);
    });
  });
}

// Placed fibers stay even under work stealing: "runs on that worker, and only there".
TEST_CASE("a placed fiber never leaves its worker, though others are idle", "[fiber]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<int> strayed{0};
    std::vector<zsync::fiber<void>> all;
    for (int i = 0; i < 8; ++i) {
      all.push_back(own.spawn({.worker = 0}, [&] {
        const auto home = ::gettid();  // of the kernel: the compiler takes pthread_self() for constant
        for (int k = 0; k < 300; ++k) {
          const auto until = zsync::clock::now() + 20us;  // long enough for a thief to come
          while (zsync::clock::now() < until) {
          }
          if (k % 50 == 0) {
            this_fiber::sleep_for(100us);
          } else {
            this_fiber::yield();
          }
          if (::gettid() != home) ++strayed;
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK(strayed == 0);
  });
}

TEST_CASE("fibers stay on their worker once they have started, unless they may be stolen", "[fiber]") {
  test::matrix({.pinned_only = true}, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<int> strayed{0};
    std::vector<zsync::fiber<void>> all;
    for (int i = 0; i < 40; ++i) {
      all.push_back(own.spawn([&] {
        const auto home = ::gettid();  // of the kernel: the compiler takes pthread_self() for constant
        for (int k = 0; k < 200; ++k) {
          if (k % 50 == 0) {
            this_fiber::sleep_for(100us);
          } else {
            this_fiber::yield();
          }
          if (::gettid() != home) ++strayed;
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK(strayed == 0);
  });
}

TEST_CASE("stacks have the size asked for", "[fiber]") {
  struct deep {
    // About a kilobyte a level, touched.
    static int down(int levels) {
      std::array<volatile char, 1024> frame;
      frame[0] = static_cast<char>(levels);
      frame[1023] = 1;
      return levels == 0 ? frame[1023] : down(levels - 1) + frame[1023];
    }
  };
  test::in_fiber(everything, [] {
    CHECK(zsync::spawn({.stack_size = 8 * 1024 * 1024}, &deep::down, 6000).join() == 6001);
    CHECK(zsync::spawn({.stack_size = 1}, [] { return 1; }).join() == 1);
    CHECK(zsync::spawn({.stack_size = 64 * 1024}, &deep::down, 40).join() == 41);
    CHECK(zsync::spawn(&deep::down, 200).join() == 201);
  });
}

TEST_CASE("a stack that is larger than any is refused, not made smaller", "[fiber]") {
  const auto refused = [](const auto& f) {
    try {
      f();
    } catch (const std::system_error& e) {
      return e.code() == std::errc::invalid_argument;
    }
    return false;
  };
  const auto too_large = (std::size_t{1} << 30) + 1;
  CHECK(refused([&] { zsync::runtime({.workers = 1, .stack_size = too_large}); }));
  zsync::run([&] { CHECK(refused([&] { zsync::spawn({.stack_size = too_large}, [] {}).join(); })); });
}

TEST_CASE("errno belongs to the fiber", "[fiber]") {
  test::in_fiber({.pinned_only = true}, [] {
    const auto keeps = [](int value) {
      errno = value;
      for (int i = 0; i < 10; ++i) {
        this_fiber::yield();
        if (errno != value) return false;
      }
      return true;
    };
    auto one = zsync::spawn(keeps, 11);
    auto two = zsync::spawn(keeps, 22);
    auto three = zsync::spawn([] { return errno == 0; });
    CHECK(one.join());
    CHECK(two.join());
    CHECK(three.join());
  });
}

TEST_CASE("a fiber begins with errno zero, whatever the one before it on its stack has left",
          "[fiber][turns]") {
  test::in_fiber({.workers = false, .pinned_only = true}, [] {
    int others = 0;
    zsync::task_group one_after_another;
    for (int i = 0; i < 5; ++i) {
      one_after_another.spawn([&] {
        others += errno != 0;
        errno = 77;
      });
    }
    one_after_another.wait();
    CHECK(others == 0);
  });
}

TEST_CASE("detaching a fiber that has ended destroys its result at once", "[fiber]") {
  test::in_fiber(everything, [] {
    std::weak_ptr<int> seen;
    auto ended = zsync::spawn([&] {
      auto result = std::make_shared<int>(1);
      seen = result;
      return result;
    });
    while (!ended.task()->done()) this_fiber::sleep_for(100us);
    CHECK_FALSE(seen.expired());
    ended.detach();
    CHECK(seen.expired());
  });
}
