// Every fiber of a runtime, as text or as JSON. Not a public header: runtime::dump() is what users call.
#pragma once

#include <zsync/sched/dump_format.hpp>

#include <iosfwd>

namespace zsync::detail {

class picture;
class scheduler;

// Asks each worker for its fibers, waits for the answers, and tells at least what those run that do not
// answer within 200 ms. From any thread, and from a fiber, whose worker does nothing else meanwhile.
void dump(scheduler& of, std::ostream& out, dump_format format = dump_format::text);

// The same on stderr, under a heading.
void dump_to_stderr(scheduler& of, const char* heading) noexcept;

// What was seen; see dump_format.hpp for the second.
void write_text(const picture& seen, std::ostream& out);
void write_json(const picture& seen, std::ostream& out);

}  // namespace zsync::detail
