// The promised surface of channel/; what it does is tested in tests/channel.
#include "support/in_fiber.hpp"

#include <zsync/zsync.hpp>

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <coroutine>
#include <future>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

using namespace std::chrono_literals;

namespace {

template <class A, class B>
inline constexpr bool same = std::is_same_v<A, B>;

using zsync::channel_status;
static_assert(channel_status::success != channel_status::full &&
              channel_status::empty != channel_status::timeout &&
              channel_status::timeout != channel_status::closed);

// ---- channels ----

using ends = std::pair<zsync::sender<std::string>, zsync::receiver<std::string>>;
static_assert(same<decltype(zsync::channel<std::string>(1)), ends>);
static_assert(same<decltype(zsync::unbounded_channel<std::string>()), ends>);
static_assert(same<decltype(zsync::oneshot<std::string>()), ends>);
static_assert(std::is_copy_constructible_v<zsync::sender<int>> &&
              std::is_copy_constructible_v<zsync::receiver<int>>);
static_assert(requires(zsync::sender<std::string> & s, std::string v, const std::string& c) {
  requires same<decltype(s.send(std::move(v))), bool> && same<decltype(s.send(c)), bool>;
  requires same<decltype(s.try_send(std::move(v))), channel_status> &&
      same<decltype(s.try_send(c)), channel_status>;
  requires same<decltype(s.send_for(std::move(v), 1ms)), channel_status>;
  requires same<decltype(s.send_for(c, 1ms)), channel_status>;
  s.close();
  requires same<decltype(s.is_closed()), bool>;
});
static_assert(requires(zsync::receiver<std::string> & r, std::string& v) {
  requires same<decltype(r.recv()), std::optional<std::string>>;
  requires same<decltype(r.try_recv(v)), channel_status>;
  requires same<decltype(r.recv_for(v, 1ms)), channel_status>;
  requires same<decltype(*r.begin()), std::string&>;
  r.begin() != r.end();
  r.close();
  requires same<decltype(r.size()), std::size_t>;
});
// Receivers of all kinds have the same calls, and so have senders, but for those that none but a channel's
// needs, which may have to wait. Only the functions that make channels make ends of new ones.
template <class End>
concept is_end = std::is_nothrow_copy_constructible_v<End> && std::is_nothrow_move_constructible_v<End> &&
                 std::equality_comparable<End> && !std::is_default_constructible_v<End> &&
                 requires(const End& e, End& own) {
  requires same<decltype(own.reset()), void>;
  requires same<typename End::value_type, int>;
  requires same<decltype(e.close()), void>;
  requires same<decltype(e.is_closed()), bool>;
  requires same<decltype(e.capacity()), std::size_t>;
};
template <class Receiver>
concept receives = is_end<Receiver> && requires(Receiver& r, int& v) {
  requires same<decltype(r.recv()), std::optional<int>>;
  requires same<decltype(r.try_recv(v)), channel_status>;
  requires same<decltype(r.recv_for(v, 1ms)), channel_status>;
  requires same<decltype(r.recv_until(v, std::chrono::steady_clock::now())), channel_status>;
  requires same<decltype(*r.begin()), int&>;
  r.begin() != r.end();
  requires same<decltype(r.size()), std::size_t> && same<decltype(r.empty()), bool>;
};
template <class Sender>
concept sends = is_end<Sender> && requires(const Sender& s, int v, const int& c) {
  requires same<decltype(s.send(std::move(v))), bool> && same<decltype(s.send(c)), bool>;
};
static_assert(sends<zsync::sender<int>> && receives<zsync::receiver<int>>);
static_assert(sends<zsync::broadcast_sender<int>> && receives<zsync::broadcast_receiver<int>>);
static_assert(sends<zsync::watch_sender<int>> && receives<zsync::watch_receiver<int>>);
static_assert(same<decltype(zsync::broadcast<int>(1)),
                   std::pair<zsync::broadcast_sender<int>, zsync::broadcast_receiver<int>>>);
static_assert(
    same<decltype(zsync::watch<int>(0)), std::pair<zsync::watch_sender<int>, zsync::watch_receiver<int>>>);
template <class End>
inline constexpr bool only_from_ends = !std::is_constructible_v<End, zsync::detail::broadcast_state<int>*> &&
                                       !std::is_constructible_v<End, zsync::detail::broadcast_reader<int>> &&
                                       !std::is_constructible_v<End, zsync::detail::broadcast_writer<int>>;
static_assert(only_from_ends<zsync::broadcast_sender<int>> &&
              only_from_ends<zsync::broadcast_receiver<int>> && only_from_ends<zsync::watch_sender<int>> &&
              only_from_ends<zsync::watch_receiver<int>>);

// ---- futures ----

template <class Future, class T>
concept future_as_in_std = requires(Future& f, const Future& c) {
  requires same<decltype(f.get()), T>;
  c.wait();
  requires same<decltype(c.wait_for(1ms)), std::future_status>;
  requires same<decltype(c.wait_until(std::chrono::steady_clock::now())), std::future_status>;
  requires same<decltype(c.valid()), bool>;
};
static_assert(future_as_in_std<zsync::future<int>, int> && future_as_in_std<zsync::future<int&>, int&> &&
              future_as_in_std<zsync::future<void>, void>);
static_assert(future_as_in_std<zsync::shared_future<int>, const int&> &&
              future_as_in_std<zsync::shared_future<int&>, int&> &&
              future_as_in_std<zsync::shared_future<void>, void>);
static_assert(!std::is_copy_constructible_v<zsync::future<int>> &&
              std::is_copy_constructible_v<zsync::shared_future<int>>);
static_assert(same<decltype(zsync::future<int>().share()), zsync::shared_future<int>>);
static_assert(requires(zsync::promise<int> & p, zsync::promise<int&>& r, zsync::promise<void>& v, int& i) {
  requires same<decltype(p.get_future()), zsync::future<int>>;
  p.set_value(i);
  p.set_value(1);
  r.set_value(i);
  v.set_value();
  p.set_exception(std::current_exception());
  p.swap(p);
});
static_assert(requires(zsync::packaged_task<int(char)> & t) {
  requires same<decltype(t.get_future()), zsync::future<int>>;
  t('a');
  t.reset();
  requires same<decltype(t.valid()), bool>;
});
static_assert(same<decltype(zsync::async([](int i) { return i; }, 1)), zsync::future<int>>);
static_assert(same<decltype(zsync::when_all(zsync::future<int>(), zsync::future<std::string>())),
                   zsync::future<std::tuple<int, std::string>>>);
static_assert(
    same<decltype(zsync::when_all(std::vector<zsync::future<int>>())), zsync::future<std::vector<int>>>);
using a_future = zsync::future<int>;
using futures = std::vector<a_future>;
using either = zsync::future<zsync::when_any_result<int>>;
static_assert(same<decltype(either().get().index), std::size_t> && same<decltype(either().get().value), int>);
static_assert(same<decltype(zsync::when_any(std::declval<a_future>(), std::declval<a_future>())), either>);
static_assert(same<decltype(zsync::when_any(std::declval<futures>())), either>);
static_assert(same<decltype(zsync::race(std::declval<a_future>(), std::declval<a_future>())), a_future>);
static_assert(same<decltype(zsync::race(std::declval<futures>())), a_future>);
static_assert(same<decltype(a_future().then([](int) { return std::string(); })), zsync::future<std::string>>);
static_assert(same<decltype(a_future().then([](a_future) {})), zsync::future<void>>);
static_assert(same<decltype(zsync::await(std::declval<a_future>())), int>);
static_assert(same<decltype(zsync::await(std::suspend_never{})), void>);

[[maybe_unused]] zsync::future<int> awaits(zsync::future<int> f) { co_return co_await std::move(f); }

// ---- locks ----

template <class L>
concept basic_lockable = requires(L& l) {
  l.lock();
  l.unlock();
};
template <class L>
concept lockable = basic_lockable<L> && requires(L& l) {
  requires same<decltype(l.try_lock()), bool>;
};
template <class L>
concept timed_lockable = lockable<L> && requires(L& l) {
  requires same<decltype(l.try_lock_for(1ms)), bool>;
  requires same<decltype(l.try_lock_until(std::chrono::steady_clock::now())), bool>;
};
template <class L>
concept shared_lockable = lockable<L> && requires(L& l) {
  l.lock_shared();
  requires same<decltype(l.try_lock_shared()), bool>;
  l.unlock_shared();
};
static_assert(lockable<zsync::mutex> && lockable<zsync::recursive_mutex>);
static_assert(timed_lockable<zsync::timed_mutex> && timed_lockable<zsync::recursive_timed_mutex>);
static_assert(shared_lockable<zsync::shared_mutex> && shared_lockable<zsync::shared_timed_mutex>);
static_assert(timed_lockable<zsync::shared_timed_mutex> && requires(zsync::shared_timed_mutex & l) {
  requires same<decltype(l.try_lock_shared_for(1ms)), bool>;
  requires same<decltype(l.try_lock_shared_until(std::chrono::steady_clock::now())), bool>;
});

template <class Condition, class Lock>
concept condition_as_in_std = requires(Condition& c, Lock& l, bool (*ready)()) {
  c.notify_one();
  c.notify_all();
  c.wait(l);
  c.wait(l, ready);
  requires same<decltype(c.wait_for(l, 1ms)), std::cv_status>;
  requires same<decltype(c.wait_for(l, 1ms, ready)), bool>;
  requires same<decltype(c.wait_until(l, std::chrono::steady_clock::now())), std::cv_status>;
  requires same<decltype(c.wait_until(l, std::chrono::steady_clock::now(), ready)), bool>;
};
static_assert(condition_as_in_std<zsync::condition_variable, std::unique_lock<zsync::mutex>>);
static_assert(condition_as_in_std<zsync::condition_variable_any, std::shared_lock<zsync::shared_mutex>>);

static_assert(requires(zsync::counting_semaphore<5> & s, zsync::binary_semaphore& b, zsync::latch& l,
                       zsync::barrier<>& r, zsync::once_flag& o, zsync::event& e, zsync::wait_group& w) {
  s.acquire();
  s.release(2);
  requires same<decltype(s.try_acquire()), bool> && same<decltype(s.try_acquire_for(1ms)), bool>;
  requires same<decltype(s.try_acquire_until(std::chrono::steady_clock::now())), bool>;
  b.release();
  l.count_down();
  requires same<decltype(l.try_wait()), bool>;
  l.wait();
  l.arrive_and_wait();
  r.wait(r.arrive());
  r.arrive_and_wait();
  r.arrive_and_drop();
  zsync::call_once(
      o, [](int) {}, 1);
  e.set();
  e.reset();
  e.wait();
  w.add(2);
  w.done();
  w.wait();
});

static_assert(zsync::counting_semaphore<5>::max() == 5);

}  // namespace

