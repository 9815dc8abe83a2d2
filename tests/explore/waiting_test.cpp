// What waits: for a lock, and in the kernel. What a runtime does below it is played: a fiber is a thread of
// the scenario, which sleeps at a gate.
#include "support/catch.hpp"

#include "explore/explorer.hpp"

#include <zsync/channel/lock_word.hpp>
#include <zsync/fiber/control.hpp>
#include <zsync/sched/idle_workers.hpp>
#include <zsync/sched/run_queue.hpp>
#include <zsync/sched/sleep_state.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <vector>

namespace {

using namespace zsync::explore;
using zsync::detail::fiber_control;
using zsync::detail::parker;

class nobody final : public fiber_control {
 public:
  using fiber_control::fiber_control;
  void run() override {}
  void abandon() noexcept override {}
};

// The threads of the scenario that runs, as the library's waits see them.
struct cast {
  struct member {
    nobody party{1};
    gate runnable;
  };
  std::array<member, threads_max> all;
};
cast* on_stage = nullptr;

std::shared_ptr<cast> enter_stage() {
  auto fresh = std::make_shared<cast>();
  on_stage = fresh.get();
  return fresh;
}

}  // namespace

namespace zsync::detail {

parker& waiting_party() noexcept { return on_stage->all[me()].party; }

bool wait::open() noexcept { return party_->arm(accepts_ & parker::cancellable) == arm_result::open; }

// A wait that has a deadline may find at any step that it has passed.
wake_cause wait::sleep(deadline until) noexcept {
  if (!until.is_never()) {
    for (std::size_t steps = draw(8); steps != 0; --steps) point();
    if (party_->claim()) return party_->cause = wake_cause::timed_out;
  }
  on_stage->all[me()].runnable.wait();
  return party_->cause;
}

void wait_end::throw_it(wake_cause) { std::abort(); }
void wait::expire(timer_node&) noexcept {}

void schedule(parker& claimed) noexcept {
  for (auto& one : on_stage->all) {
    if (&one.party == &claimed) return one.runnable.open();
  }
  fail("somebody is woken who is not there");
}

void misuse(const char* what) noexcept {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace zsync::detail

namespace {

struct guarded {
  std::shared_ptr<cast> players = enter_stage();
  zsync::detail::lock_word lock;
  plain<int> inside{0};
  unsigned had = 0;

  static zsync::detail::owner_id name() noexcept { return 2 * (me() + 1); }

  void once() {
    lock.lock(name());
    enter_and_leave();
  }
  void once_or_give_up() {
    if (lock.lock(name(), zsync::deadline::passed())) enter_and_leave();
  }
  void enter_and_leave() {
    expect(lock.is_held_by(name()), "whoever was let in does not hold it");
    inside = inside + 1;  // a race with whoever is in as well
    expect(inside == 1, "two are in");
    inside = inside - 1;
    ++had;
    lock.unlock(name());
  }
};

TEST_CASE("a mutex lets one in after the other, and forgets nobody who waits", "[explore]") {
  run(10'000, [] {
    const auto s = std::make_shared<guarded>();
    const auto twice = [=] {
      s->once();
      s->once();
    };
    return scenario{{twice, twice, twice, twice}, [=] {
                      expect(s->had == 8, "somebody was not let in");
                      expect(s->lock.holder() == 0, "it is left locked");
                    }};
  });
}

TEST_CASE("a mutex goes on to others whoever of those who wait gives up", "[explore]") {
  run(20'000, [] {
    const auto s = std::make_shared<guarded>();
    const auto impatient = [=] {
      s->once_or_give_up();
      s->once_or_give_up();
    };
    const auto patient = [=] {
      s->once();
      s->once();
    };
    return scenario{{impatient, patient, impatient, patient}, [=] {
                      expect(s->had >= 4, "a patient one was not let in");
                      expect(s->lock.holder() == 0, "it is left locked");
                      expect(s->lock.try_lock(2), "nobody can have it any more");
                      s->lock.unlock(2);
                    }};
  });
}

// A worker without anything but its sleep: what it was given, whether it sleeps, and the kernel that it
// sleeps in.
struct sleeper {
  void give(fiber_control& f) {
    in.push(f);
    if (sleep.rouse()) kernel.open();
  }
  void ask_for_sweep() {
    sweep.store(true, std::memory_order_seq_cst);
    if (sleep.rouse()) kernel.open();
  }
  void work(std::size_t wanted) {
    sleep.rise();
    while (taken.size() < wanted || swept == 0) {
      if (sweep.exchange(false, std::memory_order_acq_rel)) ++swept;
      for (fiber_control* f = in.take_all(); f != nullptr;) {
        fiber_control* const next = f->next;
        taken.insert(f);
        f = next;
      }
      if (taken.size() >= wanted && swept != 0) break;
      sleep.fall_asleep();
      if (in.empty() && !sweep.load(std::memory_order_seq_cst)) kernel.wait();
      sleep.rise();
    }
  }

