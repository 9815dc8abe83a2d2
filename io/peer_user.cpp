#include <zsync/io/peer_user.hpp>

#include <zsync/io/kernel.hpp>

#include <sys/socket.h>
#include <unistd.h>

namespace zsync::detail {

bool peer_user(int fd, uid_t& user) noexcept {
#if defined(__linux__)
  ucred who{};
  socklen_t size = sizeof who;
  if (kernel::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return false;
  user = who.uid;
  return true;
#else
  gid_t group = 0;
  return ::getpeereid(fd, &user, &group) == 0;
#endif
}

}  // namespace zsync::detail
