#include "races/corpus.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace zsync::test {
namespace {

// Two fibers that take turns at one variable, each within what `guarded` makes of it.
template <class Guarded>
void count_in_turns(Guarded guarded) {
  int n = 0;
  const auto count = [&] {
    for (int i = 0; i < 20; ++i) {
      guarded([&] {
        change(n);
        this_fiber::yield();
        change(n);
      });
      this_fiber::yield();
    }
  };
  fiber a(count);
  fiber b(count);
  a.join();
  b.join();
  look_at(n);
}

future<int> add_up(future<int> a, future<int> b) { co_return co_await std::move(a) + co_await std::move(b); }

const std::array programs{
    race_program{"a mutex",
                 [] {
                   mutex m;
                   count_in_turns([&](auto body) {
                     const std::lock_guard hold(m);
                     body();
                   });
                 }},
    race_program{"try_lock until it succeeds",
                 [] {
                   mutex m;
                   count_in_turns([&](auto body) {
                     while (!m.try_lock()) this_fiber::yield();
                     body();
                     m.unlock();
                   });
                 }},
    race_program{"a timed mutex whose waits run out of time",
                 [] {
                   timed_mutex m;
                   count_in_turns([&](auto body) {
                     while (!m.try_lock_for(10us)) {
                     }
                     body();
                     m.unlock();
                   });
                 }},
    race_program{"a recursive mutex",
                 [] {
                   recursive_mutex m;
                   count_in_turns([&](auto body) {
                     const std::lock_guard outer(m);
                     const std::lock_guard inner(m);
                     body();
                   });
                 }},
    race_program{"a shared mutex, written and read",
                 [] {
                   shared_mutex m;
                   int n = 0;
                   std::vector<fiber<>> all;
                   for (int i = 0; i < 4; ++i) {
                     all.emplace_back([&] {
                       for (int k = 0; k < 20; ++k) {
                         m.lock_shared();
                         look_at(n);
                         this_fiber::yield();
                         m.unlock_shared();
                         const std::lock_guard hold(m);
                         change(n);
                       }
                     });
                   }
                   for (auto& one : all) one.join();
                 }},
    race_program{"a binary semaphore",
                 [] {
                   binary_semaphore one(1);
                   count_in_turns([&](auto body) {
                     one.acquire();
                     body();
                     one.release();
                   });
                 }},
    race_program{"a channel of one token",
                 [] {
                   auto [tx, rx] = channel<int>(1);
                   tx.send(0);
                   count_in_turns([&, tx = tx, rx = rx](auto body) {
                     (void)rx.recv();
                     body();
                     tx.send(0);
                   });
                 }},
    race_program{"a spinlock of atomics, with yields",
                 [] {
                   std::atomic<bool> held = false;
                   count_in_turns([&](auto body) {
                     while (held.exchange(true, std::memory_order_acquire)) this_fiber::yield();
                     body();
                     held.store(false, std::memory_order_release);
                   });
                 }},
    race_program{"join",
                 [] {
                   for (int i = 0; i < 20; ++i) {
                     int n = i;
                     change(n);
                     fiber f([&] { change(n); });
                     if (i % 2 != 0) this_fiber::yield();
                     f.join();
                     change(n);
                   }
                 }},
    race_program{"results and exceptions of fibers",
                 [] {
                   fiber text([] { return std::string(1000, 'x'); });
                   look_at(text.join().size() == 1000 ? 1 : 0);
                   fiber fails([] { throw std::runtime_error("thrown"); });
                   try {
                     fails.join();
                   } catch (const std::runtime_error& e) {
                     look_at(e.what()[0]);
                   }
                   fiber dropped([] { return std::make_unique<std::string>("nobody joins it"); });
                 }},
    race_program{"a tree of fibers",
                 [] {
                   struct tree {
                     static int grow(int depth) {
                       if (depth == 0) return 1;
                       fiber left(&grow, depth - 1);
                       fiber right(&grow, depth - 1);
                       return left.join() + right.join();
                     }
                   };
                   look_at(tree::grow(7));
                 }},
    race_program{"a child that outlives what spawned it",
                 [] {
                   fiber<> late;
                   const auto start = [&late] {
                     auto shared = std::make_shared<int>(1);
                     change(*shared);
                     late = fiber([shared = std::move(shared)] {
                       this_fiber::yield();
                       change(*shared);
                     });
                   };
                   fiber(start).join();
                   late.join();
                 }},
    race_program{"a rendezvous channel",
                 [] {
                   auto [tx, rx] = channel<int>(0);
                   hand_over([&, tx = tx] { tx.send(1); }, [&, rx = rx] { (void)rx.recv(); });
                 }},
    race_program{"a buffered channel",
                 [] {
                   auto [tx, rx] = channel<int>(4);
                   hand_over([&, tx = tx] { tx.send(1); }, [&, rx = rx] { (void)rx.recv(); });
                 }},
    race_program{"an unbounded channel of allocated messages, many to many",
                 [] {
                   auto [tx, rx] = unbounded_channel<std::unique_ptr<int>>();
                   std::vector<fiber<>> all;
                   for (int i = 0; i < 3; ++i) {
                     all.emplace_back([tx = tx] {
                       for (int k = 0; k < 30; ++k) {
                         auto n = std::make_unique<int>(k);
                         change(*n);
                         tx.send(std::move(n));
                         if (k % 7 == 0) this_fiber::yield();
                       }
                     });
                     all.emplace_back([rx = rx] {
                       while (auto n = rx.recv()) change(**n);
                     });
                   }
                   { const auto last = std::move(tx); }
                   for (auto& one : all) one.join();
                 }},
    race_program{"the end of a channel",
                 [] {
                   for (int i = 0; i < 20; ++i) {
                     int n = 0;
                     auto [tx, rx] = channel<int>(static_cast<std::size_t>(i % 2));
                     fiber leaves([&n, tx = std::move(tx)] { change(n); });
                     while (rx.recv()) {
                     }
                     change(n);
                     leaves.join();
                   }
                 }},
    race_program{"oneshot",
                 [] {
                   for (int i = 0; i < 20; ++i) {
                     int n = 0;
                     auto [tx, rx] = oneshot<int*>();
                     fiber answers([&n, tx = std::move(tx)] {
                       change(n);
                       tx.send(&n);
                     });
                     change(**rx.recv());
                     answers.join();
                   }
                 }},
    race_program{"broadcast and watch",
                 [] {
                   int n = 0;
                   auto [tx, rx] = broadcast<int*>(4);
                   auto [wtx, wrx] = watch<int*>(nullptr);
                   (void)wrx.recv();
                   fiber sends([&, tx = tx, wtx = wtx] {
                     change(n);
                     tx.send(&n);
                     wtx.send(&n);
                   });
                   look_at(**rx.recv());
                   look_at(**wrx.recv());
                   sends.join();
                 }},
    race_program{"promise and future",
                 [] {
                   for (int i = 0; i < 20; ++i) {
                     promise<std::string> p;
                     auto f = p.get_future();
                     int n = 0;
                     fiber keeps([&] {
                       change(n);
                       p.set_value(std::string(100, 'x'));
                     });
                     look_at(f.get().size() == 100 ? 1 : 0);
                     change(n);
                     keeps.join();
                   }
                 }},
    race_program{"a shared future, and what follows one",
                 [] {
                   int n = 0;
                   promise<void> p;
                   shared_future<void> shared = p.get_future().share();
                   std::vector<fiber<>> all;
                   for (int i = 0; i < 3; ++i) {
                     all.emplace_back([&, shared] {
                       shared.get();
                       look_at(n);
                     });
                   }
                   change(n);
                   p.set_value();
                   for (auto& one : all) one.join();
                   auto chain = async([&n] { change(n); }).then([&n] { change(n); });
                   chain.get();
                   change(n);
                 }},
    race_program{"async, packaged_task, when_all and when_any",
                 [] {
                   int n = 0;
                   int k = 0;
                   auto both = when_all(async([&n] { change(n); }), async([&k] { change(k); }));
                   (void)both.get();
                   change(n);
                   change(k);
                   packaged_task<int()> task([&n] {
                     change(n);
                     return n;
                   });
                   auto result = task.get_future();
                   fiber calls([&] { task(); });
                   look_at(result.get());
                   change(n);
                   calls.join();
                 }},
    race_program{"coroutines",
                 [] {
                   promise<int> a;
                   promise<int> b;
                   auto sum = add_up(a.get_future(), b.get_future());
                   int n = 0;
                   fiber keeps([&] {
                     change(n);
                     a.set_value(1);
                     b.set_value(2);
                   });
                   look_at(await(std::move(sum)));
                   change(n);
                   keeps.join();
                 }},
};

}  // namespace

std::vector<race_program> race_free_programs() {
  std::vector<race_program> all(programs.begin(), programs.end());
  const auto more = more_race_free_programs();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace zsync::test
