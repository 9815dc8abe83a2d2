// The system calls that this library makes on behalf of fibers and of its workers, by names that nobody puts
// himself in front of. A library that replaces libc's blocking calls (io/interpose) gets those of the
// program; were it to get these as well, waiting for an event would itself wait for an event.
//
// As in libc: -1 and errno. Not cancellation points of pthread_cancel(). Other systems than Linux on x86-64,
// and checkers that have to see such calls, get libc's functions. Sockets of a simulation (simulated.hpp) are
// answered by it.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

struct epoll_event;
struct pollfd;
struct timespec;

namespace zsync::detail::kernel {

ssize_t read(int fd, void* buffer, std::size_t size) noexcept;
ssize_t readv(int fd, const iovec* vector, int count) noexcept;
ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset) noexcept;
ssize_t write(int fd, const void* buffer, std::size_t size) noexcept;
ssize_t writev(int fd, const iovec* vector, int count) noexcept;
ssize_t pwrite(int fd, const void* buffer, std::size_t size, off_t offset) noexcept;
int fsync(int fd) noexcept;

ssize_t recv(int fd, void* buffer, std::size_t size, int flags) noexcept;
ssize_t recvmsg(int fd, msghdr* message, int flags) noexcept;
ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                 socklen_t* length) noexcept;
ssize_t send(int fd, const void* buffer, std::size_t size, int flags) noexcept;
ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept;
ssize_t sendto(int fd, const void* buffer, std::size_t size, int flags, const sockaddr* to,
               socklen_t length) noexcept;
int socket(int family, int type) noexcept;
int socketpair(int family, int type, int (&ends)[2]) noexcept;
int bind(int fd, const sockaddr* address, socklen_t length) noexcept;
int listen(int fd, int backlog) noexcept;
int connect(int fd, const sockaddr* address, socklen_t length) noexcept;
int shutdown(int fd, int how) noexcept;
int getsockopt(int fd, int level, int name, void* value, socklen_t* length) noexcept;
int setsockopt(int fd, int level, int name, const void* value, socklen_t length) noexcept;
int getsockname(int fd, sockaddr* address, socklen_t* length) noexcept;
int getpeername(int fd, sockaddr* address, socklen_t* length) noexcept;
int close(int fd) noexcept;
int fcntl(int fd, int command, long argument = 0) noexcept;

int poll(pollfd* set, std::size_t count, int milliseconds) noexcept;
int nanosleep(const timespec* duration, timespec* remaining) noexcept;

#if !defined(__APPLE__)
int fdatasync(int fd) noexcept;
int accept4(int fd, sockaddr* address, socklen_t* length, int flags) noexcept;
int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept;
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept;
#endif
#if defined(__linux__)
ssize_t sendfile(int out, int in, off_t* position, std::size_t count) noexcept;
ssize_t splice(int in, off_t* in_at, int out, off_t* out_at, std::size_t count, unsigned flags) noexcept;
int epoll_wait(int epoll, epoll_event* events, int count, int milliseconds) noexcept;
#endif

}  // namespace zsync::detail::kernel