  zsync::detail::inbox in;
  zsync::detail::sleep_state sleep;
  atomic<bool> sweep{false};
  gate kernel;
  std::set<fiber_control*> taken;
  int swept = 0;
};

TEST_CASE("a worker that falls asleep does not oversleep what it is given, nor a sweep", "[explore]") {
  run(20'000, [] {
    struct shared {
      sleeper worker;
      std::array<nobody, 4> fibers;
    };
    const auto s = std::make_shared<shared>();
    return scenario{{[=] { s->worker.work(4); },
                     [=] {
                       s->worker.give(s->fibers[0]);
                       s->worker.give(s->fibers[1]);
                     },
                     [=] {
                       s->worker.give(s->fibers[2]);
                       s->worker.give(s->fibers[3]);
                     },
                     [=] { s->worker.ask_for_sweep(); }},
                    [=] { expect(s->worker.taken.size() == 4, "something is lost"); }};
  });
}

// Workers that have nothing to do but to find what others give away, in their deques or to nobody in
// particular. One who has found something computes from then on.
class finders {
 public:
  explicit finders(std::size_t many) : idlers_(static_cast<unsigned>(many)), each_(many) {}

  // A timer of its own wakes it, and it is busy at once.
  void begin(std::size_t me) {
    each_[me].sleep.rise();
    idlers_.rise();
    busy(me);
  }

  void give(std::size_t me) {
    atomic<unsigned>& own = each_[me].surplus;
    own.fetch_add(1, std::memory_order_release);
    idlers_.offer(own.load(std::memory_order_relaxed) == 1, [=, this] { return wake_one(me); });
  }

  // As a plain thread does, by scheduler::inject().
  void inject() {
    injected_.fetch_add(1, std::memory_order_seq_cst);
    for (one& w : each_) {
      if (!w.sleep.rouse()) continue;
      w.kernel.open();
      break;
    }
  }

  void find(std::size_t me) {
    for (int looks = 0; !take_some(me); ++looks) {
      if (looks == 50) return fail("it looks again and again");
      one& self = each_[me];
      self.sleep.fall_asleep();
      idlers_.sleep([this] { return has_some(); },
                    [&] {
                      long_while();
                      return !self.sleep.asleep();
                    },
                    [&](bool work) {
                      if (!work) self.kernel.wait();
                    });
      self.sleep.rise();
    }
    busy(me);
  }

 private:
  struct one {
    zsync::detail::sleep_state sleep;
    atomic<unsigned> surplus{0};
    gate kernel;
  };

  static bool take(atomic<unsigned>& from) {
    unsigned has = from.load(std::memory_order_relaxed);
    while (has != 0) {
      if (from.compare_exchange_weak(has, has - 1, std::memory_order_acquire, std::memory_order_relaxed))
        return true;
    }
    return false;
  }
  bool take_some(std::size_t me) {
    if (take(injected_)) return true;
    for (std::size_t i = 0; i < each_.size(); ++i) {
      if (i != me && take(each_[i].surplus)) return true;
    }
    return false;
  }
  bool has_some() const {
    return injected_.load(std::memory_order_seq_cst) != 0 ||
           std::any_of(each_.begin(), each_.end(),
                       [](const one& w) { return w.surplus.load(std::memory_order_relaxed) != 0; });
  }

  void busy(std::size_t me) {
    idlers_.found([this] { return has_some(); }, [=, this] { return wake_one(me); });
  }

  bool wake_one(std::size_t but) {
    for (std::size_t i = 0; i < each_.size(); ++i) {
      one& w = each_[i];
      if (i == but || !w.sleep.asleep() || !w.sleep.rouse()) continue;
      w.kernel.open();
      return true;
    }
    return false;
  }

  zsync::detail::idle_workers idlers_;
  atomic<unsigned> injected_{0};
  std::vector<one> each_;
};

// One thread for each worker: it begins, and then does what `then` says.
template <class... Then>
scenario workers(const std::shared_ptr<finders>& all, Then... then) {
  scenario made;
  std::size_t next = 0;
  const auto add = [&](auto what) {
    made.threads.emplace_back([all, what, me = next++] {
      all->begin(me);
      what(me);
    });
  };
  (add(then), ...);
  return made;
}

TEST_CASE("what a worker has to give away before it computes is found by one that is idle", "[explore]") {
  run(20'000, [] {
    const auto s = std::make_shared<finders>(3);
    const auto find = [=](std::size_t me) { s->find(me); };
    return workers(
        s,
        [=](std::size_t me) {
          s->give(me);
          s->give(me);
        },
        find, find);
  });
}

TEST_CASE("what several workers have to give away is found, whoever is relied on for it", "[explore]") {
  run(20'000, [] {
    const auto s = std::make_shared<finders>(5);
    const auto give = [=](std::size_t me) { s->give(me); };
    const auto find = [=](std::size_t me) { s->find(me); };
    return workers(s, give, give, find, find, give);
  });
}

TEST_CASE("what comes from outside is found, though who is woken for it has something else to do",
          "[explore]") {
  run(20'000, [] {
    const auto s = std::make_shared<finders>(3);
    const auto compute = [](std::size_t) {};
    const auto find = [=](std::size_t me) { s->find(me); };
    scenario made = workers(s, compute, find, compute);
    made.threads.emplace_back([=] { s->inject(); });
    return made;
  });
}

}  // namespace
