// Every fiber of a runtime, as text. Not a public header: runtime::dump() is what users call.
#pragma once

#include <iosfwd>

namespace zsync::detail {

class scheduler;

// Asks each worker for its fibers, waits for the answers, and tells at least what those run that do not
// answer within 200 ms. From any thread, and from a fiber, whose worker does nothing else meanwhile.
void dump(scheduler& of, std::ostream& out);

// The same on stderr, under a heading.
void dump_to_stderr(scheduler& of, const char* heading) noexcept;

}  // namespace zsync::detail