TEST_CASE("what is promised of channel/ is there, and std's lock guards take its locks", "[surface]") {
  zsync::mutex a;
  zsync::recursive_timed_mutex b;
  zsync::shared_timed_mutex c;
  {
    const std::scoped_lock all(a, b, c);
    CHECK(!c.try_lock_shared());
  }
  const std::shared_lock shared(c, 1ms);
  CHECK(shared.owns_lock());
  const std::unique_lock timed(b, std::chrono::steady_clock::now() + 1s);
  CHECK(timed.owns_lock());
  zsync::event manual(zsync::event::manual_reset);
  zsync::event automatic(zsync::event::auto_reset);
  manual.set();
  automatic.set();
  CHECK((manual.try_wait() && manual.try_wait() && automatic.try_wait() && !automatic.try_wait()));
  zsync::interval each(1ms, zsync::missed_tick::burst);
  each.tick();
  CHECK((zsync::missed_tick::delay != zsync::missed_tick::skip));
}

TEST_CASE("a select takes all kinds of cases in one call, and fires each of them", "[surface]") {
  zsync::test::in_fiber([] {
    auto [tx, rx] = zsync::channel<int>(1);
    auto [full_tx, full_rx] = zsync::channel<int>(0);
    auto [here, there] = zsync::unix_stream::pair();
    zsync::promise<int> promise;
    zsync::future<int> future = promise.get_future();
    zsync::event end;
    zsync::event unset;
    zsync::fiber<> fiber([&] { end.wait(); });
    char room = 'x';
    std::error_code ec;

    const auto look = [&, &rx = rx, &full_tx = full_tx, &here = here](bool waits) {
      const auto nothing = [] {};
      if (waits) {
        return zsync::select(on_recv(rx, [](std::optional<int>) {}), on_send(full_tx, 1, nothing),
                             on_join(fiber, nothing), on_future(future, nothing), on_readable(here, nothing),
                             zsync::after(1ms, nothing), on_event(unset, nothing),
                             zsync::only_if(false, zsync::otherwise(nothing)));
      }
      return zsync::select(on_recv(rx, [](std::optional<int>) {}), on_send(full_tx, 1, nothing),
                           on_join(fiber, nothing), on_future(future, nothing), on_readable(here, nothing),
                           zsync::after(1h, nothing), zsync::otherwise(nothing));
    };
    CHECK(look(false) == 6);
    CHECK(look(true) == 5);
    there.write_all("x");
    CHECK(look(false) == 4);
    CHECK(look(true) == 4);
    here.read(zsync::mutable_buffer(&room, 1));
    promise.set_value(1);
    CHECK(look(false) == 3);
    CHECK(future.get() == 1);
    zsync::promise<int> next;
    future = next.get_future();
    end.set();
    while (look(false) != 2) zsync::this_fiber::yield();
    fiber.join();
    fiber = zsync::fiber<>([] { zsync::this_fiber::sleep_for(1h); });
    zsync::fiber taker([&rx = full_rx] { return rx.recv(); });
    std::size_t fired = 5;
    while (fired == 5) fired = look(true);  // until the other waits
    CHECK(fired == 1);
    CHECK(taker.join() == 1);
    tx.send(1);
    CHECK(look(false) == 0);
    CHECK(zsync::select(on_writable(here, [] {}), zsync::after(10s, [] {})) == 0);
  });
}
