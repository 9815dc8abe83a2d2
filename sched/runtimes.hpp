// The runtimes of this process, for what belongs to a process: a dump by signal, the inspection from outside.
// Not a public header.
#pragma once

#include <functional>
#include <memory>

namespace zsync::detail {

class scheduler;

// From its constructor's end to its destructor's beginning, which waits for visits. Those of a simulation are
// not listed: its threads are its own, and so is its time.
void enlist(scheduler& one);
void withdraw(scheduler& one) noexcept;

// One after the other, and none of them ends meanwhile; so `visit` must not wait for whoever reads what it
// writes. From plain threads.
void for_each_runtime(const std::function<void(scheduler&)>& visit);

// Opens the inspection of this process if the environment asks for it (ZSYNC_INSPECT=1), and keeps it open as
// long as any result lives; nullptr otherwise. What prevents it is said on stderr. Declared here and defined
// in io/, which has the sockets.
std::shared_ptr<const void> inspection_if_asked() noexcept;

}  // namespace zsync::detail
