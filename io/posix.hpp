// libc's blocking calls, for fibers: the same signatures, results and errno, so that blocking code ports by a
// namespace. Within a fiber they let others run instead of blocking the worker; on a plain thread they are
// libc.
//
// As in libc: a descriptor that is non-blocking by its owner's choice, or a call with MSG_DONTWAIT, does not
// wait; SO_RCVTIMEO and SO_SNDTIMEO hold; writes to a blocking descriptor go on until all is written;
// MSG_PEEK waits, MSG_WAITALL goes on, on streams (of recvmsg() until control data come). Different: never
// EINTR, never SIGPIPE; ECANCELED in a cancelled fiber, ETIMEDOUT once a deadline scope has expired, ENOMEM
// for want of memory, which is a bad_alloc elsewhere.
#pragma once

#include <netdb.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>

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

int accept(int fd, sockaddr* address, socklen_t* length);
int accept4(int fd, sockaddr* address, socklen_t* length, int flags);
int connect(int fd, const sockaddr* address, socklen_t length);
// Fibers that wait for it by these calls, on whichever worker, get EBADF. Returns once they have let go of
// the number. One that belongs to an object of this library is better closed by that: this finds the owner
// only on the worker where fibers wait for it.
int close(int fd);

int poll(pollfd* set, nfds_t count, int timeout);
int select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout);

unsigned sleep(unsigned seconds);
int usleep(useconds_t microseconds);
int nanosleep(const timespec* duration, timespec* remaining);

int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result);

}  // namespace zsync::posix
