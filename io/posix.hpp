// libc's blocking calls, for fibers: the same signatures, results and errno, so that blocking code ports by a
// namespace. Within a fiber they let others run instead of blocking the worker; on a plain thread they are
// libc.
//
// As in libc: a descriptor that is non-blocking by its owner's choice, or a call with MSG_DONTWAIT, does not
// wait; SO_RCVTIMEO and SO_SNDTIMEO hold; writes to a blocking descriptor go on until all is written;
// MSG_PEEK waits, MSG_WAITALL goes on, on streams (of recvmsg() until control data come). Files are written
// by one call, on the worker. SO_RCVLOWAT holds where io/interpose sees that it is set. Different: never
// EINTR, never SIGPIPE; ECANCELED in a cancelled fiber, ETIMEDOUT once a deadline scope has expired, ENOMEM
// for want of memory, which is a bad_alloc elsewhere. Signal masks are threads', so that of ppoll() and
// pselect() is left as it is.
#pragma once

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>

#if defined(__linux__)
struct epoll_event;
#endif

namespace zsync::posix {

ssize_t read(int fd, void* buffer, std::size_t size);
ssize_t write(int fd, const void* buffer, std::size_t size);
ssize_t readv(int fd, const iovec* vector, int count);
ssize_t writev(int fd, const iovec* vector, int count);
ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset);
ssize_t pwrite(int fd, const void* buffer, std::size_t size, off_t offset);
int fsync(int fd);

ssize_t recv(int fd, void* buffer, std::size_t size, int flags);
ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from, socklen_t* length);
ssize_t recvmsg(int fd, msghdr* message, int flags);
ssize_t send(int fd, const void* buffer, std::size_t size, int flags);
ssize_t sendto(int fd, const void* buffer, std::size_t size, int flags, const sockaddr* to, socklen_t length);
ssize_t sendmsg(int fd, const msghdr* message, int flags);
#if !defined(__APPLE__)
// Waits until all have come, one with MSG_WAITFORONE, or the time is over, for which libc waits for another
// message: EAGAIN if there is none by then.
int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout);
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags);
#endif

int accept(int fd, sockaddr* address, socklen_t* length);
int accept4(int fd, sockaddr* address, socklen_t* length, int flags);
int connect(int fd, const sockaddr* address, socklen_t length);
// Fibers that wait for it by these calls, on whichever worker, get EBADF. Returns once they have let go of
// the number. One that belongs to an object of this library is better closed by that: this finds the owner
// only on the worker where fibers wait for it.
int close(int fd);

int poll(pollfd* set, nfds_t count, int timeout);
int ppoll(pollfd* set, nfds_t count, const timespec* timeout, const sigset_t* mask);
int select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout);
int pselect(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout,
            const sigset_t* mask);
#if defined(__linux__)
int epoll_wait(int epoll, epoll_event* events, int count, int timeout);
#endif

unsigned sleep(unsigned seconds);
int usleep(useconds_t microseconds);
int nanosleep(const timespec* duration, timespec* remaining);
// Returns the error, as libc's does. The real-time and the monotonic clock, and those of the system that are
// like them; a real-time clock that is set forward meanwhile is not noticed.
int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* remaining);

int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result);
int getnameinfo(const sockaddr* address, socklen_t length, char* host, socklen_t host_size, char* service,
                socklen_t service_size, int flags);

}  // namespace zsync::posix
