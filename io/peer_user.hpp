// Who is at the other end of a unix socket. Not a public header.
#pragma once

#include <sys/types.h>

namespace zsync::detail {

// The user of the process that connected, as it was then. False: the kernel does not say.
bool peer_user(int fd, uid_t& user) noexcept;

}  // namespace zsync::detail
