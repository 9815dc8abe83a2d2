// The engine on io_uring: one ring a worker, operations that complete with their result.
//
// Submission queue entries gather until the worker has nothing ready (or takes its periodic look), and go to
// the kernel with the same io_uring_enter that waits. What is likely to succeed at once never comes here: the
// caller attempts it directly. A receive that is expected to wait says so (POLL_FIRST), which spares the
// kernel a vain attempt. Answers are gathered as well while other fibers are ready to run: one system call
// carries those of all of them.
//
// An operation: outside --submit--> in_kernel --completion--> outside
//                            \--> deferred --/      the submission queue is full and the kernel takes no more
//
// Deadlines are the worker's timers. A cancelled operation is awaited like any other: its completion may
// still carry a result.
#include <zsync/io/engine.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

namespace zsync::detail {
namespace {

constexpr unsigned default_entries = 256;
constexpr unsigned completions_an_entry = 4;

// Who keeps the worker from its look at the kernel for that long, several times in a row, delays answers that
// were gathered, so for so many looks none are. Once is nothing: another process may have had the processor.
constexpr std::chrono::milliseconds gathering_max{1};
constexpr unsigned late_looks_max = 3;
constexpr unsigned looks_without = 64;

// Completions that belong to no operation. Operations are aligned, so that small numbers are no addresses.
enum tag : std::uint64_t { ignored_tag = 0, wake_tag = 1 };

// Flags in the order of preference: kernel 6.1, 5.19, older.
constexpr unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_R_DISABLED,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
    IORING_SETUP_R_DISABLED,
};

constexpr int opcodes_needed[] = {
    IORING_OP_READ,     IORING_OP_WRITE,        IORING_OP_RECV,   IORING_OP_SEND,
    IORING_OP_RECVMSG,  IORING_OP_SENDMSG,      IORING_OP_ACCEPT, IORING_OP_CONNECT,
    IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_FSYNC,
};

// Tests make it small, so that it is full all the time.
unsigned ring_entries() noexcept {
  const char* const text = std::getenv("ZSYNC_URING_ENTRIES");
  unsigned n = 0;
  if (text == nullptr) return default_entries;
  const auto end = text + std::strlen(text);
  if (std::from_chars(text, end, n).ptr != end || n == 0 || n > 32768) return default_entries;
  return n;
}

// Zero, or an errno.
int set_up(io_uring& ring, unsigned entries) noexcept {
  int error = 0;
  for (const unsigned flags : setups) {
    io_uring_params p{};
    p.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    p.cq_entries = entries * completions_an_entry;
    error = -::io_uring_queue_init_params(entries, &ring, &p);
    if (error == EINVAL) continue;
    if (error != 0) return error;
    constexpr unsigned features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
    if ((p.features & features) == features) return 0;
    ::io_uring_queue_exit(&ring);
    return ENOSYS;
  }
  return error;
}

int missing_opcode(io_uring& ring) noexcept {
  io_uring_probe* const probe = ::io_uring_get_probe_ring(&ring);
  if (probe == nullptr) return ENOSYS;
  int error = 0;
  for (const int opcode : opcodes_needed) {
    if (::io_uring_opcode_supported(probe, opcode) == 0) error = ENOSYS;
  }
  ::io_uring_free_probe(probe);
  return error;
}

class uring final : public engine {
 public:
  uring() : engine(true), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (wake_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    if (const int error = set_up(ring_, ring_entries()); error != 0) {
      kernel::close(wake_);
      throw std::system_error(error, std::generic_category(), "io_uring_setup");
    }
  }
  ~uring() override {
    evict_all();
    ::io_uring_queue_exit(&ring_);
    kernel::close(wake_);
    if (notify_ >= 0) kernel::close(notify_);
  }

  // The thread that enables the ring is the one that may submit to it.
  void attach() override {
    if ((ring_.flags & IORING_SETUP_R_DISABLED) != 0) {
      // liburing 2.3 has a function for this, which its shared library does not export.
      if (::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) != 0) {
        throw std::system_error(errno, std::generic_category(), "enabling the io_uring");
      }
    }
    ::io_uring_register_ring_fd(&ring_);  // saves a look-up a call; works without
    arm_wake();
    ::io_uring_submit(&ring_);
  }

  void wait(deadline until) override;

  void wake() noexcept override {
    const int error = errno;  // a signal handler must not change it
    if (!woken_.exchange(true, std::memory_order_seq_cst)) ::eventfd_write(wake_, 1);
    if (const int notified = notify_; notified >= 0) ::eventfd_write(notified, 1);
    errno = error;
  }

