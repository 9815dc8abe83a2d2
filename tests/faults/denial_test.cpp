// What the system denies comes out of the call that asked for it, as std::bad_alloc or as the error that is
// documented, or is done without: whichever request it is, nothing hangs, crashes, is lost or is left behind.
#include "faults/denial.hpp"

#include "io/connections.hpp"
#include "support/matrix.hpp"

#include <zsync/timer/timer_queue.hpp>
#include <zsync/zsync.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace test = zsync::test;
using namespace std::chrono_literals;
using test::denied;
using test::request;

namespace {

void expect(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// scenario(options) makes a runtime of its own.
template <class F>
void in_want_of(request what, const char* title, std::vector<denied> manners, F scenario) {
  for (const auto& [options, name] : test::combinations()) {
    for (const denied manner : manners) {
      DYNAMIC_SECTION(title << ", " << name
                            << (manner == denied::one ? ", one denied" : ", all denied from one on")) {
        const test::denial_report report =
            test::deny_each(what, manner, [&, chosen = options] { scenario(chosen); });
        INFO(report.denials << " requests were denied");
        CHECK(report.failure == "");
        const bool asks = (what != request::watch && what != request::peace) ||
                          options.backend != zsync::io_backend::io_uring;
        CHECK((report.failure != "" || report.denials > 0 || !asks));
      }
    }
  }
}

// In a runtime that begins and ends with it.
auto in_runtime(void (*scenario)()) {
  return [scenario](const zsync::runtime_options& options) { zsync::run(scenario, options); };
}

void in_want_of_memory(const char* title, void (*scenario)()) {
  in_want_of(request::memory, title, {denied::one, denied::all_from_there_on}, in_runtime(scenario));
}

// ---- what is tried ----

void spawn_and_join() {
  int ran = 0;
  zsync::fiber<int> one([&] { return ++ran; });
  auto two = zsync::spawn({.name = "a name that has no room in a short string", .stack_size = 32 * 1024},
                          [text = std::string(100, 'x')] { return text; });
  struct alignas(64) wide {
    char bytes[256];
  };
  auto three = zsync::spawn([w = wide{}] { return w.bytes[0]; });
  auto four = zsync::spawn({.policy = zsync::scheduling::work_stealing}, [] { zsync::this_fiber::yield(); });
  auto five = zsync::spawn({.worker = 0}, [] { zsync::this_fiber::sleep_for(1us); });
  auto lets_go = zsync::spawn([] {});
  lets_go.detach();
  expect(one.join() == 1, "a fiber had another result");
  expect(two.join().size() == 100, "a fiber had another result");
  three.join();
  four.join_for(1s);
  five.join();
}

void group_of_fibers() {
  zsync::task_group group;
  int ran = 0;
  int spawned = 0;
  const auto spawn_some = [&] {
    for (int i = 0; i < 10; ++i) {
      group.spawn([&] {
        zsync::this_fiber::yield();
        ran += std::string(100, 'x').size() == 100 ? 1 : 0;
      });
      ++spawned;
    }
  };
  spawn_some();
  group.wait();
  expect(ran == spawned, "a child has not run");
  expect(group.size() == 0, "a child is left");
}

// Messages that were sent arrive, whichever channel carries them.
template <class Channel>
void pass_through(Channel ends) {
  auto& [tx, rx] = ends;
  long sent = 0;
  long received = 0;
  {
    zsync::task_group group;
    group.spawn([&, &out = tx] {
      for (int i = 1; i <= 20; ++i) {
        try {
          std::string message(static_cast<std::size_t>(40 + i), 'x');
          const auto size = static_cast<long>(message.size());
          if (out.send(std::move(message))) sent += size;
        } catch (const std::bad_alloc&) {
        }
      }
      out.close();
    });
    while (const auto message = rx.recv()) received += static_cast<long>(message->size());
    group.wait();
  }
  expect(sent == received, "a message is lost or doubled");
}

void channels() {
  pass_through(zsync::channel<std::string>(4));
  pass_through(zsync::channel<std::string>(0));
  pass_through(zsync::unbounded_channel<std::string>());
  pass_through(zsync::oneshot<std::string>());
}

void broadcasts() {
  auto [tx, rx] = zsync::broadcast<std::string>(4);
  auto second = tx.subscribe();
  int sent = 0;
  for (int i = 0; i < 4; ++i) {
    try {
      if (tx.send(std::string(50, 'x'))) ++sent;
    } catch (const std::bad_alloc&) {
    }
  }
  tx.close();
  int received = 0;
  for (std::string message; rx.recv_for(message, 1s) == zsync::channel_status::success;) ++received;
  expect(sent == received, "a broadcast is lost");
  auto [shows, sees] = zsync::watch<std::string>(std::string(50, 'a'));
  shows.send(std::string(60, 'b'));
  expect(sees.get().size() == 60, "a watch shows something old");
}

void wide_select() {
  auto [tx, rx] = zsync::unbounded_channel<int>();
  constexpr int many = 20;
  int sent = 0;
  int received = 0;
  zsync::fiber<> sender([&, &out = tx] {
    for (int i = 0; i < many; ++i) {
      zsync::this_fiber::yield();
      try {
        if (out.send(i)) ++sent;
      } catch (const std::bad_alloc&) {
      }
    }
    out.close();
  });
  bool open = true;
  const auto take = [&](std::optional<int> got) { got ? ++received : open = false, void(); };
  while (open) {
    const auto of = [&, &in = rx] { return zsync::on_recv(in, take); };
    try {
      zsync::select(of(), of(), of(), of(), of(), of(), of(), of(), of(), of(), of(), of(), of(), of(), of(),
                    of(), of(), of(), of(), of());
    } catch (const std::bad_alloc&) {
      zsync::this_fiber::yield();
      if (rx.is_closed() && rx.size() == 0) break;
    }
  }
  sender.join();
  int more = 0;
  while (rx.try_recv(more) == zsync::channel_status::success) ++received;
  expect(sent == received, "a message is lost in a select");
}

void futures() {
  zsync::promise<std::string> first;
  zsync::promise<int> second;
  auto longer = first.get_future().then([](std::string s) { return s + s; });
  auto both = zsync::when_all(std::move(longer), second.get_future());
  zsync::packaged_task<int(int)> doubled([](int n) { return 2 * n; });
  auto third = doubled.get_future();
  auto any = zsync::async([] { return std::string(100, 'y'); });
  zsync::fiber<> setter([&] {
    zsync::this_fiber::yield();
    first.set_value(std::string(50, 'x'));
    second.set_value(2);
    doubled(21);
  });
  setter.join();
  const auto [text, number] = both.get();
  expect(text.size() == 100 && number == 2, "a future has another value");
  expect(third.get() == 42, "a packaged task has another result");
  expect(any.get().size() == 100, "async has another result");
  std::vector<zsync::future<int>> several;
  for (int i = 0; i < 3; ++i) several.push_back(zsync::async([i] { return i; }));
  const auto [index, value] = zsync::when_any(std::move(several)).get();
  expect(static_cast<int>(index) == value, "when_any has taken one for another");
}

// Who cannot have a timer waits all the same, and no shorter.
void nobody_is_early() {
  const auto begun = zsync::clock::now();
  const auto lasted = [&](zsync::clock::duration d) { return zsync::clock::now() - begun >= d; };
  bool called_early = false;
  auto call = zsync::call_after(3ms, [&] { called_early = !lasted(3ms); });
  auto [tx, rx] = zsync::channel<int>(1);
  zsync::fiber receiver([&, &in = rx] {
    int message = 0;
    expect(in.recv_for(message, 2ms) == zsync::channel_status::timeout, "a receive found a message");
    expect(lasted(2ms), "a receive gave up too soon");
  });
  zsync::this_fiber::sleep_for(1ms);
  expect(lasted(1ms), "a sleep was too short");
  receiver.join();
  while (call.pending()) zsync::this_fiber::sleep_for(1ms);
  expect(!called_early, "a call came too soon");
}

void timers() {
  int called = 0;
  auto soon = zsync::call_after(1us, [&] { ++called; });
  auto never = zsync::call_after(1h, [text = std::string(100, 'x')] {});
  expect(never.cancel(), "a call that is far away cannot be cancelled");
  zsync::interval every(1us);
  for (int i = 0; i < 3; ++i) every.tick();
  std::vector<zsync::fiber<>> sleepers;
  for (int i = 0; i < 5; ++i) {
    sleepers.push_back(zsync::spawn([] {
      const zsync::deadline_scope scope(1h);
      zsync::this_fiber::sleep_for(1us);
    }));
  }
  for (auto& one : sleepers) one.join();
  expect(zsync::timeout(1h, [] { return 7; }) == 7, "a timeout has changed a result");
  while (soon.pending()) zsync::this_fiber::yield();
}

// One for which there is no memory stands elsewhere than the others.
void timers_in_order(const zsync::runtime_options& /*options*/) {
  struct numbered : zsync::detail::timer_node {
    numbered()
        : timer_node([](timer_node& node) noexcept {
            auto& self = static_cast<numbered&>(node);
            self.came_as = ++*self.came;
          }) {}
    int* came = nullptr;
    int came_as = 0;
  };
  int came = 0;
  zsync::detail::timer_queue queue;
  std::array<numbered, 3> all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].came = &came;
    queue.add(all[i], zsync::deadline(zsync::clock::time_point(std::chrono::nanoseconds(10 * (i + 1)))));
  }
  queue.expire(zsync::clock::time_point(40ns), 10);
  for (std::size_t i = 0; i < all.size(); ++i)
    expect(all[i].came_as == static_cast<int>(i) + 1, "a timer expired out of order");
}

