// The figures of all runtimes of the process, as an inspection is answered. Not a public header.
#pragma once

#include <string>

namespace zsync::detail {

// As the text format of Prometheus: what to_prometheus() tells, and of each worker how many fibers are ready
// and how long it took to answer.
std::string prometheus_of_all();

// For `zsync-run stat`: a line for each figure, its name and its value; `runtime NAME` begins those of the
// next runtime, and of each worker there is `worker INDEX READY NEWBORN MICROSECONDS`, or `worker INDEX
// silent`. The last is how long it took the worker to answer, which is about what a fiber that becomes ready
// has to wait.
std::string figures_of_all();

}  // namespace zsync::detail