  int native_handle() const noexcept override;

  bool prefers_attempt(const op& o, expectation what) const noexcept override {
    switch (o.kind) {
      case op_kind::send:
      case op_kind::send_message:
        return !may_gather(*o.target);
      case op_kind::send_to:
      case op_kind::write:
      case op_kind::call:
        return true;
      case op_kind::receive:
      case op_kind::receive_message:
      case op_kind::receive_from:
      case op_kind::read:
        return what == expectation::ready;
      case op_kind::accept:
        return what == expectation::ready && o.data == nullptr;
      default:
        return false;
    }
  }

  void submit(op& o) noexcept override;
  void cancel(op& o) noexcept override;
  void withdraw(const descriptor& d) noexcept override;

 private:
  [[nodiscard]] bool may_gather(const descriptor& d) const noexcept {
    return d.is_home(this) && d.answers() && looks_without_ == 0 && current_worker()->others_ready();
  }
  void judge_gathering() noexcept;
  io_uring_sqe* entry() noexcept;
  void arm_wake() noexcept;
  void defer(op& o) noexcept;
  void take_out(op& o) noexcept;
  void submit_deferred() noexcept;
  bool send_cancel(op& o) noexcept;
  std::size_t reap() noexcept;
  void complete(op& o, int result) noexcept;
  int enter(deadline until) noexcept;

  io_uring ring_{};
  const int wake_;
  bool wake_armed_ = false;
  std::atomic<bool> woken_{false};
  mutable std::atomic<int> notify_{-1};  // an eventfd, once somebody has asked for a handle
  std::size_t in_kernel_ = 0;
  bool gathered_ = false;         // an answer, since the last look
  unsigned late_looks_ = 0;       // in a row, with answers gathered
  unsigned looks_without_ = 0;    // gathering
  op* deferred_first_ = nullptr;  // operations, or their cancellations, that await a place in the queue
  op* deferred_last_ = nullptr;
};

// Nobody has tried it yet.
bool is_gathered(const op& o, const engine& here) noexcept {
  return (o.kind == op_kind::send || o.kind == op_kind::send_message) && o.target->is_home(&here) &&
         o.target->expects(direction::out) != expectation::empty;
}

void fill(io_uring_sqe& e, const op& o, const engine& here, bool gathered) noexcept {
  const auto size = static_cast<unsigned>(std::min<std::size_t>(o.size, 0x7ffff000));
  const auto flags = static_cast<unsigned>(o.flags);
  // A visitor knows nothing of what the descriptor's own worker expects.
  const bool expected_to_wait =
      (o.side == direction::out && !gathered) ||
      (o.target != nullptr && o.target->is_home(&here) && o.target->expects(o.side) == expectation::empty);
  const auto priority = static_cast<std::uint16_t>(expected_to_wait ? IORING_RECVSEND_POLL_FIRST : 0);
  switch (o.kind) {
    case op_kind::read:
      ::io_uring_prep_read(&e, o.fd, o.data, size, ~std::uint64_t{0});
      break;
    case op_kind::write:
      ::io_uring_prep_write(&e, o.fd, o.data, size, ~std::uint64_t{0});
      break;
    case op_kind::read_at:
      ::io_uring_prep_read(&e, o.fd, o.data, size, static_cast<std::uint64_t>(o.offset));
      break;
    case op_kind::write_at:
      ::io_uring_prep_write(&e, o.fd, o.data, size, static_cast<std::uint64_t>(o.offset));
      break;
    case op_kind::receive:
      ::io_uring_prep_recv(&e, o.fd, o.data, size, o.flags);
      e.ioprio = priority;
      break;
    case op_kind::send:
      ::io_uring_prep_send(&e, o.fd, o.data, size, o.flags | MSG_NOSIGNAL);
      e.ioprio = priority;
      break;
    case op_kind::receive_message:
    case op_kind::receive_from:
      ::io_uring_prep_recvmsg(&e, o.fd, static_cast<msghdr*>(o.data), flags);
      e.ioprio = priority;
      break;
    case op_kind::send_message:
    case op_kind::send_to:
      ::io_uring_prep_sendmsg(&e, o.fd, static_cast<const msghdr*>(o.data), flags | MSG_NOSIGNAL);
      e.ioprio = priority;
      break;
    case op_kind::accept: {
      constexpr accept_request ours{nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC};
      const auto& asked = o.data != nullptr ? *static_cast<const accept_request*>(o.data) : ours;
      ::io_uring_prep_accept(&e, o.fd, asked.address, asked.length, asked.flags);
      break;
    }
    case op_kind::connect:
      ::io_uring_prep_connect(&e, o.fd, static_cast<const sockaddr*>(o.data), static_cast<socklen_t>(o.size));
      break;
    case op_kind::ready:
    case op_kind::call:
      ::io_uring_prep_poll_add(&e, o.fd, o.side == direction::in ? POLLIN : POLLOUT);
      break;
    case op_kind::sync_file:
      ::io_uring_prep_fsync(&e, o.fd, o.flags != 0 ? IORING_FSYNC_DATASYNC : 0);
      break;
  }
}

