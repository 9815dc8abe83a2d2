#include <zsync/sched/local.hpp>

#include "support/in_fiber.hpp"

#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

// Leaves its name behind when it dies.
struct mourned {
  static std::vector<std::string>& dead() {
    static auto* const names =
        new std::vector<std::string>;  // never destroyed: used by those that are, at exit
    return *names;
  }
  std::string name;
  bool original = true;

  explicit mourned(std::string n) : name(std::move(n)) {}
  mourned(const mourned& other) : name(other.name), original(false) {}
  mourned& operator=(const mourned&) = delete;
  ~mourned() {
    if (!original) dead().push_back(name);
  }
};

zsync::fiber_local<int> number(7);
zsync::fiber_local<std::string> text;
zsync::fiber_local<mourned> first(mourned("first"));
zsync::fiber_local<mourned> second(mourned("second"));

}  // namespace

TEST_CASE("each fiber has its own value, made from the initial one", "[local]") {
  test::in_fiber(everything, [] {
    CHECK(*number == 7);
    *number = 1;
    std::vector<zsync::fiber<bool>> all;
    for (int i = 0; i < 50; ++i) {
      all.push_back(zsync::spawn([i] {
        bool good = *number == 7 && text->empty();
        *number = i;
        *text = std::to_string(i);
        for (int k = 0; k < 5; ++k) {
          this_fiber::sleep_for(10us);
          good = good && *number == i && *text == std::to_string(i);
        }
        return good;
      }));
    }
    for (auto& one : all) CHECK(one.join());
    CHECK(*number == 1);
  });
}

TEST_CASE("a function makes each fiber's value, which then need not be copied", "[local]") {
  static std::atomic<int> made;
  made = 0;
  static const zsync::fiber_local<std::unique_ptr<int>> own([] { return std::make_unique<int>(++made); });
  test::in_fiber(test::axes{.policies = true}, [] {
    std::vector<zsync::fiber<int>> all;
    for (int i = 0; i < 3; ++i)
      all.emplace_back([] {
        const int mine = **own;
        zsync::this_fiber::yield();
        return **own - mine;
      });
    int differences = 0;
    for (auto& each : all) differences += each.join();
    CHECK(differences == 0);
  });
  CHECK(made % 3 == 0);
  CHECK(made >= 3);
}

TEST_CASE("a plain thread has a value of its own, a fiber's does not touch it", "[local]") {
  *number = 3;
  test::in_fiber([] {
    CHECK(*number == 7);
    *number = 4;
  });
  test::matrix(
      [](const zsync::runtime_options& options) { zsync::run([] { CHECK(*number == 7); }, options); });
  std::thread other([] {
    if (*number != 7) std::abort();
  });
  other.join();
  CHECK(*number == 3);
  *number = 7;
}

TEST_CASE("values die with their fiber, the youngest first, before its join returns", "[local]") {
  test::in_fiber(everything, [] {
    mourned::dead().clear();
    zsync::spawn([] {
      CHECK(first->name == "first");
      CHECK(second->name == "second");
    }).join();
    CHECK(mourned::dead() == std::vector<std::string>{"second", "first"});
    mourned::dead().clear();
    CHECK_THROWS_AS(zsync::spawn([] {
                      (void)*first;
                      throw 1;
                    }).join(),
                    int);
    CHECK(mourned::dead() == std::vector<std::string>{"first"});
  });
}

namespace {

std::atomic<int> users_alive{0};

// Uses another fiber_local while it dies, and one that its fiber did not have before.
struct user {
  user() { ++users_alive; }
  user(const user&) { ++users_alive; }
  user& operator=(const user&) = delete;
  ~user();
};

zsync::fiber_local<std::string> older("untouched");
zsync::fiber_local<user> using_older;
std::string seen_by_destructor;
bool armed = false;

user::~user() {
  --users_alive;
  if (!armed) return;
  seen_by_destructor = *older;
  (void)*first;  // made anew, and has to die as well
}

}  // namespace

// The table was taken off the fiber before its values died: their destructors then found none of the others,
// made fresh ones, and nobody destroyed those.
TEST_CASE("a dying value may use those that are left, and make others, which die too", "[local]") {
  test::in_fiber(everything, [] {
    mourned::dead().clear();
    seen_by_destructor.clear();
    zsync::spawn([] {
      *older = "mine";
      (void)*using_older;
      armed = true;
    }).join();
    armed = false;
    CHECK(seen_by_destructor == "mine");
    CHECK(mourned::dead() == std::vector<std::string>{"first"});
  });
  CHECK(users_alive == 0);
}

TEST_CASE("a value's destructor may wait", "[local]") {
  struct waits_at_end {
    ~waits_at_end() {
      this_fiber::yield();
      this_fiber::sleep_for(1us);
    }
  };
  static zsync::fiber_local<waits_at_end> waiting;
  test::in_fiber(everything, [] {
    std::vector<zsync::fiber<void>> all;
    for (int i = 0; i < 20; ++i) all.push_back(zsync::spawn([] { (void)*waiting; }));
    for (auto& one : all) one.join();
  });
}
