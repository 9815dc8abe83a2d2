// Reading, writing, receiving and sending.
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/posix.hpp>

#include <cerrno>
#include <cstddef>

namespace {

ZSYNC_REAL(read);
ZSYNC_REAL(readv);
ZSYNC_REAL(recv);
ZSYNC_REAL(recvfrom);
ZSYNC_REAL(recvmsg);
ZSYNC_REAL(recvmmsg);
ZSYNC_REAL(write);
ZSYNC_REAL(writev);
ZSYNC_REAL(send);
ZSYNC_REAL(sendto);
ZSYNC_REAL(sendmsg);
ZSYNC_REAL(sendmmsg);

[[gnu::constructor]] void find_early() noexcept {
  zsync::interpose::find_all(real_read, real_readv, real_recv, real_recvfrom, real_recvmsg, real_write,
                             real_writev, real_send, real_sendto, real_sendmsg);
}

}  // namespace

using namespace zsync::interpose;
namespace posix = zsync::posix;

ZSYNC_REPLACES ssize_t read(int fd, void* buffer, std::size_t size) {
  if (!on_fiber()) return real_read(fd, buffer, size);
  const wait_ahead ahead("read", fd, POLLIN);
  return keeping_errno([&] { return posix::read(fd, buffer, size); });
}

ZSYNC_REPLACES ssize_t readv(int fd, const iovec* vector, int count) {
  if (!on_fiber()) return real_readv(fd, vector, count);
  const wait_ahead ahead("readv", fd, POLLIN);
  return keeping_errno([&] { return posix::readv(fd, vector, count); });
}

ZSYNC_REPLACES ssize_t recv(int fd, void* buffer, std::size_t size, int flags) {
  if (!on_fiber()) return real_recv(fd, buffer, size, flags);
  const wait_ahead ahead("recv", fd, POLLIN, flags);
  return keeping_errno([&] { return posix::recv(fd, buffer, size, flags); });
}

ZSYNC_REPLACES ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                                socklen_t* length) {
  if (!on_fiber()) return real_recvfrom(fd, buffer, size, flags, from, length);
  const wait_ahead ahead("recvfrom", fd, POLLIN, flags);
  return keeping_errno([&] { return posix::recvfrom(fd, buffer, size, flags, from, length); });
}

ZSYNC_REPLACES ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (!on_fiber()) return real_recvmsg(fd, message, flags);
  const wait_ahead ahead("recvmsg", fd, POLLIN, flags);
  return keeping_errno([&] { return posix::recvmsg(fd, message, flags); });
}

ZSYNC_REPLACES ssize_t write(int fd, const void* buffer, std::size_t size) {
  if (!on_fiber()) return real_write(fd, buffer, size);
  const wait_ahead ahead("write", fd, POLLOUT);
  return keeping_errno([&] { return posix::write(fd, buffer, size); });
}

ZSYNC_REPLACES ssize_t writev(int fd, const iovec* vector, int count) {
  if (!on_fiber()) return real_writev(fd, vector, count);
  const wait_ahead ahead("writev", fd, POLLOUT);
  return keeping_errno([&] { return posix::writev(fd, vector, count); });
}

ZSYNC_REPLACES ssize_t send(int fd, const void* buffer, std::size_t size, int flags) {
  if (!on_fiber()) return real_send(fd, buffer, size, flags);
  const wait_ahead ahead("send", fd, POLLOUT, flags);
  return keeping_errno([&] { return posix::send(fd, buffer, size, flags); });
}

ZSYNC_REPLACES ssize_t sendto(int fd, const void* buffer, std::size_t size, int flags, const sockaddr* to,
                              socklen_t length) {
  if (!on_fiber()) return real_sendto(fd, buffer, size, flags, to, length);
  const wait_ahead ahead("sendto", fd, POLLOUT, flags);
  return keeping_errno([&] { return posix::sendto(fd, buffer, size, flags, to, length); });
}

ZSYNC_REPLACES ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (!on_fiber()) return real_sendmsg(fd, message, flags);
  const wait_ahead ahead("sendmsg", fd, POLLOUT, flags);
  return keeping_errno([&] { return posix::sendmsg(fd, message, flags); });
}

ZSYNC_REPLACES int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  if (!on_fiber()) return real_recvmmsg(fd, messages, count, flags, timeout);
  const wait_ahead ahead("recvmmsg", fd, POLLIN, flags);
  return keeping_errno([&] { return posix::recvmmsg(fd, messages, count, flags, timeout); });
}

ZSYNC_REPLACES int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  if (!on_fiber()) return real_sendmmsg(fd, messages, count, flags);
  const wait_ahead ahead("sendmmsg", fd, POLLOUT, flags);
  return keeping_errno([&] { return posix::sendmmsg(fd, messages, count, flags); });
}

// ---- by other names: glibc's own, and what fortified programs call ----

ZSYNC_REPLACES [[noreturn]] void __chk_fail();

namespace {

void check(std::size_t size, std::size_t room) {
  if (size > room) ::__chk_fail();
}

}  // namespace

ZSYNC_REPLACES ssize_t __read(int fd, void* buffer, std::size_t size) { return ::read(fd, buffer, size); }

ZSYNC_REPLACES ssize_t __write(int fd, const void* buffer, std::size_t size) {
  return ::write(fd, buffer, size);
}

ZSYNC_REPLACES ssize_t __send(int fd, const void* buffer, std::size_t size, int flags) {
  return ::send(fd, buffer, size, flags);
}

ZSYNC_REPLACES ssize_t __read_chk(int fd, void* buffer, std::size_t size, std::size_t room) {
  check(size, room);
  return ::read(fd, buffer, size);
}

ZSYNC_REPLACES ssize_t __recv_chk(int fd, void* buffer, std::size_t size, std::size_t room, int flags) {
  check(size, room);
  return ::recv(fd, buffer, size, flags);
}

ZSYNC_REPLACES ssize_t __recvfrom_chk(int fd, void* buffer, std::size_t size, std::size_t room, int flags,
                                      sockaddr* from, socklen_t* length) {
  check(size, room);
  return ::recvfrom(fd, buffer, size, flags, from, length);
}
