// Runs a program of fibers, as it is, on a simulated machine: one thread, a clock that moves only when
// nothing can run, a network that loses, delays and breaks, and an order of events that a seed decides. The
// same seed is the same run, so a failure that takes a million runs to show can be looked at as often as one
// likes.
//
//     zsync::sim::explore({}, 10'000, [] {
//       auto server = zsync::sim::add_host("server");
//       zsync::sim::between(server, zsync::sim::here()).loss(0.01).latency(1ms, 20ms);
//       auto serving = server.spawn(serve);
//       auto s = zsync::tcp_stream::connect("server", 80);
//       ...
//     });
//
// Everything of zsync works within, but for child processes, signals, terminals, pipes and `posix`: sockets
// are the simulation's, files are real, and blocking() calls where it stands. A program must not use threads,
// nor clocks and random numbers other than zsync::clock and sim::random(): they would make two runs of one
// seed differ.
#pragma once

#include <zsync/io/sim/network.hpp>
#include <zsync/io/sim/options.hpp>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace zsync::sim {

// The run came to no end: all fibers wait, and for nothing that will come (a deadlock), or it took more steps
// or time than it may. what() lists the fibers with what they wait for.
class failure : public std::runtime_error {
 public:
  failure(const std::string& why, report of) : std::runtime_error(why), report_(std::move(of)) {}
  [[nodiscard]] const report& of() const noexcept { return report_; }

 private:
  report report_;
};

// Runs `program` in a fiber of the first host, "main", until it returns; then all other fibers are cancelled
// and unwound. Throws what it throws, or `failure`. From a plain thread.
report run(const options& how, const std::function<void()>& program);

// The same with `seeds` seeds, from how.seed on; the last one's report. The first that fails ends it: the
// seed is written to stderr and what it threw goes on; so is that of one that aborts. ZSYNC_SIM_SEED=N in the
// environment runs that seed alone, and ZSYNC_SIM_SEEDS=N as many as that.
report explore(const options& how, std::uint64_t seeds, const std::function<void()>& program);

// Within a run: 0 <= result < below, drawn from the seed. `below` is at least 1.
std::uint64_t random(std::uint64_t below);

}  // namespace zsync::sim