void locks() {
  zsync::mutex lock;
  zsync::condition_variable said;
  zsync::shared_timed_mutex shared;
  zsync::counting_semaphore<> permits(1);
  bool ready = false;
  {
    zsync::task_group group;
    for (int i = 0; i < 3; ++i) {
      group.spawn([&] {
        std::unique_lock hold(lock);
        said.wait(hold, [&] { return ready; });
        const std::unique_lock alone(shared, 1h);
        permits.acquire();
        zsync::this_fiber::yield();
        permits.release();
      });
    }
    zsync::this_fiber::yield();
    {
      const std::lock_guard hold(lock);
      ready = true;
    }
    said.notify_all();
    group.wait();
  }
  expect(lock.try_lock(), "a mutex is left locked");
  lock.unlock();
  expect(shared.try_lock(), "a shared mutex is left locked");
  shared.unlock();
}

void blocking_calls() {
  expect(zsync::blocking([] { return std::string(100, 'x'); }).size() == 100,
         "blocking() has another result");
  zsync::task_group group;
  int done = 0;
  std::mutex m;
  for (int i = 0; i < 3; ++i) {
    group.spawn([&] {
      zsync::blocking([&] {
        const std::lock_guard hold(m);
        ++done;
      });
    });
  }
  group.wait();
  expect(done == 3, "a blocking call was not made");
}

