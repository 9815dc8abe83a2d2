#include "support/catch.hpp"
#include "support/in_fiber.hpp"

#include <zsync/sched/fiber.hpp>
#include <zsync/sched/local.hpp>

#include <atomic>
#include <string>

using zsync::fiber;
using zsync::fiber_local;
using zsync::test::in_fiber;

namespace {

struct counted {
  counted() { ++alive; }
  counted(const counted&) { ++alive; }
  ~counted() { --alive; }
  counted& operator=(const counted&) = delete;
  static inline std::atomic<int> alive{0};
};

fiber_local<counted> late;

// Uses another variable of the fiber's as it dies.
struct talkative {
  bool copied = false;
  talkative() = default;
  talkative(const talkative&) : copied(true) {}
  ~talkative() {
    if (copied) static_cast<void>(*late);
  }
  talkative& operator=(const talkative&) = delete;
};

fiber_local<talkative> dying;

}  // namespace

TEST_CASE("each fiber has its own value of a fiber_local, made from the initial one", "[local]") {
  in_fiber([] {
    fiber_local<std::string> text("initial");
    *text = "changed";
    CHECK(fiber([&] { return *text; }).join() == "initial");
    CHECK(*text == "changed");
  });
}

// What a destructor made once stood in a table of its own that nobody destroyed.
TEST_CASE("a value that the destructor of another one makes is destroyed as well", "[local]") {
  in_fiber([] {
    const int before = counted::alive;
    fiber([] { static_cast<void>(*dying); }).join();
    CHECK(counted::alive == before);
  });
}
