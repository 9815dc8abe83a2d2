// A trace, read by somebody who did not write it.
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/mutex.hpp>
#include <zsync/io/unix.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <chrono>
#include <mutex>
#include <sstream>
#include <string>
#include <tuple>

namespace test = zsync::test;
using namespace std::chrono_literals;

namespace {

// What holds of every trace, then what `expect` says: of `tracks`, by name, each with its slices.
const char* const reader = R"(
import json, sys
events = json.load(sys.stdin)["traceEvents"]
last, open_, names, tracks, starts, ends = {}, {}, {}, {}, {}, {}
for e in events:
    track = e["pid"], e["tid"]
    if e["ph"] == "M":
        if e["name"] == "thread_name": names[track] = e["args"]["name"]
        continue
    assert e["ts"] >= last.get(track, 0), ("back in time", e)
    last[track] = e["ts"]
    if e["ph"] == "B":
        assert track not in open_, ("a slice in a slice", e)
        open_[track] = e
        tracks.setdefault(names[track], []).append(e)
    elif e["ph"] == "E":
        open_.pop(track)
    elif e["ph"] in "sf":
        side = starts if e["ph"] == "s" else ends
        assert e["id"] not in side, ("twice", e)
        assert track in open_, ("an arrow at no slice", e)
        side[e["id"]] = e
    else:
        assert False, e
assert not open_, open_
assert set(starts) == set(ends)
for i in starts: assert starts[i]["ts"] <= ends[i]["ts"], ("an arrow into the past", starts[i], ends[i])
def reasons(name): return {s["name"] for s in tracks[name]}
def categories(name): return {s["cat"] for s in tracks[name]}
def led_by(name):
    return {names[starts[i]["pid"], starts[i]["tid"]] for i in ends if names[ends[i]["pid"], ends[i]["tid"]] == name}
)";

std::string read_trace(const std::string& trace, const std::string& expectations) {
  const auto said = test::run_program({"python3", "-c", reader + expectations + "\nprint('as expected')"},
                                      {.input = trace});
  return said.out + said.err;
}

std::string trace_of(const zsync::runtime& of) {
  std::ostringstream out;
  of.write_trace(out);
  return out.str();
}

}  // namespace

TEST_CASE("a trace shows what fibers waited for, for how long, and who woke them", "[inspect]") {
  test::matrix([](zsync::runtime_options options) {
    options.trace_events = 10'000;
    zsync::runtime own(options);
    own.block_on([] {
      zsync::mutex lock;
      auto [tx, rx] = zsync::channel<int>(0);
      auto [here, there] = zsync::unix_stream::pair();
      zsync::task_group group;
      group.spawn({.name = "holds", .worker = 0}, [&] {
        const std::lock_guard hold(lock);
        zsync::this_fiber::sleep_for(20ms);
      });
      group.spawn({.name = "wants", .worker = 0}, [&] {
        zsync::this_fiber::sleep_for(5ms);
        const std::lock_guard hold(lock);
      });
      group.spawn({.name = "reads", .worker = 0}, [&peer = there] {
        std::byte one[1];
        peer.read(one);
      });
      group.spawn({.name = "receives", .worker = 0}, [&rx = rx] { std::ignore = rx.recv(); });
      zsync::this_fiber::sleep_for(10ms);
      group.spawn({.name = "sends", .worker = 0}, [&tx = tx, &out = here] {
        tx.send(1);
        out.write_all(std::string_view("x"));
      });
      group.wait();
    });
    CHECK(read_trace(trace_of(own), R"(
assert {"running", "sleep"} <= reasons("holds"), reasons("holds")
assert {"sleep", "mutex"} <= reasons("wants"), reasons("wants")
assert {"time", "lock", "running"} <= categories("wants")
assert "read" in reasons("reads") and "io" in categories("reads")
assert "channel receive" in reasons("receives")
assert "holds" in led_by("wants"), led_by("wants")
assert "sends" in led_by("receives"), led_by("receives")
assert any(n.startswith("worker ") for n in led_by("holds")), led_by("holds")
assert "sleep" in reasons("worker 0")
)") == "as expected\n");
  });
}

TEST_CASE("a trace of a full ring, taken while fibers run, is whole", "[inspect]") {
  test::matrix({.backends = false, .policies = true}, [](zsync::runtime_options options) {
    options.trace_events = 500;
    zsync::runtime own(options);
    own.block_on([&] {
      zsync::task_group group;
      zsync::mutex lock;
      for (int i = 0; i < 20; ++i) {
        group.spawn([&, i] {
          for (int k = 0; k < 200; ++k) {
            const std::lock_guard hold(lock);
            k % 7 == i % 7 ? zsync::this_fiber::sleep_for(10us) : zsync::this_fiber::yield();
            zsync::fiber([] {}).join();
          }
        });
      }
      for (int i = 0; i < 3; ++i) {
        CHECK(read_trace(trace_of(own), "") == "as expected\n");
        zsync::this_fiber::yield();
      }
      group.wait();
    });
  });
  const zsync::runtime off;
  CHECK(read_trace(trace_of(off), "assert not tracks") == "as expected\n");
}

#if defined(ZSYNC_RUN)
TEST_CASE("zsync-run writes a trace of a sample", "[inspect]") {
  CHECK(
      test::run_program(
          {"sh", "-c", R"(f=$(mktemp) && "$0" pipeline -n 20 --trace "$f" && cat "$f"; rm "$f")", ZSYNC_RUN})
          .out.find("\"channel receive\"") != std::string::npos);
  CHECK(test::run_program({ZSYNC_RUN, "pipeline", "--trace", "/nowhere/trace"}).exit_code == 1);
}
#endif
