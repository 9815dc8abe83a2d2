// A part of a sample that is not made of fibers: it has a thread, and a loop of its own there.
#pragma once

#include <zsync/zsync.hpp>

#include <utility>

namespace samples {

// Calls `body` on a thread that is no worker's, and waits until it returns; rethrows what it throws. If the
// calling fiber is cancelled meanwhile, `stop` is called, from another thread than the body's, and the body
// should then return soon.
template <class Body, class Stop>
void on_own_thread(Body body, Stop stop) {
  zsync::task_group both;
  both.spawn([&] {
    const zsync::cancellation_shield to_the_end;
    zsync::blocking(body);
    both.cancel();
  });
  both.spawn([&] {
    try {
      zsync::this_fiber::park();
    } catch (const zsync::cancelled&) {  // by the other one, or by whoever cancels both
      stop();
      throw;
    }
  });
  both.wait();
}

}  // namespace samples
