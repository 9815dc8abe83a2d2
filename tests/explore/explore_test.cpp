// The lock-free pieces, compiled with atomics of the explorer's.
#include "support/catch.hpp"

#include "explore/explorer.hpp"

#include <zsync/fiber/control.hpp>
#include <zsync/sched/run_queue.hpp>
#include <zsync/sched/spinlock.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace zsync::explore;
using zsync::detail::arm_result;
using zsync::detail::fiber_control;
using zsync::detail::parker;
using zsync::detail::wake_cause;

class nobody final : public fiber_control {
 public:
  using fiber_control::fiber_control;
  void run() override {}
  void abandon() noexcept override {}

  zsync::detail::plain<int> payload{0};
};

// Why it fails; "" if it does not.
template <class F>
std::string complaint(const F& exploration) {
  try {
    exploration();
    return "";
  } catch (const std::runtime_error& e) {
    return e.what();
  }
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// ---- the explorer itself must find what it is for ----

TEST_CASE("the explorer finds a message that is published without a release", "[explore]") {
  const auto publish = [](std::memory_order order) {
    run(500, [order] {
      struct both {
        plain<int> message{0};
        atomic<bool> ready{false};
      };
      auto s = std::make_shared<both>();
      return scenario{{[=] {
                         s->message = 1;
                         s->ready.store(true, order);
                       },
                       [=] {
                         if (s->ready.load(std::memory_order_acquire))
                           expect(s->message == 1, "an old message");
                       }}};
    });
  };
  publish(std::memory_order_release);
  CHECK(contains(complaint([&] { publish(std::memory_order_relaxed); }), "a race"));
}

TEST_CASE("the explorer finds that two threads pass by each other unless they are sequentially consistent",
          "[explore]") {
  const auto pass = [](std::memory_order store, std::memory_order load) {
    run(500, [=] {
      struct flags {
        atomic<bool> a{false}, b{false};
        bool first = false, second = false;
      };
      auto s = std::make_shared<flags>();
      return scenario{{[=] {
                         s->a.store(true, store);
                         s->first = s->b.load(load);
                       },
                       [=] {
                         s->b.store(true, store);
                         s->second = s->a.load(load);
                       }},
                      [=] { expect(s->first || s->second, "neither saw the other"); }};
    });
  };
  pass(std::memory_order_seq_cst, std::memory_order_seq_cst);
  CHECK(contains(complaint([&] { pass(std::memory_order_release, std::memory_order_acquire); }),
                 "neither saw"));
}

TEST_CASE("the explorer finds a thread that nobody wakes", "[explore]") {
  const auto forgotten = [] {
    run(10, [] {
      auto never = std::make_shared<gate>();
      return scenario{{[=] { never->wait(); }}};
    });
  };
  CHECK(contains(complaint(forgotten), "waits for ever"));
}

// ---- waits ----

struct waiting {
  explicit waiting() : owner(new nobody(1)) {}
  ~waiting() { owner->release(); }

  // As wait::open() and suspend() do: whoever wins makes the owner runnable, once.
  wake_cause wait(std::uint32_t accepts) {
    switch (owner->arm(accepts)) {
      case arm_result::notified:
        return wake_cause::notified;
      case arm_result::cancelled:
        return wake_cause::cancelled;
      case arm_result::open:
        break;
    }
    runnable.wait();
    ++waits;
    return owner->cause;
  }
  void win(wake_cause why) {
    owner->cause = why;
    expect(++wins <= waits + 1, "a wait has ended twice");
    runnable.open();
  }

  fiber_control* owner;
  gate runnable;
  unsigned wins = 0;
  unsigned waits = 0;
};

TEST_CASE("a wait ends once, with one cause, whatever races", "[explore]") {
  run(20'000, [] {
    auto w = std::make_shared<waiting>();
    auto cause = std::make_shared<wake_cause>();
    auto won = std::make_shared<std::set<wake_cause>>();
    const auto winning = [=](bool wins, wake_cause why) {
      if (!wins) return;
      won->insert(why);
      w->win(why);
    };
    return scenario{{[=] { *cause = w->wait(parker::cancellable | parker::wakeable); },
                     [=] { winning(w->owner->deposit_token(), wake_cause::notified); },
                     [=] { winning(w->owner->request_cancel(), wake_cause::cancelled); },
                     [=] {
                       if (w->owner->is_waiting()) winning(w->owner->claim(), wake_cause::timed_out);
                     }},
                    [=] {
                      expect(won->size() <= 1, "two have won one wait");
                      expect(won->empty() || won->count(*cause) == 1, "it ended with another's cause");
                      expect(w->owner->cancel_requested(), "a cancellation is forgotten");
                    }};
  });
}

