#include "races/corpus.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace zsync::test {
namespace {

const std::array programs{
    race_program{"two fibers count, and yield in between",
                 [] {
                   int n = 0;
                   const auto count = [&n] {
                     for (int i = 0; i < 3; ++i) {
                       change(n);
                       this_fiber::yield();
                     }
                   };
                   fiber a(count);
                   fiber b(count);
                   a.join();
                   b.join();
                 }},
    race_program{"two fibers write one after the other, and nobody waits in between",
                 [] {
                   int n = 0;
                   fiber a([&] { change(n); });
                   fiber b([&] { change(n); });
                   a.join();
                   b.join();
                 }},
    race_program{"a sleep is taken for an order",
                 [] {
                   int n = 0;
                   fiber writes([&] { change(n); });
                   this_fiber::sleep_for(2ms);
                   look_at(n);
                   writes.join();
                 }},
    race_program{"a spawner writes after the spawn",
                 [] {
                   int n = 0;
                   fiber reads([&] { look_at(n); });
                   change(n);
                   reads.join();
                 }},
    race_program{"one of two forgets the mutex",
                 [] {
                   int n = 0;
                   mutex m;
                   fiber careful([&] {
                     const std::lock_guard hold(m);
                     change(n);
                   });
                   fiber careless([&] { change(n); });
                   careful.join();
                   careless.join();
                 }},
    race_program{"two mutexes for one variable",
                 [] {
                   int n = 0;
                   mutex m1;
                   mutex m2;
                   fiber a([&] {
                     const std::lock_guard hold(m1);
                     change(n);
                   });
                   fiber b([&] {
                     const std::lock_guard hold(m2);
                     change(n);
                   });
                   a.join();
                   b.join();
                 }},
    race_program{"a writer holds a shared lock only",
                 [] {
                   int n = 0;
                   shared_mutex m;
                   barrier both(2);
                   const auto write = [&] {
                     m.lock_shared();
                     both.arrive_and_wait();
                     change(n);
                     m.unlock_shared();
                   };
                   fiber a(write);
                   fiber b(write);
                   a.join();
                   b.join();
                 }},
    race_program{"a semaphore lets two in",
                 [] {
                   int n = 0;
                   counting_semaphore<2> two(2);
                   barrier both(2);
                   const auto write = [&] {
                     two.acquire();
                     both.arrive_and_wait();
                     change(n);
                     two.release();
                   };
                   fiber a(write);
                   fiber b(write);
                   a.join();
                   b.join();
                 }},
    race_program{"what was sent is changed after the send",
                 [] {
                   auto [tx, rx] = channel<int*>(1);
                   fiber receives([&rx = rx] { look_at(**rx.recv()); });
                   int n = 0;
                   tx.send(&n);
                   change(n);
                   receives.join();
                 }},
    race_program{"the message goes the wrong way",
                 [] {
                   int n = 0;
                   auto [tx, rx] = channel<int>(1);
                   fiber writes([&, rx = rx] {
                     (void)rx.recv();
                     change(n);
                   });
                   tx.send(1);
                   this_fiber::sleep_for(2ms);
                   look_at(n);
                   writes.join();
                 }},
    race_program{"the wrong fiber is joined",
                 [] {
                   int n = 0;
                   fiber writes([&] { change(n); });
                   fiber other([] {});
                   other.join();
                   look_at(n);
                   writes.join();
                 }},
    race_program{"a join that ran out of time is taken for one",
                 [] {
                   int n = 0;
                   fiber writes([&] {
                     change(n);
                     this_fiber::sleep_for(20ms);
                   });
                   if (!writes.join_for(2ms)) {
                     look_at(n);
                     writes.join();
                   }
                 }},
    race_program{"a wake comes before the write",
                 [] {
                   int n = 0;
                   fiber wakes([&, who = this_fiber::get_waker()] {
                     who.wake();
                     change(n);
                   });
                   this_fiber::park();
                   look_at(n);
                   wakes.join();
                 }},
    race_program{"a condition variable's flag is set without the lock",
                 [] {
                   int ready = 0;
                   mutex m;
                   condition_variable cv;
                   fiber sets([&] {
                     change(ready);
                     cv.notify_one();
                   });
                   {
                     std::unique_lock hold(m);
                     (void)cv.wait_for(hold, 2ms, [&] { return look_at(ready) != 0; });
                   }
                   sets.join();
                 }},
    race_program{"a promise is kept before the write",
                 [] {
                   int n = 0;
                   promise<void> p;
                   auto f = p.get_future();
                   fiber keeps([&] {
                     p.set_value();
                     change(n);
                   });
                   f.get();
                   look_at(n);
                   keeps.join();
                 }},
    race_program{"a latch is counted down before the write",
                 [] {
                   int n = 0;
                   latch gate(1);
                   fiber opens([&] {
                     gate.count_down();
                     change(n);
                   });
                   gate.wait();
                   look_at(n);
                   opens.join();
                 }},
    race_program{"children of a group share a counter",
                 [] {
                   int n = 0;
                   task_group group;
                   for (int i = 0; i < 3; ++i) group.spawn([&] { change(n); });
                   group.wait();
                 }},
    race_program{"a child of a group and its parent",
                 [] {
                   int n = 0;
                   task_group group;
                   group.spawn([&] { change(n); });
                   this_fiber::yield();
                   look_at(n);
                   group.wait();
                 }},
    race_program{"a relaxed flag publishes",
                 [] {
                   int n = 0;
                   std::atomic<bool> ready = false;
                   fiber writes([&] {
                     change(n);
                     ready.store(true, std::memory_order_relaxed);
                   });
                   while (!ready.load(std::memory_order_relaxed)) this_fiber::yield();
                   look_at(n);
                   writes.join();
                 }},
    race_program{"a vector grows in two fibers",
                 [] {
                   std::vector<int> all;
                   const auto grow = [&all] {
                     for (int i = 0; i < 10; ++i) {
                       all.push_back(i);
                       this_fiber::yield();
                     }
                   };
                   fiber a(grow);
                   fiber b(grow);
                   a.join();
                   b.join();
                 }},
    race_program{"a shared_ptr is assigned while it is copied",
                 [] {
                   auto shared = std::make_shared<int>(1);
                   fiber assigns([&] { shared = std::make_shared<int>(2); });
                   fiber copies([&] { const auto mine = shared; });
                   assigns.join();
                   copies.join();
                 }},
    race_program{"one fiber frees what another one reads",
                 [] {
                   auto owned = std::make_unique<int>(1);
                   fiber reads([n = owned.get()] { look_at(*n); });
                   fiber frees([&] { owned.reset(); });
                   reads.join();
                   frees.join();
                 }},
    race_program{"a blocking call and a fiber",
                 [] {
                   int n = 0;
                   fiber calls([&] { blocking([&] { change(n); }); });
                   change(n);
                   calls.join();
                 }},
    race_program{"a plain thread and a fiber",
                 [] {
                   int n = 0;
                   std::thread other([&] { change(n); });
                   change(n);
                   blocking([&] { other.join(); });
                 }},
    race_program{"a posted fiber is not waited for", nullptr,
                 [] {
                   int n = 0;
                   runtime own({.workers = 1});
                   own.post([&] { change(n); });
                   std::this_thread::sleep_for(5ms);
                   look_at(n);
                 }},
    race_program{"a call_after and who spawned it",
                 [] {
                   int n = 0;
                   const auto soon = call_after(1ms, [&] { change(n); });
                   this_fiber::sleep_for(10ms);
                   look_at(n);
                 }},
    race_program{"what is cancelled reads what came after cancel()",
                 [] {
                   int n = 0;
                   fiber cancelled_one([&] {
                     try {
                       this_fiber::park();
                     } catch (const cancelled&) {
                       look_at(n);
                       throw;
                     }
                   });
                   this_fiber::yield();
                   cancelled_one.cancel();
                   change(n);
                   try {
                     cancelled_one.join();
                   } catch (const cancelled&) {
                   }
                 }},
    race_program{"fibers of a loop, within one poll", nullptr,
                 [] {
                   int n = 0;
                   loop own;
                   own.post([&] { change(n); });
                   own.post([&] { change(n); });
                   own.run();
                 }},
    race_program{"an argument by reference is changed under its fiber",
                 [] {
                   int n = 0;
                   const auto reads = [](const int& seen) {
                     this_fiber::yield();
                     look_at(seen);
                   };
                   fiber a(reads, std::cref(n));
                   this_fiber::yield();
                   change(n);
                   a.join();
                 }},
    race_program{"a result is written and read by its fiber's friend",
                 [] {
                   int* shared = nullptr;
                   event published;
                   fiber owner([&] {
                     int mine = 0;
                     shared = &mine;
                     published.set();
                     this_fiber::sleep_for(2ms);
                     change(mine);
                     this_fiber::sleep_for(5ms);
                   });
                   fiber other([&] {
                     published.wait();
                     this_fiber::sleep_for(4ms);
                     look_at(*shared);
                   });
                   owner.join();
                   other.join();
                 }},
};

}  // namespace

std::span<const race_program> racy_programs() { return programs; }

}  // namespace zsync::test