// nullptr: the kernel takes no more for now, because completions have to be fetched first.
io_uring_sqe* uring::entry() noexcept {
  io_uring_sqe* e = ::io_uring_get_sqe(&ring_);
  if (e == nullptr) [[unlikely]] {
    ::io_uring_submit(&ring_);
    e = ::io_uring_get_sqe(&ring_);
  }
  return e;
}

// Multishot and never read: each write to the eventfd is one completion.
void uring::arm_wake() noexcept {
  io_uring_sqe* const e = entry();
  if (e == nullptr) return;  // wait() tries again
  ::io_uring_prep_poll_multishot(e, wake_, POLLIN);
  ::io_uring_sqe_set_data64(e, wake_tag);
  wake_armed_ = true;
}

void uring::submit(op& o) noexcept {
  io_uring_sqe* const e = entry();
  if (e == nullptr) [[unlikely]] {
    o.at = op::deferred;
    return defer(o);
  }
  const bool gathered = is_gathered(o, *this);
  gathered_ |= gathered;
  fill(*e, o, *this, gathered);
  ::io_uring_sqe_set_data(e, &o);
  o.at = op::in_kernel;
  ++in_kernel_;
}

void uring::defer(op& o) noexcept {
  o.next_deferred = nullptr;
  (deferred_last_ != nullptr ? deferred_last_->next_deferred : deferred_first_) = &o;
  deferred_last_ = &o;
}

void uring::take_out(op& o) noexcept {
  op* before = nullptr;
  op* at = deferred_first_;
  while (at != &o) {
    before = at;
    at = at->next_deferred;
  }
  (before != nullptr ? before->next_deferred : deferred_first_) = o.next_deferred;
  if (deferred_last_ == &o) deferred_last_ = before;
}

void uring::submit_deferred() noexcept {
  while (op* o = deferred_first_) {
    if (::io_uring_sq_space_left(&ring_) == 0) return;
    deferred_first_ = o->next_deferred;
    if (deferred_first_ == nullptr) deferred_last_ = nullptr;
    if (o->cancel_deferred) {
      o->cancel_deferred = false;
      send_cancel(*o);
    } else if (o->target != nullptr && o->target->closed()) {
      // Its number may be somebody else's by now.
      o->at = op::outside;
      if (o->listed.load(std::memory_order_relaxed) == op::local) o->target->unlist_local(*o);
      o->finish(-ECANCELED);
      if (claim(*o)) resume_anywhere(*o);
    } else {
      submit(*o);
    }
  }
}

bool uring::send_cancel(op& o) noexcept {
  io_uring_sqe* const e = entry();
  if (e == nullptr) return false;
  ::io_uring_prep_cancel(e, &o, 0);
  ::io_uring_sqe_set_data64(e, ignored_tag);
  return true;
}

void uring::cancel(op& o) noexcept {
  if (o.at == op::deferred) {
    take_out(o);
    o.at = op::outside;
    o.finish(-ECANCELED);
  } else if (o.at == op::in_kernel && !o.cancel_deferred && !send_cancel(o)) {
    o.cancel_deferred = true;
    defer(o);
  }
}

// Entries that the kernel has not taken are still ours, so this needs nothing of it.
void uring::withdraw(const descriptor& d) noexcept {
  const io_uring_sq& queue = ring_.sq;
  for (unsigned at = IO_URING_READ_ONCE(*queue.khead); at != queue.sqe_tail; ++at) {
    io_uring_sqe& e = queue.sqes[at & queue.ring_mask];
    if (e.user_data == wake_tag || e.user_data == ignored_tag) continue;
    op& o = *reinterpret_cast<op*>(e.user_data);
    if (o.target != &d) continue;
    ::io_uring_prep_nop(&e);
    ::io_uring_sqe_set_data64(&e, ignored_tag);
    complete(o, -ECANCELED);
  }
}