TEST_CASE("a wake that came first is not lost, nor is one that comes while the owner wakes", "[explore]") {
  run(20'000, [] {
    struct box {
      waiting w;
      atomic<int> announced{0};
    };
    auto b = std::make_shared<box>();
    const auto announce = [=] {
      b->announced.fetch_add(1, std::memory_order_relaxed);
      if (b->w.owner->deposit_token()) b->w.win(wake_cause::notified);
    };
    return scenario{{[=] {
                       while (b->announced.load(std::memory_order_relaxed) < 3) b->w.wait(parker::wakeable);
                     },
                     announce, announce, announce}};
  });
}

TEST_CASE("a wake that ended a wait does not end the next one as well", "[explore]") {
  run(5'000, [] {
    auto w = std::make_shared<waiting>();
    return scenario{
        {[=] { w->wait(parker::wakeable); },
         [=] {
           if (w->owner->deposit_token()) w->win(wake_cause::notified);
         }},
        [=] { expect(w->owner->arm(parker::wakeable) == arm_result::open, "it is still there"); }};
  });
}

// A message goes along with what ends a wait, whether the wait has begun by then or not.
TEST_CASE("what was done before a cancellation or a wake is seen by whom it ends the wait", "[explore]") {
  const auto carry = [](std::uint32_t accepts, wake_cause why) {
    run(5'000, [=] {
      struct letter {
        waiting w;
        plain<int> text{0};
      };
      const auto l = std::make_shared<letter>();
      return scenario{{[=] {
                         expect(l->w.wait(accepts) == why, "it ended by something else");
                         expect(l->text == 1, "an old text");
                       },
                       [=] {
                         l->text = 1;
                         parker& to = *l->w.owner;
                         if (why == wake_cause::cancelled ? to.request_cancel() : to.deposit_token())
                           l->w.win(why);
                       }}};
    });
  };
  carry(parker::cancellable, wake_cause::cancelled);
  carry(parker::wakeable, wake_cause::notified);
  carry(parker::cancellable | parker::wakeable, wake_cause::cancelled);
  carry(parker::cancellable | parker::wakeable, wake_cause::notified);
}

TEST_CASE("who claims a wait sees what its owner did before, and the owner what the claimer did",
          "[explore]") {
  run(10'000, [] {
    struct letters {
      waiting w;
      plain<int> there{0};
      plain<int> back{0};
    };
    const auto l = std::make_shared<letters>();
    const auto answer = [=](bool wins, wake_cause why) {
      if (!wins) return;
      expect(l->there == 1, "an old text");
      l->back = 1;
      l->w.win(why);
    };
    return scenario{{[=] {
                       l->there = 1;
                       l->w.wait(parker::cancellable);
                     },
                     [=] { answer(l->w.owner->claim(), wake_cause::timed_out); },
                     [=] { answer(l->w.owner->claim(), wake_cause::notified); },
                     [=] { answer(l->w.owner->request_cancel(), wake_cause::cancelled); }}};
  });
}

// ---- queues ----

TEST_CASE("what others give to a worker arrives whole, once, and in the order of each giver", "[explore]") {
  run(10'000, [] {
    struct shared {
      zsync::detail::inbox in;
      std::vector<std::unique_ptr<nobody>> fibers;
      std::vector<int> got;
    };
    auto s = std::make_shared<shared>();
    for (int i = 0; i < 6; ++i) s->fibers.push_back(std::make_unique<nobody>(1));
    const auto give = [=](int first) {
      for (int i = first; i < first + 2; ++i) {
        nobody& f = *s->fibers[static_cast<std::size_t>(i)];
        f.payload = i;
        s->in.push(f);
      }
    };
    const auto take = [=] {
      for (fiber_control* f = s->in.take_all(); f != nullptr;) {
        fiber_control* const next = f->next;
        s->got.push_back(static_cast<nobody*>(f)->payload);
        f = next;
      }
    };
    return scenario{{[=] { give(0); }, [=] { give(2); }, [=] { give(4); },
                     [=] {
                       for (int i = 0; i < 4; ++i) take();
                     }},
                    [=] {
                      take();
                      expect(s->got.size() == 6 && std::set<int>(s->got.begin(), s->got.end()).size() == 6,
                             "something is lost or doubled");
                      for (int i = 0; i < 6; i += 2) {
                        const auto at = [&](int n) { return std::find(s->got.begin(), s->got.end(), n); };
                        expect(at(i) < at(i + 1), "one giver's order is lost");
                      }
                    }};
  });
}

