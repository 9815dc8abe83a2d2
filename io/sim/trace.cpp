#include <zsync/io/sim/trace.hpp>

#include <zsync/fiber/control.hpp>
#include <zsync/sched/worker.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

namespace zsync::detail::simulated {

trace::trace(std::ostream* to) : to_(to) {
  if (to_ != nullptr) return;
  const char* const asked = std::getenv("ZSYNC_SIM_TRACE");
  if (asked != nullptr && *asked != '\0' && std::string_view(asked) != "0") to_ = &std::cerr;
}

void trace::line(clock::duration since_start, std::string_view where, std::string_view what) const {
  const auto ns = static_cast<long long>(since_start.count());
  std::array<char, 40> time{};
  std::snprintf(time.data(), time.size(), "%6lld.%09lld", ns / 1'000'000'000, ns % 1'000'000'000);
  *to_ << time.data() << "  " << where << std::string(where.size() < 12 ? 12 - where.size() : 0, ' ') << "  "
       << what << '\n';
}

std::string to_text(const choice& c) {
  std::string of;
  if (c.fiber != nullptr) {
    of = "fiber " + std::to_string(c.fiber->id);
    if (c.fiber->name != nullptr) of += " (" + *c.fiber->name + ')';
  }
  switch (c.what) {
    case choice::kind::resume:
      return of + " goes on";
    case choice::kind::begin_youngest:
      return "the youngest newborn begins";
    case choice::kind::begin_oldest:
      return "the oldest newborn begins";
    case choice::kind::take_shared:
      return "a fiber that may move goes on";
    case choice::kind::take_injected:
      return "a newborn from outside begins";
    case choice::kind::steal:
      return "steals from another worker";
    case choice::kind::look:
      return "looks at timers and the kernel";
  }
  return of;
}

}  // namespace zsync::detail::simulated
