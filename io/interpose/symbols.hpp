// The functions that are replaced; of this list the self-test is made.
#pragma once

// clang-format would indent each line by more than the one before, and once more the next time.
// clang-format off
#define ZSYNC_REPLACED_SYMBOLS(X) \
  X(read) X(readv) X(recv) X(recvfrom) X(recvmsg) X(recvmmsg) X(write) X(writev) X(send) X(sendto) \
  X(sendmsg) X(sendmmsg) X(__read) X(__write) X(__send) X(__read_chk) X(__recv_chk) X(__recvfrom_chk) \
  X(accept) X(accept4) X(connect) X(__connect) X(close) X(__close) X(dup2) X(dup3) X(__dup2) \
  X(close_range) X(closefrom) X(fclose) X(fcntl) X(fcntl64) X(__fcntl) X(ioctl) X(flock) X(lockf) \
  X(lockf64) X(poll) X(__poll) X(__poll_chk) X(ppoll) X(__ppoll_chk) X(select) X(__select) X(pselect) \
  X(epoll_wait) X(epoll_pwait) X(epoll_pwait2) X(sleep) X(usleep) X(nanosleep) X(__nanosleep) \
  X(clock_nanosleep) X(thrd_sleep) X(getaddrinfo) X(getnameinfo) X(gethostbyname) X(gethostbyname2) \
  X(gethostbyaddr) X(gethostbyname_r) X(gethostbyname2_r) X(gethostbyaddr_r) X(res_query) \
  X(res_search) X(res_querydomain) X(res_send) X(res_nquery) X(res_nsearch) X(res_nquerydomain) \
  X(res_nsend) X(pread) X(pread64) X(__pread64) X(__pread_chk) X(__pread64_chk) X(pwrite) X(pwrite64) \
  X(__pwrite64) X(preadv) X(preadv64) X(pwritev) X(pwritev64) X(fsync) X(fdatasync) X(sendfile) \
  X(sendfile64) X(splice) X(waitpid) X(wait) X(wait4) X(pthread_join) X(pthread_mutex_lock) \
  X(pthread_mutex_trylock) X(pthread_mutex_timedlock) X(pthread_mutex_clocklock) \
  X(pthread_mutex_unlock) X(socket) X(socketpair) X(pipe) X(__pipe) X(pipe2) X(dup) X(shutdown) \
  X(setsockopt) X(fdopen) X(__wait) X(__waitpid) X(wait3) X(waitid) X(_Fork)
// clang-format on

// Declares as bytes what is a function, whatever its parameters: only its address is wanted.
#define ZSYNC_DECLARE_ADDRESS(name) extern "C" char zsync_address_of_##name[] __asm__(#name);
#define ZSYNC_ADDRESS(name) {#name, zsync_address_of_##name},

namespace zsync::interpose {

struct symbol_address {
  const char* name;
  const void* address;
};

}  // namespace zsync::interpose
