// What Linux and FreeBSD do in one system call and macOS in two, or by another name. Descriptors come out
// closed on exec; where that takes a call of its own, a child that is started in between inherits them, and
// so closes them itself (process.cpp).
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace zsync::detail {

// As of the system calls: -1, and errno says why.
int open_socket(int family, int type) noexcept;                                    // non-blocking
int open_socket_pair(int family, int type, int (&ends)[2]) noexcept;               // non-blocking
int open_pipe(int (&ends)[2], bool blocking = false) noexcept;                     // [0] reads
int accept_connection(int listener, sockaddr* address, socklen_t* size) noexcept;  // non-blocking
// accept4(), which macOS has not, nor flags for it.
int accept_with(int listener, sockaddr* address, socklen_t* size, int flags) noexcept;

// Keeps writes to a socket from raising SIGPIPE where send() has no flag for it. For sockets made elsewhere.
void silence(int fd) noexcept;
#if defined(MSG_NOSIGNAL)
inline constexpr int no_sigpipe = MSG_NOSIGNAL;  // of send()
#else
inline constexpr int no_sigpipe = 0;
#endif

// Descriptors that a message brings are closed on exec, by this flag of recvmsg() or by the caller.
#if defined(MSG_CMSG_CLOEXEC)
inline constexpr int received_close_on_exec = MSG_CMSG_CLOEXEC;
#else
inline constexpr int received_close_on_exec = 0;
#endif
void close_on_exec(int fd) noexcept;

// What recv() is asked for and never waits for: errors of what was sent, and what is urgent.
#if defined(MSG_ERRQUEUE)
inline constexpr int never_waiting = MSG_ERRQUEUE | MSG_OOB;
#else
inline constexpr int never_waiting = MSG_OOB;
#endif
// For poll(): the peer sends no more, as far as it can be told.
#if defined(POLLRDHUP)
inline constexpr short poll_peer_ended = POLLRDHUP;
#else
inline constexpr short poll_peer_ended = 0;
#endif
// A connect() that had to be waited for has ended: lets the kernel take note that its caller knows, so that
// the next one is refused, or begins anew, as after one that blocked. Zero, or the errno of an end since
// then.
int settle_connection(int fd, const sockaddr* address, socklen_t size) noexcept;

// Several datagrams, with one system call where there is one. How many, or -1.
#if defined(__APPLE__)
struct counted_message {
  msghdr msg_hdr;
  std::size_t msg_len;
};
#else
using counted_message = mmsghdr;
#endif
int send_messages(int fd, counted_message* messages, unsigned count, int flags) noexcept;
int receive_messages(int fd, counted_message* messages, unsigned count, int flags) noexcept;

// At most `count` bytes of a file into a socket that does not block. How many, 0 at the file's end, or -1.
std::int64_t send_from_file(int socket, int file, off_t position, std::size_t count) noexcept;

// As getenv(), but nothing for a program that has more rights than who started it.
const char* trusted_environment(const char* name) noexcept;

// The calling thread is to leave the CPUs to others; where only a whole process can, nothing happens.
void lower_priority() noexcept;

int sync_data(int fd) noexcept;
std::int64_t modified_at(const struct stat& s) noexcept;  // nanoseconds since 1970

// A descriptor that becomes readable once, and stays so. Not more than one thread at a time.
class flag_descriptor {
 public:
  flag_descriptor() noexcept = default;
  ~flag_descriptor();
  flag_descriptor(const flag_descriptor&) = delete;
  flag_descriptor& operator=(const flag_descriptor&) = delete;

  [[nodiscard]] int open(bool raised) noexcept;  // what to wait for, the same each time; -1: none to be had
  void raise() noexcept;                         // nothing happens before open()

 private:
  int reader_ = -1;
  int writer_ = -1;
};

}  // namespace zsync::detail
