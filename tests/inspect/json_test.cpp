// A dump as JSON, read by somebody who did not write it.
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/mutex.hpp>
#include <zsync/channel/on_channel.hpp>
#include <zsync/channel/on_join.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/shared_mutex.hpp>
#include <zsync/sched/prometheus.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/wait_cycles.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <thread>

namespace test = zsync::test;
using namespace std::chrono_literals;

namespace {

template <class Runtime>
std::string dump_of(const Runtime& of, zsync::dump_format format) {
  std::ostringstream text;
  of.dump(text, format);
  return text.str();
}

// What `expression` says of the dump `d`, whose fibers are also in `f`, by their names.
std::string python(const std::string& json, const std::string& expression) {
  const auto said = test::run_program({"python3", "-c",
                                       "import json, sys\nd = json.loads(sys.stdin.buffer.read())\n"
                                       "f = {one['name']: one for one in d['fibers']}\nprint(" +
                                           expression + ")"},
                                      {.input = json});
  INFO(json);
  INFO(said.err);
  CHECK(said.exit_code == 0);
  return said.out.empty() ? "" : said.out.substr(0, said.out.size() - 1);
}

// Until so many fibers wait; their numbers are in the dump.
std::string json_with_waits(const zsync::runtime& of, std::size_t waits) {
  for (int i = 0;; ++i) {
    const std::string json = dump_of(of, zsync::dump_format::json);
    std::size_t found = 0;
    for (std::size_t at = 0; (at = json.find("\"state\": \"waiting\"", at)) != std::string::npos; ++at)
      ++found;
    if (found >= waits || i == 5000) return json;
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

TEST_CASE("a dump as JSON is valid whatever fibers are called", "[inspect]") {
  using namespace std::string_literals;
  test::matrix({.backends = false}, [](const zsync::runtime_options& options) {
    zsync::runtime_options named = options;
    named.name = "a \"runtime\"\n";
    zsync::runtime own(named);
    std::vector<zsync::fiber<>> all;
    for (const std::string& name :
         {"\"},{\"id\":7"s, "back\\slash \\u0041"s, "line\nfeed\x01\x7f\0nul"s,
          "not \xff\xfe UTF-8, cut \xe2\x82"s, "\xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80"s, "Zürich €"s}) {
      all.push_back(own.spawn({.name = name}, [] { zsync::this_fiber::park(); }));
    }
    const std::string json = json_with_waits(own, all.size());
    CHECK(python(json, "len(d['fibers'])") == "6");
    CHECK(python(json, "d['runtime'] == 'a \"runtime\"\\n'") == "True");
    CHECK(python(json,
                 "'\"},{\"id\":7' in f and 'back\\\\slash \\\\u0041' in f and "
                 "'line\\nfeed\\x01\\x7f\\0nul' in f and 'Z\\u00fcrich \\u20ac' in f") == "True");
    CHECK(
        python(json, "all(one['wait']['for'] == 'park' and len(one['stack']) > 3 for one in d['fibers'])") ==
        "True");
    // Not of who looks, on the stack of the one that waited last.
    CHECK(python(json, "any('list_fibers' in one for f in d['fibers'] for one in f['stack'])") == "False");
    // As text, a name stays on its line.
    CHECK(dump_of(own, zsync::dump_format::text).find("'line\\x0afeed\\x01\\x7f\\x00nul'") !=
          std::string::npos);
  });
}

TEST_CASE("a dump tells what a select waits for, and who has a shared lock", "[inspect]") {
  test::matrix({.backends = false, .policies = true}, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    auto [tx, rx] = zsync::channel<int>(3);
    auto [full_tx, full_rx] = zsync::channel<int>(0);
    auto parked = own.spawn({.name = "parked"}, [] { zsync::this_fiber::park(); });
    auto selects = own.spawn({.name = "selects"}, [&, &rx = rx, &full_tx = full_tx] {
      zsync::select(zsync::on_recv(rx, [](std::optional<int>) {}), zsync::on_send(full_tx, 1, [] {}),
                    zsync::on_join(parked, [] {}), zsync::after(1h, [] {}));
    });
    zsync::shared_timed_mutex lock;
    auto reads = own.spawn({.name = "reads"}, [&] {
      const std::shared_lock hold(lock);
      zsync::this_fiber::park();
    });
    json_with_waits(own, 3);
    auto writes = own.spawn({.name = "writes"}, [&] { const std::unique_lock hold(lock, 1h); });
    const std::string json = json_with_waits(own, 4);
    CHECK(python(json, "[(c['for'], c.get('channel')) for c in f['selects']['wait']['cases']]") ==
          "[('channel receive', {'size': 0, 'capacity': 3, 'closed': False}), "
          "('channel send', {'size': 0, 'capacity': 0, 'closed': False}), ('join', None)]");
    CHECK(python(json, "f['selects']['wait']['cases'][2]['fiber'] == f['parked']['id']") == "True");
    CHECK(python(json, "3500 < f['selects']['wait']['until_seconds'] <= 3600") == "True");
    CHECK(python(json, "f['writes']['wait']['readers']") == "1");
    reads.cancel();
    selects.cancel();
    parked.cancel();
    CHECK_THROWS_AS(reads.join(), zsync::cancelled);
    writes.join();
  });
}

TEST_CASE("a dump tells that who holds a worker is to be cancelled", "[inspect]") {
  zsync::runtime own({.workers = 1});
  std::atomic<bool> began = false, enough = false;
  auto holds = own.spawn({.name = "holds"}, [&] {
    began = true;
    while (!enough) {
    }
  });
  while (!began) std::this_thread::sleep_for(1ms);
  const std::string before = dump_of(own, zsync::dump_format::json);
  holds.cancel();
  const std::string after = dump_of(own, zsync::dump_format::json);
  CHECK_THAT(dump_of(own, zsync::dump_format::text),
             Catch::Contains("'holds' and did not answer, cancellation requested\n"));
  enough = true;
  CHECK(python(before, "d['workers'][0]['answered'], f['holds']['cancellation_requested']") == "False False");
  CHECK(python(after, "f['holds']['cancellation_requested']") == "True");
  holds.join();
}

TEST_CASE("a fiber that yields to newborns is counted as ready", "[inspect]") {
  zsync::runtime own({.workers = 1});
  std::string json;
  own.block_on([&] {
    zsync::fiber<> newborn([&] { json = dump_of(own, zsync::dump_format::json); });
    zsync::this_fiber::yield();
    newborn.join();
  });
  CHECK(python(json, "d['workers'][0]['ready'], [one['state'] for one in d['fibers']]") ==
        "1 ['ready', 'running']");
}

TEST_CASE("no fiber is told to wait for a lock of its own", "[inspect]") {
  namespace detail = zsync::detail;
  const auto circles_of = [](detail::wait_kind why) {
    detail::worker_listing listing;
    detail::fiber_record& one = listing.fibers.emplace_back();
    one.id = 7;
    one.self = 0x7000;
    one.state = detail::fiber_state::waiting;
    one.why = why;
    one.details = std::make_unique<detail::wait_details>();
    one.details->fiber = 7;
    one.details->holder = 0x7000;
    const detail::worker_listing* const all[] = {&listing};
    return detail::find_cycles(all).size();
  };
  CHECK(circles_of(detail::wait_kind::mutex) == 0);
  CHECK(circles_of(detail::wait_kind::shared_mutex) == 0);
  CHECK(circles_of(detail::wait_kind::join) == 1);

  // Whatever a plain thread does with the lock meanwhile.
  zsync::runtime own({.workers = 1});
  zsync::mutex lock;
  std::atomic<bool> enough = false;
  auto takes = own.spawn({.name = "takes"}, [&] {
    while (!enough) {
      const std::lock_guard hold(lock);
    }
  });
  std::thread takes_too([&] {
    while (!enough) {
      const std::lock_guard hold(lock);
    }
  });
  int wrong = 0;
  for (int i = 0; i < 300; ++i) {
    const std::string text = dump_of(own, zsync::dump_format::text);
    if (text.find("these wait for each other") != std::string::npos ||
        text.find("held by fiber") != std::string::npos) {
      ++wrong;
    }
  }
  enough = true;
  takes_too.join();
  takes.join();
  CHECK(wrong == 0);
}

TEST_CASE("figures are written as Prometheus reads them", "[inspect]") {
  zsync::runtime own({.workers = 1});
  own.block_on([] {});
  std::ostringstream text;
  zsync::to_prometheus(own.stats(), text, "a \"name\"\n");
  zsync::to_prometheus(own.stats(), text, "not \xff UTF-8 \u20ac");
  CHECK_THAT(text.str(), Catch::Contains("zsync_workers{runtime=\"not \ufffd UTF-8 \u20ac\"} 1\n"));
  CHECK_THAT(text.str(), Catch::Contains("# TYPE zsync_fibers_spawned_total counter\n"
                                         "zsync_fibers_spawned_total{runtime=\"a \\\"name\\\"\\n\"} 1\n"));
  CHECK_THAT(text.str(), Catch::Contains("# TYPE zsync_workers gauge\n"));
}