void locals_of_fibers() {
  zsync::fiber_local<std::string> name(std::string(50, 'x'));
  zsync::fiber_local<int> number;
  zsync::fiber<> one([&] {
    *name += 'y';
    *number = 3;
    zsync::this_fiber::yield();
    expect(name->size() == 51 && *number == 3, "a local is another's");
  });
  one.join();
  expect(name->size() == 50, "a local is another's");
}

void connections() {
  auto listener = test::listen_anywhere();
  zsync::task_group group;
  std::string got;
  group.spawn([&] {
    auto peer = listener.accept();
    std::array<std::byte, 64> buffer{};
    while (const std::size_t size = peer.read(buffer))
      peer.write_all(std::span<const std::byte>(buffer.data(), size));
  });
  group.spawn([&] {
    const zsync::deadline_scope limit(1h);
    auto stream = zsync::tcp_stream::connect(listener.local_address());
    stream.set_read_timeout(1h);
    zsync::this_fiber::yield();
    stream.write_all(std::string_view("ping"));
    stream.shutdown(zsync::shutdown_send);
    got = stream.read_all();
  });
  group.wait();
  expect(got == "ping", "what was read is not what was written");
}

void other_descriptors() {
  auto [reader, writer] = zsync::pipe();
  auto [left, right] = zsync::unix_stream::pair();
  auto from = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
  auto to = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
  zsync::fiber<> says([&, &w = writer, &r = right] {
    zsync::this_fiber::yield();
    w.write_all(std::string_view("pipe"));
    w.close();
    r.write_all(std::string_view("unix"));
    r.close();
    from.send_to(std::string_view("udp"), to.local_address());
  });
  // Whoever says it may be kept from it: then its end is what is read.
  try {
    const zsync::deadline_scope limit(1h);
    std::array<std::byte, 8> buffer{};
    const std::size_t first = reader.read(buffer);
    const std::size_t second = left.read(buffer);
    says.join();
    expect(first == 4 && second == 4, "something else was read");
    zsync::socket_address sender;
    expect(to.recv_from(buffer, sender) == 3, "a datagram is another");
  } catch (...) {
    writer.close();
    right.close();
    throw;
  }
}

void names() {
  expect(!zsync::resolve("localhost", "80").empty(), "localhost has no address");
  expect(zsync::resolve("127.0.0.1", "http").size() >= 1, "127.0.0.1 has no address");
}

// As text and for programs, while fibers wait for all sorts of things.
void dumps(const zsync::runtime_options& options) {
  zsync::runtime of(options);
  zsync::mutex lock;
  std::array<zsync::fiber<>, 3> waiting;  // what they wait for goes before them
  auto [tx, rx] = zsync::channel<int>(1);
  const std::unique_lock hold(lock);
  waiting[0] = of.spawn([&] { const std::lock_guard mine(lock); });
  waiting[1] = of.spawn([in = std::move(rx)] { (void)in.recv(); });
  waiting[2] = of.spawn([] { zsync::this_fiber::sleep_for(1h); });
  std::ostringstream text, json;
  of.dump(text);
  of.dump(json, zsync::dump_format::json);
  (void)of.stats();
}

