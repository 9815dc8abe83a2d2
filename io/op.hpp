// One I/O operation, declared once for all engines: what is asked, its buffers, and its result.
//
//   idle --attempt() true--> done
//   idle --submit()--> waiting --completion--> done            (an engine that completes: io_uring)
//                         |
//                         +------event-------> idle, try again (an engine that reports readiness)
//
// An operation lives in the frame of whoever waits for it, and leaves that frame only when the kernel has
// let go of it: engine::cancel() hastens a completion, it never replaces one.
#pragma once

#include <zsync/fiber/parker.hpp>

#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace zsync::detail {

class descriptor;

enum class direction : std::uint8_t { in, out };

enum class op_kind : std::uint8_t {
  read,             // data, size: what is no socket
  write,            //
  receive,          // data, size, flags
  send,             //
  receive_message,  // data is a msghdr; flags
  send_message,     //
  receive_from,  // as these two, for one buffer and a name alone, where nobody asks for msg_flags: recvfrom()
  send_to,       // and sendto() take a tenth of a microsecond less
  accept,        // the result is a descriptor: non-blocking, closed on exec, unless data is an accept_request
  connect,       // data is a sockaddr of `size` bytes
  ready,         // nothing is moved: the result is 0 once `side` would not block
  call,          // `function`, for what engines do not know: repeated whenever `side` may not block any more
  read_at,       // data, size, offset: files, which never would block but take their time
  write_at,      //
  sync_file,     // flags: 1 for the data alone
};

// For an engine that completes, and for nobody else: the listener may be a blocking one. EAGAIN: it was not
// when the kernel was asked.
struct accept_request {
  sockaddr* address;
  socklen_t* length;
  int flags;
};

struct op {
  op(op_kind what, direction way, void* where = nullptr, std::size_t count = 0, int how = 0) noexcept
      : kind(what), side(way), flags(how), data(where), size(count) {}
  op(const op&) = delete;
  op& operator=(const op&) = delete;

  // Does it now, if that needs no waiting. False: it would block. Otherwise the result is there.
  [[nodiscard]] bool attempt() noexcept;

  void finish(std::int64_t value) noexcept {
    result = value;
    done = true;
  }
  // A system call that may block for want of readiness at `side` of `fd`; as those do, it returns -1 and sets
  // errno.
  using function_type = std::int64_t (*)(op&) noexcept;

  op(function_type what, direction way, void* argument, std::size_t count = 1) noexcept
      : op(op_kind::call, way, argument, count) {
    function = what;
  }

  [[nodiscard]] bool failed() const noexcept { return result < 0; }

  op_kind kind;
  direction side;
  bool done = false;
  bool connecting = false;  // connect() has been called, what remains is to ask how it went
  // Where the descriptor keeps it; see descriptor.hpp. Changed under the lock, but to and from `local` by its
  // home alone, which therefore may ask for that without the lock.
  enum place : std::uint8_t { nowhere, local, shared };
  std::atomic<place> listed = nowhere;
  // What a completing engine has done with it.
  enum stage : std::uint8_t { outside, deferred, in_kernel } at = outside;
  bool cancel_deferred = false;
  int fd = -1;
  int flags;
  void* data;
  std::size_t size;
  descriptor* target = nullptr;

  // Written before they are read, so nobody pays for a value before that.
  std::int64_t offset;     // of read_at and write_at
  std::int64_t result;     // once it is done: a count or a descriptor; below zero: a negated errno
  function_type function;  // of `call`
  parker* party;           // whose wait ends with it, while it is submitted
  op* next;                // in the descriptor's list
  op* previous;
  op* next_deferred;  // in the engine's list
};

// First in, first out; guarded as its owner says.
class op_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] op* front() const noexcept { return head_; }
  void push_back(op& o) noexcept {
    o.previous = tail_;
    o.next = nullptr;
    (tail_ != nullptr ? tail_->next : head_) = &o;
    tail_ = &o;
  }
  void remove(op& o) noexcept {
    (o.previous != nullptr ? o.previous->next : head_) = o.next;
    (o.next != nullptr ? o.next->previous : tail_) = o.previous;
  }

 private:
  op* head_ = nullptr;
  op* tail_ = nullptr;
};

}  // namespace zsync::detail