struct contended_deque {
  contended_deque(int many, std::int64_t capacity) : deque(capacity), taken(static_cast<std::size_t>(many)) {
    for (int i = 0; i < many; ++i) fibers.push_back(std::make_unique<nobody>(1));
  }

  void push(int i) {
    nobody& f = *fibers[static_cast<std::size_t>(i)];
    f.payload = i;
    deque.push(f);
  }
  void look(fiber_control* f) {
    if (f != nullptr) ++taken[static_cast<std::size_t>(static_cast<int>(static_cast<nobody*>(f)->payload))];
  }
  void check() {
    while (fiber_control* const f = deque.pop_youngest()) look(f);
    for (const int n : taken) expect(n == 1, n == 0 ? "one is lost" : "one is taken twice");
  }

  zsync::detail::stealing_deque deque;
  std::vector<std::unique_ptr<nobody>> fibers;
  std::vector<int> taken;
};

TEST_CASE("what stands in the deque is taken once, by its owner or a thief, and is what was put there",
          "[explore]") {
  run(20'000, [] {
    const auto s = std::make_shared<contended_deque>(6, 256);
    const auto steal = [=] {
      for (int i = 0; i < 3; ++i) s->look(s->deque.take_oldest());
    };
    return scenario{{[=] {
                       s->push(0);
                       s->push(1);
                       s->look(s->deque.pop_youngest());
                       s->push(2);
                       s->look(s->deque.pop_youngest());
                       s->look(s->deque.pop_youngest());
                       s->push(3);
                       s->push(4);
                       s->push(5);
                       s->look(s->deque.pop_youngest());
                     },
                     steal, steal},
                    [=] { s->check(); }};
  });
}

TEST_CASE("a deque that grows under thieves loses nothing", "[explore]") {
  run(20'000, [] {
    constexpr int many = 12;
    const auto s = std::make_shared<contended_deque>(many, 2);
    const auto steal = [=] {
      for (int i = 0; i < 4; ++i) s->look(s->deque.take_oldest());
    };
    return scenario{{[=] {
                       for (int i = 0; i < many; ++i) s->push(i);
                     },
                     steal, steal},
                    [=] { s->check(); }};
  });
}

// ---- locks and lives ----

TEST_CASE("a spinlock lets one in, who sees what the one before has done", "[explore]") {
  run(5'000, [] {
    struct shared {
      zsync::detail::spinlock lock;
      plain<int> count{0};
    };
    auto s = std::make_shared<shared>();
    const auto add = [=] {
      for (int i = 0; i < 2; ++i) {
        const std::lock_guard hold(s->lock);
        s->count = s->count + 1;
      }
    };
    return scenario{{add, add, add}, [=] { expect(s->count == 6, "one was let in beside another"); }};
  });
}

struct counted final : fiber_control {
  counted(plain<int>& l, unsigned& d) : fiber_control(3), life(&l), destroyed(&d) {}
  ~counted() override {
    *life = 1;  // a race with whoever still uses it
    ++*destroyed;
  }
  void run() override {}
  void abandon() noexcept override {}

  plain<int>* life;
  unsigned* destroyed;
};

struct life_of_one {
  void use() const { static_cast<void>(static_cast<int>(life)); }
  void check() const { expect(destroyed == 1, "it is destroyed not once"); }

  unsigned destroyed = 0;
  plain<int> life{0};
  counted* f = new counted(life, destroyed);  // three have a reference
};

TEST_CASE("the last who lets go of a fiber destroys it, after all that the others did", "[explore]") {
  run(10'000, [] {
    const auto s = std::make_shared<life_of_one>();
    const auto use = [=] {
      s->use();
      s->f->release();
    };
    return scenario{{use, use, use}, [=] { s->check(); }};
  });
}

TEST_CASE("who gives back one of two references leaves the other, whoever copies or gives back a third",
          "[explore]") {
  run(10'000, [] {
    const auto s = std::make_shared<life_of_one>();
    return scenario{{[=] {
                       s->f->release_one_of_two();
                       s->use();
                       s->f->release();
                     },
                     [=] {
                       s->f->retain();
                       s->use();
                       s->f->release();
                       s->f->release();
                     }},
                    [=] { s->check(); }};
  });
}

}  // namespace