// Nobody drives it but the caller, so whoever gives up must not wait for a fiber of its.
void own_loop(const zsync::runtime_options& options) {
  int ran = 0;
  zsync::loop own(options);
  for (int i = 0; i < 3; ++i) {
    own.post([&ran] {
      zsync::this_fiber::yield();
      ++ran;
    });
  }
  for (int i = 0; i < 5; ++i) own.poll();
  own.run();
  expect(ran <= 3, "a function was called twice");
}

void wants_mappings() {
  std::vector<zsync::fiber<>> parked;
  const auto again = zsync::spawn({.stack_size = 64 * 1024}, [] { return 1; });
  for (int i = 0; i < 3; ++i)
    parked.push_back(zsync::spawn({.stack_size = std::size_t{64} << 20}, [] { zsync::this_fiber::park(); }));
  zsync::this_fiber::yield();
  for (auto& one : parked) {
    one.cancel();
    try {
      one.join();
    } catch (const zsync::cancelled&) {
    }
  }
}

}  // namespace

TEST_CASE("whichever allocation fails, fibers and groups fail by it or go on", "[faults]") {
  in_want_of_memory("spawn and join", spawn_and_join);
  in_want_of_memory("group of fibers", group_of_fibers);
  in_want_of_memory("locals of fibers", locals_of_fibers);
  in_want_of_memory("blocking calls", blocking_calls);
}

TEST_CASE("whichever allocation fails, no message is lost, and no future takes another's value", "[faults]") {
  in_want_of_memory("channels", channels);
  in_want_of_memory("broadcasts", broadcasts);
  in_want_of_memory("wide select", wide_select);
  in_want_of_memory("futures", futures);
}

TEST_CASE("whichever allocation fails, who waits for a time or a lock goes on", "[faults]") {
  in_want_of_memory("timers", timers);
  in_want_of_memory("times", nobody_is_early);
  in_want_of_memory("locks", locks);
}

TEST_CASE("whichever allocation fails, timers expire in the order of their deadlines", "[faults]") {
  in_want_of(request::memory, "a queue", {denied::one, denied::all_from_there_on}, timers_in_order);
}

TEST_CASE("whichever allocation fails, connections, datagrams and names fail by it or go on", "[faults]") {
  in_want_of_memory("connections", connections);
  in_want_of_memory("other descriptors", other_descriptors);
  in_want_of_memory("names", names);
}

TEST_CASE("whichever allocation fails, dumps and loops fail by it or go on", "[faults]") {
  in_want_of(request::memory, "dumps", {denied::one, denied::all_from_there_on}, dumps);
  in_want_of(request::memory, "a loop", {denied::one, denied::all_from_there_on}, own_loop);
}

TEST_CASE("whichever mapping or guard of a stack fails, the fiber fails by it or goes on", "[faults]") {
  const std::vector<denied> both{denied::one, denied::all_from_there_on};
  in_want_of(request::mapping, "mmap", both, in_runtime(wants_mappings));
  in_want_of(request::advice, "madvise", both, in_runtime(wants_mappings));
  in_want_of(request::protection, "mprotect", both, in_runtime(wants_mappings));
}

TEST_CASE("whichever thread cannot be had, who needs it fails by it or goes on", "[faults]") {
  const std::vector<denied> both{denied::one, denied::all_from_there_on};
  in_want_of(request::thread, "threads", both, in_runtime(blocking_calls));
}

TEST_CASE("whichever descriptor cannot be had, who needs it fails by it, and loses no other", "[faults]") {
  const std::vector<denied> both{denied::one, denied::all_from_there_on};
  in_want_of(request::descriptor, "connections", both, in_runtime(connections));
  in_want_of(request::descriptor, "other descriptors", both, in_runtime(other_descriptors));
  in_want_of(request::descriptor, "names", both, in_runtime(names));
}

TEST_CASE("whichever descriptor cannot be watched, who waits for it fails by it", "[faults]") {
  const std::vector<denied> both{denied::one, denied::all_from_there_on};
  in_want_of(request::watch, "connections", both, in_runtime(connections));
  in_want_of(request::watch, "other descriptors", both, in_runtime(other_descriptors));
}

TEST_CASE("whichever call of the kernel is interrupted, nobody hears of it", "[faults]") {
  in_want_of(request::peace, "connections", {denied::one}, in_runtime(connections));
  in_want_of(request::peace, "other descriptors", {denied::one}, in_runtime(other_descriptors));
  in_want_of(request::peace, "timers", {denied::one}, in_runtime(timers));
}
