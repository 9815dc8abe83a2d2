// What two connections say to each other, passed on.
#pragma once

#include <zsync/zsync.hpp>

namespace samples {

// Both ways at once, until both have ended; the end of one direction is passed on as such. Throws
// std::system_error if either connection breaks.
void relay(zsync::tcp_stream& a, zsync::tcp_stream& b);

}  // namespace samples