void uring::complete(op& o, int result) noexcept {
  --in_kernel_;
  if (o.cancel_deferred) {
    o.cancel_deferred = false;
    take_out(o);
  }
  o.at = op::outside;
  if (o.listed.load(std::memory_order_relaxed) == op::local) o.target->unlist_local(o);
  const bool polled = o.kind == op_kind::ready || o.kind == op_kind::call;
  o.finish(polled && result > 0 ? 0 : result);
  if (claim(o)) resume_anywhere(o);
}

std::size_t uring::reap() noexcept {
  std::size_t count = 0;
  unsigned head = 0;
  io_uring_cqe* c = nullptr;
  io_uring_for_each_cqe(&ring_, head, c) {
    ++count;
    const std::uint64_t data = c->user_data;
    if (data == wake_tag) {
      woken_.store(false, std::memory_order_seq_cst);
      if ((c->flags & IORING_CQE_F_MORE) == 0) wake_armed_ = false;
    } else if (data != ignored_tag) {
      complete(*reinterpret_cast<op*>(data), c->res);
    }
  }
  ::io_uring_cq_advance(&ring_, static_cast<unsigned>(count));
  return count;
}

// Below zero: the kernel took nothing.
int uring::enter(deadline until) noexcept {
  const bool look_only = until == deadline::passed();
  clock::duration left = look_only ? clock::duration::zero() : until.remaining();
  // Nothing to hand over, nothing to fetch: no system call for a mere look.
  const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
  const bool work =
      ::io_uring_sq_ready(&ring_) != 0 || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  if (left <= clock::duration::zero()) {
    return work ? ::io_uring_submit_and_get_events(&ring_) : 0;
  }
  io_uring_cqe* c = nullptr;
  if (until.is_never()) return ::io_uring_submit_and_wait(&ring_, 1);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  __kernel_timespec t{};
  t.tv_sec = seconds.count();
  t.tv_nsec = (left - seconds).count();
  const int error = ::io_uring_submit_and_wait_timeout(&ring_, &c, 1, &t, nullptr);
  return error == -ETIME ? 0 : error;
}

// The kernel refuses what is submitted, for want of memory most likely (EAGAIN, EBUSY). It stays in the queue
// and goes with the next call; until then the processor is somebody else's.
void rest(deadline until) noexcept {
  constexpr clock::duration longest = std::chrono::milliseconds{1};
  const timespec t{0, static_cast<long>(std::min(until.remaining(), longest).count())};
  kernel::nanosleep(&t, nullptr);
}

// The ring's own descriptor will not do: whoever polls it is not told of completions whose work is deferred
// until we enter. A registered eventfd is. It is written by wake() as well, for the ring may not run yet.
int uring::native_handle() const noexcept {
  if (notify_ >= 0) return notify_;
  const int fresh = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fresh < 0) return ring_.ring_fd;
  if (::io_uring_register_eventfd(const_cast<io_uring*>(&ring_), fresh) != 0) {
    kernel::close(fresh);
    return ring_.ring_fd;
  }
  notify_ = fresh;
  const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
  if (woken_ || ::io_uring_cq_ready(&ring_) != 0 || (flags & IORING_SQ_TASKRUN) != 0) {
    ::eventfd_write(fresh, 1);
  }
  return fresh;
}

void uring::judge_gathering() noexcept {
  if (looks_without_ != 0) --looks_without_;
  if (!std::exchange(gathered_, false)) return;
  const bool late = clock::now() - current_worker()->roughly_now() > gathering_max;
  late_looks_ = late ? late_looks_ + 1 : 0;
  if (late_looks_ == late_looks_max) {
    late_looks_ = 0;
    looks_without_ = looks_without;
  }
}

void uring::wait(deadline until) {
  if (notify_ >= 0) [[unlikely]] {
    eventfd_t seen = 0;
    ::eventfd_read(notify_, &seen);  // before we look, so that what comes later is told anew
  }
  read_mail();
  judge_gathering();
  if (!wake_armed_) arm_wake();
  submit_deferred();
  // What has arrived already, or cannot be submitted before something is fetched, is no reason to sleep.
  const bool fetched = reap() != 0;
  const int result = enter(fetched || deferred_first_ != nullptr ? deadline::passed() : until);
  if (reap() == 0 && !fetched && result < 0 && result != -EINTR && until != deadline::passed()) [[unlikely]]
    rest(until);
  read_mail();
}

}  // namespace

int uring_obstacle() noexcept {
  io_uring ring{};
  if (const int error = set_up(ring, 4); error != 0) return error;
  const int error = missing_opcode(ring);
  ::io_uring_queue_exit(&ring);
  return error;
}

std::unique_ptr<poller> make_uring() { return std::make_unique<uring>(); }

}  // namespace zsync::detail
