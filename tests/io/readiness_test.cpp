// An engine of readiness over a selector that says what the test wants, step by step.
#include <zsync/io/readiness.hpp>

#include "support/catch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

using zsync::deadline;
using zsync::detail::descriptor;
using zsync::detail::descriptor_kind;
using zsync::detail::direction;
using zsync::detail::expectation;
using zsync::detail::op;
using zsync::detail::op_kind;
using zsync::detail::readiness;
using zsync::detail::selector;

namespace {

struct script {
  std::vector<selector::event> events;
  std::uint32_t generation = 0;  // of what was armed last
};

class scripted_selector final : public selector {
 public:
  explicit scripted_selector(script& s) : script_(s) {}
  int arm(int, std::uint32_t generation, unsigned, unsigned) noexcept override {
    script_.generation = generation;
    return 0;
  }
  void disarm(int, unsigned) noexcept override {}
  std::span<const event> wait(deadline) noexcept override {
    told_ = std::exchange(script_.events, {});
    return told_;
  }
  void wake() noexcept override {}
  int native_handle() const noexcept override { return -1; }

 private:
  script& script_;
  std::vector<event> told_;
};

struct engine_by_script {
  void look() { engine.wait(deadline::passed()); }

  script told;
  readiness engine{std::make_unique<scripted_selector>(told)};
};

int some_number() {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  ::close(ends[1]);
  return ends[0];
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0 || errno != EBADF; }

// At home in `here` and armed for reading, which is expected to find nothing.
descriptor& make_resident(engine_by_script& here, int fd) {
  auto* const d = new descriptor(fd, descriptor_kind::other);
  REQUIRE(d->settle(here.engine));
  op o(op_kind::read, direction::in);
  REQUIRE(here.engine.arm(*d, o) == 0);
  d->expect(direction::in, expectation::empty);
  return *d;
}

}  // namespace

// The kernel may hand over, in one batch, the closing of a descriptor and an event that it had noted before.
TEST_CASE("an event of a number's former owner does not reach the present one", "[readiness]") {
  engine_by_script here;
  descriptor& former = make_resident(here, some_number());
  const int fd = former.fd();
  const std::uint32_t old_generation = here.told.generation;
  former.close();
  here.look();
  former.release();
  here.look();
  REQUIRE_FALSE(is_open(fd));
  REQUIRE(some_number() == fd);
  descriptor& present = make_resident(here, fd);
  REQUIRE(here.told.generation != old_generation);
  here.told.events = {{fd, old_generation, true, true, true}, {fd + 1, old_generation, true, true, true}};
  here.look();
  CHECK(present.expects(direction::in) == expectation::empty);
  here.told.events = {{fd, here.told.generation, true, false, false}};
  here.look();
  CHECK(present.expects(direction::in) == expectation::ready);
  present.release();
  here.look();
}

// Its home may be in the midst of using the number, without a lock or a count.
TEST_CASE("a number is returned only when the home has let go of it", "[readiness]") {
  engine_by_script here;
  descriptor& d = make_resident(here, some_number());
  const int fd = d.fd();
  d.close();  // by a plain thread, so its home has to hear of it first
  CHECK(d.closed());
  CHECK(is_open(fd));
  CHECK(here.engine.resident(fd) == &d);
  here.look();
  CHECK_FALSE(is_open(fd));
  CHECK(here.engine.resident(fd) == nullptr);
  d.release();
}

TEST_CASE("a number is returned only when the last visitor has left", "[readiness]") {
  engine_by_script here;
  descriptor& d = make_resident(here, some_number());
  const int fd = d.fd();
  REQUIRE(d.enter());
  d.close();
  here.look();
  CHECK(is_open(fd));
  CHECK_FALSE(d.enter());
  d.leave();
  CHECK_FALSE(is_open(fd));
  d.release();
}

// An event that the kernel has handed over already may still name it.
TEST_CASE("a descriptor's object ends on the thread of its home, whoever lets go of it last", "[readiness]") {
  engine_by_script here;
  descriptor& d = make_resident(here, some_number());
  const int fd = d.fd();
  std::thread([&] { d.release(); }).join();
  CHECK_FALSE(is_open(fd));                     // nobody can use it any more
  REQUIRE(here.engine.resident(fd) == &d);      // and yet it is there
  CHECK(d.generation == here.told.generation);  // to be compared with
  here.told.events = {{fd, here.told.generation, true, true, true}};
  here.look();
  CHECK(here.engine.resident(fd) == nullptr);
}
