// Traces of a runtime. Not a public header.
#pragma once

#include <iosfwd>

namespace zsync::detail {

class scheduler;

// As runtime::write_trace().
void write_trace(scheduler& of, std::ostream& out);

}  // namespace zsync::detail
