// Which descriptor a fiber waits for, for dumps; see sched/wait_details.hpp.
#include <zsync/sched/wait_details.hpp>

#include <zsync/io/descriptor.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/socket_address.hpp>

namespace zsync::detail {
namespace {

using name_call = int (*)(int, sockaddr*, socklen_t*) noexcept;

std::string name_by(name_call ask, int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* const name = reinterpret_cast<sockaddr*>(&storage);
  if (ask(fd, name, &length) != 0) return {};
  return socket_address::from_native(name, length).to_string();
}

}  // namespace

// The number stays open: who waits for it keeps it.
void describe_io_wait(wait_kind /*why*/, const void* on, wait_details& into) {
  const auto& d = *static_cast<const descriptor*>(on);
  into.fd = d.fd();
  if (!d.is_socket()) return;
  const int before = errno;
  into.local = name_by(&kernel::getsockname, d.fd());
  into.peer = name_by(&kernel::getpeername, d.fd());
  errno = before;
}

}  // namespace zsync::detail
