#include "races/corpus.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace zsync::test {
namespace {

int use_much_stack(int depth) {
  volatile char frame[1000];
  std::memset(const_cast<char*>(frame), depth, sizeof frame);
  return depth == 0 ? frame[0] : use_much_stack(depth - 1) + frame[999];
}

thread_local int of_the_thread = 0;

const std::array programs{
    race_program{"a condition variable",
                 [] {
                   mutex m;
                   condition_variable cv;
                   int turn = 0;
                   const auto take_turns = [&](int me) {
                     for (int i = 0; i < 20; ++i) {
                       std::unique_lock hold(m);
                       cv.wait(hold, [&] { return look_at(turn) % 2 == me; });
                       change(turn);
                       cv.notify_all();
                     }
                   };
                   fiber a(take_turns, 0);
                   fiber b(take_turns, 1);
                   a.join();
                   b.join();
                 }},
    race_program{"a condition variable of any lock, with time-outs",
                 [] {
                   shared_mutex m;
                   condition_variable_any cv;
                   int turn = 0;
                   const auto take_turns = [&](int me) {
                     for (int i = 0; i < 10; ++i) {
                       std::unique_lock hold(m);
                       while (look_at(turn) % 2 != me) (void)cv.wait_for(hold, 50us);
                       change(turn);
                       if (i % 2 == 0) cv.notify_all();
                     }
                   };
                   fiber a(take_turns, 0);
                   fiber b(take_turns, 1);
                   a.join();
                   b.join();
                 }},
    race_program{"a latch",
                 [] {
                   std::array<int, 4> parts{};
                   latch all(4);
                   task_group group;
                   for (int& part : parts) {
                     group.spawn([&] {
                       change(part);
                       all.count_down();
                     });
                   }
                   all.wait();
                   for (int& part : parts) change(part);
                   group.wait();
                 }},
    race_program{"a barrier",
                 [] {
                   std::array<int, 3> parts{};
                   barrier meet(3);
                   const auto work = [&](std::size_t me) {
                     for (std::size_t i = 0; i < 10; ++i) {
                       change(parts[(me + i) % 3]);
                       meet.arrive_and_wait();
                     }
                   };
                   fiber a(work, 0U);
                   fiber b(work, 1U);
                   fiber c(work, 2U);
                   a.join();
                   b.join();
                   c.join();
                 }},
    race_program{"a wait group",
                 [] {
                   std::array<int, 4> parts{};
                   wait_group all;
                   std::vector<fiber<>> fibers;
                   for (int& part : parts) {
                     all.add();
                     fibers.emplace_back([&] {
                       change(part);
                       all.done();
                     });
                   }
                   all.wait();
                   for (int& part : parts) change(part);
                 }},
    race_program{"events, manual and automatic",
                 [] {
                   event manual;
                   hand_over([&] { manual.set(); },
                             [&] {
                               manual.wait();
                               manual.reset();
                             });
                   event automatic(event::auto_reset);
                   hand_over([&] { automatic.set(); }, [&] { automatic.wait(); });
                 }},
    race_program{"call_once",
                 [] {
                   once_flag flag;
                   int n = 0;
                   const auto ask = [&] {
                     call_once(flag, [&] {
                       this_fiber::yield();
                       change(n);
                     });
                     look_at(n);
                   };
                   fiber a(ask);
                   fiber b(ask);
                   a.join();
                   b.join();
                 }},
    race_program{"a task group",
                 [] {
                   std::array<int, 4> parts{};
                   task_group group;
                   for (int& part : parts) {
                     change(part);
                     group.spawn([&part, &group] {
                       change(part);
                       group.spawn([&part] { change(part); });
                     });
                   }
                   group.wait();
                   for (int& part : parts) change(part);
                   group.spawn([] { this_fiber::sleep_for(1h); });
                   group.spawn([] { throw std::runtime_error("the others are cancelled"); });
                   try {
                     group.wait();
                   } catch (const std::runtime_error&) {
                   }
                 }},
    race_program{"a waker, before and after the park",
                 [] {
                   hand_over([who = this_fiber::get_waker()] { who.wake(); }, [] { this_fiber::park(); });
                   int n = 0;
                   fiber early([&, who = this_fiber::get_waker()] {
                     change(n);
                     who.wake();
                   });
                   this_fiber::yield();
                   this_fiber::park();
                   change(n);
                   early.join();
                 }},
    race_program{"select over channels, a fiber and a future",
                 [] {
                   for (int i = 0; i < 10; ++i) {
                     int n = 0;
                     auto [tx, rx] = channel<int*>(0);
                     fiber sends([&, tx = tx] {
                       change(n);
                       tx.send(&n);
                     });
                     select(on_recv(rx, [](std::optional<int*> m) { change(**m); }), after(1min, [] {}));
                     sends.join();
                     fiber ends([&] {
                       this_fiber::yield();
                       change(n);
                     });
                     select(on_join(ends, [&] { change(n); }), on_recv(rx, [](std::optional<int*>) {}),
                            after(1min, [] {}));
                     ends.join();
                     auto result = async([&n] { change(n); });
                     select(on_future(result, [&] { change(n); }), after(1min, [] {}));
                     result.get();
                   }
                 }},
    race_program{"a select that sends",
                 [] {
                   int n = 0;
                   auto [tx, rx] = channel<int*>(0);
                   fiber receives([&, rx = rx] { change(**rx.recv()); });
                   change(n);
                   select(on_send(tx, &n, [] {}), after(1min, [] {}));
                   receives.join();
                   change(n);
                 }},
    race_program{"cancel() and what is cancelled by it",
                 [] {
                   for (int i = 0; i < 10; ++i) {
                     int n = 0;
                     fiber victim([&] {
                       try {
                         for (;;) {
                           if (i % 3 == 0) this_fiber::park();
                           if (i % 3 == 1) this_fiber::sleep_for(1us);
                           if (i % 3 == 2 && this_fiber::cancellation_requested()) throw cancelled();
                           this_fiber::yield();
                         }
                       } catch (const cancelled&) {
                         change(n);
                         throw;
                       }
                     });
                     if (i % 2 == 0) this_fiber::yield();
                     change(n);
                     victim.cancel();
                     try {
                       victim.join();
                     } catch (const cancelled&) {
                       change(n);
                     }
                   }
                 }},
    race_program{"a timer that is cancelled, and one that is not",
                 [] {
                   int n = 0;
                   auto never = call_after(1h, [&n] { change(n); });
                   never.cancel();
                   change(n);
                   event fired;
                   change(n);
                   const auto soon = call_after(1ms, [&] {
                     change(n);
                     fired.set();
                   });
                   fired.wait();
                   change(n);
                 }},
    race_program{"deadlines that pass, and many that do not",
                 [] {
                   std::vector<fiber<>> all;
                   for (int i = 0; i < 100; ++i) {
                     all.emplace_back([i] {
                       for (int k = 0; k < 5; ++k) {
                         try {
                           timeout(std::chrono::microseconds(i), [] { this_fiber::park(); });
                         } catch (const std::system_error&) {
                         }
                         const deadline_scope roomy(1h);
                         this_fiber::sleep_for(1us);
                       }
                     });
                   }
                   for (auto& one : all) one.join();
                 }},
    race_program{"a blocking call",
                 [] {
                   int n = 0;
                   for (int i = 0; i < 5; ++i) {
                     change(n);
                     blocking([&] { change(n); });
                     change(n);
                   }
                   look_at(blocking([] { return std::string(100, 'x'); }).size() == 100 ? 1 : 0);
                 }},
    race_program{"a plain thread and a fiber at one channel and one mutex",
                 [] {
                   int n = 0;
                   mutex m;
                   auto [tx, rx] = channel<int*>(0);
                   std::thread other([&m, &n, rx = rx] {
                     change(**rx.recv());
                     const std::lock_guard hold(m);
                     change(n);
                   });
                   int k = 0;
                   change(k);
                   tx.send(&k);
                   {
                     const std::lock_guard hold(m);
                     change(n);
                   }
                   blocking([&] { other.join(); });
                   change(n);
                 }},
    race_program{"a thread's mutex that is held over no wait",
                 [] {
                   std::mutex m;
                   int n = 0;
                   const auto count = [&] {
                     for (int i = 0; i < 10; ++i) {
                       {
                         const std::lock_guard hold(m);
                         change(n);
                       }
                       this_fiber::yield();
                     }
                   };
                   fiber a(count);
                   fiber b(count);
                   a.join();
                   b.join();
                 }},
    race_program{"errno and thread-local variables, used between two waits",
                 [] {
                   const auto use = [] {
                     for (int i = 0; i < 10; ++i) {
                       errno = 0;
                       change(of_the_thread);
                       look_at(of_the_thread);
                       if (errno != 0) errno = EINVAL;
                       this_fiber::yield();
                     }
                   };
                   fiber a(use);
                   fiber b(use);
                   a.join();
                   b.join();
                 }},
    race_program{"variables of each fiber",
                 [] {
                   static fiber_local<int> mine(1);
                   const auto use = [] {
                     for (int i = 0; i < 10; ++i) {
                       change(*mine);
                       this_fiber::yield();
                     }
                   };
                   fiber a(use);
                   fiber b(use);
                   a.join();
                   b.join();
                 }},
    race_program{"stacks that serve one fiber after the other",
                 [] {
                   std::vector<fiber<int>> all;
                   for (int i = 0; i < 100; ++i) {
                     all.emplace_back([] { return use_much_stack(20); });
                     if (i % 5 == 0) this_fiber::yield();
                   }
                   for (auto& one : all) look_at(one.join());
                 }},
    race_program{"a fiber that is detached after its end, with a result and with a failure",
                 [] {
                   fiber<std::vector<int>> one([] { return std::vector<int>(100); });
                   fiber<> other([] { this_fiber::sleep_for(1h); });
                   other.cancel();
                   this_fiber::sleep_for(5ms);
                   one.detach();
                   other.detach();
                 }},
    race_program{"a dump of fibers that name themselves", nullptr,
                 [] {
                   runtime rt({.workers = 2});
                   rt.block_on([&] {
                     task_group busy;
                     for (int i = 0; i < 4; ++i)
                       busy.spawn([] {
                         for (int n = 0; n < 20; ++n) {
                           this_fiber::set_name("the fiber that waits for the " + std::to_string(n) +
                                                "th time");
                           this_fiber::sleep_for(100us);
                         }
                       });
                     for (int i = 0; i < 10; ++i) {
                       std::ostringstream out;
                       rt.dump(out);
                     }
                   });
                 }},
    race_program{"fibers that may move to another worker",
                 [] {
                   mutex m;
                   int n = 0;
                   task_group group;
                   for (int i = 0; i < 10; ++i) {
                     group.spawn({.policy = scheduling::work_stealing}, [&] {
                       int own = 0;
                       for (int k = 0; k < 20; ++k) {
                         change(own);
                         this_fiber::yield();
                         const std::lock_guard hold(m);
                         change(n);
                       }
                     });
                   }
                   group.wait();
                   change(n);
                 }},
    race_program{"bytes through a socket pair, and through a pipe",
                 [] {
                   auto [a, b] = unix_stream::pair();
                   auto [out, in] = pipe();
                   int n = 0;
                   fiber writes([&, to = &a, also_to = &in] {
                     change(n);
                     to->write_all("x");
                     also_to->write_all("y");
                   });
                   char got = 0;
                   b.read_exact({&got, 1});
                   change(n);
                   out.read_exact({&got, 1});
                   change(n);
                   writes.join();
                 }},
    race_program{"what fibers did before their runtime ended", nullptr,
                 [] {
                   int n = 0;
                   {
                     runtime own({.workers = 2});
                     own.post([&] { change(n); });
                   }
                   change(n);
                   runtime other({.workers = 2});
                   other.post([&] { change(n); });
                   other.shutdown(1min);
                   change(n);
                 }},
    race_program{"block_on, and threads that spawn", nullptr,
                 [] {
                   runtime own({.workers = 2});
                   int n = 0;
                   for (int i = 0; i < 5; ++i) {
                     change(n);
                     own.block_on([&] { change(n); });
                     auto f = own.spawn([&] { change(n); });
                     f.join();
                     change(n);
                   }
                 }},
    race_program{"a loop, and what its thread does between two polls", nullptr,
                 [] {
                   int n = 0;
                   loop own;
                   auto f = own.spawn([&] {
                     for (int i = 0; i < 5; ++i) {
                       change(n);
                       this_fiber::yield();
                     }
                   });
                   for (int i = 0; i < 10; ++i) {
                     own.poll();
                     change(n);
                     own.run_for(1ms);
                     change(n);
                   }
                   own.run();
                 }},
};

}  // namespace

std::span<const race_program> more_race_free_programs() { return programs; }

}  // namespace zsync::test
