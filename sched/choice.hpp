// What a worker might do next, for a simulation to choose from. Not a public header.
#pragma once

#include <cstdint>

namespace zsync::detail {

class worker;
class fiber_control;

struct choice {
  enum class kind : std::uint8_t {
    resume,          // `fiber`, which is ready
    begin_youngest,  // of its newborns, as usual
    begin_oldest,    // as now and then
    take_shared,     // a started fiber that others could have stolen
    take_injected,   // a newborn from outside
    steal,           // from `victim`
    look,            // at timers, at the poller and at what others ask
  };
  kind what;
  worker* where = nullptr;  // nullptr: beneath all workers
  fiber_control* fiber = nullptr;
  worker* victim = nullptr;
};

}  // namespace zsync::detail
