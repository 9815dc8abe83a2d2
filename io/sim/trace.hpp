// What happens in a run, a line each, for who looks into one seed: which fiber goes on and where, what the
// network does. Not a public header.
#pragma once

#include <zsync/sched/choice.hpp>
#include <zsync/timer/clock.hpp>

#include <ostream>
#include <string_view>

namespace zsync::detail::simulated {

class trace {
 public:
  // Null: ZSYNC_SIM_TRACE in the environment, unless it is 0 or empty, means stderr.
  explicit trace(std::ostream* to);

  [[nodiscard]] bool on() const noexcept { return to_ != nullptr; }

  // `where` is a worker as "host/number", or "network".
  void line(clock::duration since_start, std::string_view where, std::string_view what) const;

 private:
  std::ostream* to_;
};

// "fiber 7 (reader) goes on", and so on.
std::string to_text(const choice& c);

}  // namespace zsync::detail::simulated
