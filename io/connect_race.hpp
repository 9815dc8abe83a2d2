// Connecting to a host with several addresses.
#pragma once

#include <zsync/io/descriptor.hpp>
#include <zsync/io/socket_address.hpp>

#include <system_error>
#include <vector>

namespace zsync::detail {

// Connects a TCP socket to whichever address answers first (RFC 8305, "happy eyeballs"): the families take
// turns, and the next address is tried when one fails or has not answered for a quarter of a second, while
// the earlier ones go on. Waits; empty, with the error of the last to fail, if none answers. A plain thread
// tries one after the other.
descriptor_ptr connect_first(std::vector<socket_address> addresses, std::error_code& ec);

}  // namespace zsync::detail
