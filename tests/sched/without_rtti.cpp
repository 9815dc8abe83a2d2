#include "sched/without_rtti.hpp"

#include <zsync/zsync.hpp>

#include <chrono>

namespace without_rtti {

int children_of_groups() {
  using namespace std::chrono_literals;
  int ended = 0;
  {
    zsync::task_group outer;
    outer.spawn([&] {
      zsync::task_group inner;
      inner.spawn([&] {
        zsync::this_fiber::sleep_for(1ms);
        ++ended;
      });
      inner.wait();
      ++ended;
    });
    outer.wait();
  }
  zsync::task_group cancelled;
  cancelled.spawn([] { zsync::this_fiber::sleep_for(1h); });
  cancelled.cancel();
  cancelled.wait();
  return ended;
}

}  // namespace without_rtti
