#include "meeting.hpp"

#include <zsync/channel/broadcast.hpp>
#include <zsync/channel/channel.hpp>
#include <zsync/channel/condition_variable_any.hpp>
#include <zsync/channel/event.hpp>
#include <zsync/channel/latch.hpp>
#include <zsync/channel/promise.hpp>
#include <zsync/channel/recursive_mutex.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/semaphore.hpp>
#include <zsync/channel/shared_mutex.hpp>
#include <zsync/channel/timed_mutex.hpp>
#include <zsync/channel/wait_group.hpp>
#include <zsync/channel/watch.hpp>

#include <mutex>
#include <optional>
#include <stop_token>

namespace {

using namespace zsync;
using namespace zsync::test;

// Each with all that tells a time: a point of the library's clock, of others, in their units and in
// fractions, and a deadline. `ends_late(point)`: true if the call waited in vain.
template <class Call>
void with_each_kind_of_time(Call ends_late) {
  const auto begin = clock::now();
  CHECK(ends_late(clock::now() + 200us));
  CHECK(ends_late(std::chrono::steady_clock::now() + 200us));
  CHECK(ends_late(std::chrono::system_clock::now() + std::chrono::duration<double>(0.0002)));
  CHECK(ends_late(deadline::after(200us)));
  CHECK(clock::now() - begin >= 600us);
}

TEST_CASE("channels wait until points of any clock, and until deadlines", "[channel]") {
  over_workers([] {
    auto ends = channel<int>(0);
    const int lvalue = 1;
    int into = 0;
    with_each_kind_of_time([&](auto t) { return ends.first.send_until(1, t) == channel_status::timeout; });
    with_each_kind_of_time(
        [&](auto t) { return ends.first.send_until(lvalue, t) == channel_status::timeout; });
    with_each_kind_of_time(
        [&](auto t) { return ends.second.recv_until(into, t) == channel_status::timeout; });
    auto all = broadcast<int>(1);
    with_each_kind_of_time([&](auto t) { return all.second.recv_until(into, t) == channel_status::timeout; });
    auto newest = watch(1);
    CHECK(newest.second.recv_until(into, clock::now()) == channel_status::success);
    with_each_kind_of_time(
        [&](auto t) { return newest.second.recv_until(into, t) == channel_status::timeout; });
    with_each_kind_of_time([&](auto t) {
      bool fired = false;
      select(on_recv(ends.second, [](const std::optional<int>&) {}), at(t, [&] { fired = true; }));
      return fired;
    });
  });
}

TEST_CASE("what is waited for takes points of any clock, and deadlines",
          "[event][latch][wait_group][future]") {
  over_workers([] {
    event happens;
    with_each_kind_of_time([&](auto t) { return !happens.wait_until(t); });
    latch open(1);
    with_each_kind_of_time([&](auto t) { return !open.wait_until(t); });
    open.count_down();
    wait_group work(1);
    with_each_kind_of_time([&](auto t) { return !work.wait_until(t); });
    counting_semaphore<> permits(0);
    with_each_kind_of_time([&](auto t) { return !permits.try_acquire_until(t); });
    promise<int> p;
    const auto one = p.get_future();
    with_each_kind_of_time([&](auto t) { return one.wait_until(t) == future_status::timeout; });
    promise<int> q;
    const auto shared = q.get_future().share();
    with_each_kind_of_time([&](auto t) { return shared.wait_until(t) == future_status::timeout; });
  });
}

template <class Mutex>
void is_not_had_in_time() {
  Mutex held;
  const std::scoped_lock lock(held);
  spawn([&] {
    with_each_kind_of_time([&](auto t) { return !held.try_lock_until(t); });
    with_each_kind_of_time([&](auto t) {
      return !std::unique_lock(held, std::defer_lock).try_lock_for(200us) && !held.try_lock_until(t);
    });
    if constexpr (requires { held.try_lock_shared_until(deadline()); })
      with_each_kind_of_time([&](auto t) { return !held.try_lock_shared_until(t); });
  }).join();
}

TEST_CASE("locks take points of any clock, and deadlines", "[mutex]") {
  over_workers([] {
    is_not_had_in_time<timed_mutex>();
    is_not_had_in_time<recursive_timed_mutex>();
    is_not_had_in_time<shared_timed_mutex>();
    timed_mutex free;
    const std::unique_lock timed(free, std::chrono::steady_clock::now() + 1s);
    CHECK(timed.owns_lock());
  });
}

TEST_CASE("conditions take points of any clock, and deadlines", "[condition_variable]") {
  over_workers([] {
    mutex m;
    std::unique_lock lock(m);
    condition_variable changed;
    with_each_kind_of_time([&](auto t) { return changed.wait_until(lock, t) == cv_status::timeout; });
    with_each_kind_of_time([&](auto t) { return !changed.wait_until(lock, t, [] { return false; }); });
    condition_variable_any any;
    with_each_kind_of_time([&](auto t) { return any.wait_until(lock, t) == cv_status::timeout; });
    with_each_kind_of_time([&](auto t) { return !any.wait_until(lock, t, [] { return false; }); });
    const std::stop_source never;
    with_each_kind_of_time(
        [&](auto t) { return !any.wait_until(lock, never.get_token(), t, [] { return false; }); });
    CHECK(lock.owns_lock());
  });
}

// The time of the calling thread, and how often it was asked for.
class counted_clock final : public zsync::detail::time_source {
 public:
  counted_clock() : before_(zsync::detail::set_time_source(this)) {}
  ~counted_clock() { zsync::detail::set_time_source(before_); }
  counted_clock(const counted_clock&) = delete;
  counted_clock& operator=(const counted_clock&) = delete;

  clock::time_point now() noexcept override {
    ++reads;
    return clock::time_point{};
  }

  int reads = 0;

 private:
  zsync::detail::time_source* before_;
};

TEST_CASE("what need not wait does not read the clock, however long it may wait", "[until]") {
  auto [tx, rx] = channel<int>(1);
  auto [broadcasts, hears] = broadcast<int>(1);
  auto [sets, sees] = watch(1);
  timed_mutex free;
  recursive_timed_mutex again;
  shared_timed_mutex shared;
  counting_semaphore<> permits(1);
  event happened(event::auto_reset, true);
  const latch open(0);
  wait_group finished;
  const auto result = make_ready_future(1);
  int got = 0;
  broadcasts.send(1);

  counted_clock time;
  bool all = tx.send_for(1, 1h) == channel_status::success && rx.recv_for(got, 1h) == channel_status::success;
  all = all && tx.send_for(got, 1h) == channel_status::success;
  all = all && hears.recv_for(got, 1h) == channel_status::success;
  all = all && sees.recv_for(got, 1h) == channel_status::success;
  all = all && free.try_lock_for(1h) && again.try_lock_for(1h) && again.try_lock_for(1h);
  all = all && shared.try_lock_for(1h);
  shared.unlock();
  all = all && shared.try_lock_shared_for(1h) && permits.try_acquire_for(1h);
  all = all && happened.wait_for(1h) && !happened.is_set() && open.wait_for(1h) && finished.wait_for(1h);
  all = all && result.wait_for(1h) == future_status::ready;
  const int reads = time.reads;
  free.unlock();
  again.unlock();
  again.unlock();
  shared.unlock_shared();
  CHECK(all);
  CHECK(reads == 0);

  CHECK(tx.try_send(2) == channel_status::full);
  (void)tx.send_for(2, 0s);
  CHECK(time.reads > 0);
}

}  // namespace
