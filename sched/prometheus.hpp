// The figures of a runtime in Prometheus' text format.
#pragma once

#include <zsync/sched/stats.hpp>

#include <iosfwd>
#include <string_view>

namespace zsync {

// Each with its HELP and TYPE, and `runtime` as a label: what a scrape is answered with. Names begin with
// `zsync_`. Of several runtimes in one answer, see `zsync-run stat PID --prometheus`, which groups them as
// the format asks. Waits for nothing; from any thread.
void to_prometheus(const runtime_stats& stats, std::ostream& out, std::string_view runtime = "zsync");

}  // namespace zsync
