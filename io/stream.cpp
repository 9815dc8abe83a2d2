#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/plain_io.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/sigpipe.hpp>
#include <zsync/io/stream.hpp>

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace zsync {
namespace detail {
namespace {

constexpr std::size_t vector_max = 64;       // buffers a call
constexpr std::size_t chunk_min = 4 * 1024;  // bytes, for reads of unknown length
constexpr std::size_t chunk_max = 256 * 1024;
constexpr std::size_t sendfile_max = 1024 * 1024;  // so that one call does not keep the worker for long

bool usable(const descriptor_ptr& d, std::error_code& ec) noexcept {
  if (d) [[likely]]
    return true;
  ec = error::closed;
  return false;
}

// Bytes moved.
std::size_t carry_out(descriptor& d, op& o, wait_kind why, clock::rep timeout, std::error_code& ec) {
  ec = perform(d, o, why, timeout);
  return ec ? 0 : static_cast<std::size_t>(o.result);
}

std::size_t receive(descriptor& d, void* to, std::size_t size, int flags, std::error_code& ec) {
  const clock::rep timeout = d.read_timeout.load(std::memory_order_relaxed);
  if (d.is_socket()) [[likely]] {
    op o(op_kind::receive, direction::in, to, size, flags);
    return carry_out(d, o, wait_kind::io_read, timeout, ec);
  }
  iovec vector{to, size};
  op o(d.kind() == descriptor_kind::shared_mode ? &read_shared : &read_own, direction::in, &vector);
  return carry_out(d, o, wait_kind::io_read, timeout, ec);
}

std::size_t send(descriptor& d, const std::byte* from, std::size_t size, std::error_code& ec) {
  const clock::rep timeout = d.write_timeout.load(std::memory_order_relaxed);
  const auto data = const_cast<std::byte*>(from);
  if (d.is_socket()) [[likely]] {
    op o(op_kind::send, direction::out, data, size);
    return carry_out(d, o, wait_kind::io_write, timeout, ec);
  }
  iovec vector{data, size};
  op o(d.kind() == descriptor_kind::shared_mode ? &write_shared : &write_own, direction::out, &vector);
  return carry_out(d, o, wait_kind::io_write, timeout, ec);
}

template <class Buffer>
std::size_t to_iovec(std::span<const Buffer> buffers, std::array<iovec, vector_max>& vector) noexcept {
  const std::size_t count = std::min(buffers.size(), vector.size());
  for (std::size_t i = 0; i < count; ++i) {
    vector[i].iov_base = const_cast<std::byte*>(buffers[i].data());
    vector[i].iov_len = buffers[i].size();
  }
  return count;
}

// The first buffer with anything in it: what a vectored call does where there is none.
template <class Buffer>
Buffer first_of(std::span<const Buffer> buffers) noexcept {
  const auto found = std::ranges::find_if(buffers, [](const Buffer& b) { return b.size() != 0; });
  return found != buffers.end() ? *found : Buffer();
}

}  // namespace

std::size_t read_some(const descriptor_ptr& d, mutable_buffer to, std::error_code& ec) {
  if (!usable(d, ec)) return 0;
  if (to.size() == 0) {
    ec.clear();
    return 0;
  }
  return receive(*d, to.data(), to.size(), 0, ec);
}

std::size_t read_exact(const descriptor_ptr& d, mutable_buffer to, std::error_code& ec) {
  ec.clear();
  std::size_t done = 0;
  while (done < to.size()) {
    const std::size_t n = read_some(d, to.from(done), ec);
    if (ec) break;
    if (n == 0) {
      ec = error::unexpected_eof;
      break;
    }
    done += n;
  }
  return done;
}

std::size_t read_vector(const descriptor_ptr& d, std::span<const mutable_buffer> to, std::error_code& ec) {
  if (!usable(d, ec)) return 0;
  const mutable_buffer first = first_of(to);
  if (first.size() == 0 || to.size() == 1 || !d->is_socket()) return read_some(d, first, ec);
  std::array<iovec, vector_max> vector;
  msghdr message{};
  message.msg_iov = vector.data();
  message.msg_iovlen = to_iovec(to, vector);
  op o(op_kind::receive_message, direction::in, &message, 1);
  return carry_out(*d, o, wait_kind::io_read, d->read_timeout.load(std::memory_order_relaxed), ec);
}

void read_all(const descriptor_ptr& d, std::string& to, std::size_t limit, std::error_code& ec) {
  ec.clear();
  std::size_t done = 0;
  std::size_t chunk = chunk_min;
  for (;;) {
    // One byte more than allowed tells too much from just enough.
    const std::size_t room = std::min(chunk, limit - done < no_limit ? limit - done + 1 : no_limit);
    to.resize(done + room);
    const std::size_t n = read_some(d, {to.data() + done, room}, ec);
    done += n;
    if (done > limit) {
      done = limit;
      ec = error::limit_exceeded;
    }
    if (ec || n == 0) break;
    if (n == room) chunk = std::min(chunk * 2, chunk_max);
  }
  to.resize(done);
}

// Looks before it takes, so that what follows the delimiter stays in the socket. What is no socket cannot be
// looked at, and is read byte by byte.
void read_until(const descriptor_ptr& d, std::string& to, std::string_view delimiter, std::size_t limit,
                std::error_code& ec) {
  ec.clear();
  if (!usable(d, ec)) return;
  std::array<char, 512> window;
  const bool looks = d->is_socket();
  while (!to.ends_with(delimiter)) {
    if (to.size() >= limit) {
      ec = error::limit_exceeded;
      return;
    }
    std::size_t wanted = std::min(looks ? window.size() : 1, limit - to.size());
    const std::size_t before = to.size();
    std::size_t n = receive(*d, window.data(), wanted, looks ? MSG_PEEK : 0, ec);
    if (!ec && n == 0) ec = error::unexpected_eof;
    if (ec) return;
    to.append(window.data(), n);
    const std::size_t overlap =
        std::min(before, delimiter.size() - std::min<std::size_t>(delimiter.size(), 1));
    if (const std::size_t at = to.find(delimiter, before - overlap); at != to.npos)
      to.resize(at + delimiter.size());
    wanted = to.size() - before;
    if (!looks) continue;
    n = read_exact(d, {window.data(), wanted}, ec);
    if (ec) {
      to.resize(before + n);
      return;
    }
  }
}

std::size_t write_some(const descriptor_ptr& d, const_buffer from, std::error_code& ec) {
  if (!usable(d, ec)) return 0;
  if (from.size() == 0) {
    ec.clear();
    return 0;
  }
  return send(*d, from.data(), from.size(), ec);
}

std::size_t write_all(const descriptor_ptr& d, const_buffer from, std::error_code& ec) {
  if (from.size() == 0) {
    ec.clear();
    return 0;
  }
  if (!usable(d, ec)) return 0;
  std::size_t done = 0;
  do {
    done += send(*d, from.data() + done, from.size() - done, ec);
  } while (!ec && done < from.size());
  return done;
}

std::size_t write_vector(const descriptor_ptr& d, std::span<const const_buffer> from, std::error_code& ec) {
  if (!usable(d, ec)) return 0;
  const const_buffer first = first_of(from);
  if (first.size() == 0 || from.size() == 1 || !d->is_socket()) return write_some(d, first, ec);
  std::array<iovec, vector_max> vector;
  msghdr message{};
  message.msg_iov = vector.data();
  message.msg_iovlen = to_iovec(from, vector);
  op o(op_kind::send_message, direction::out, &message, 1);
  return carry_out(*d, o, wait_kind::io_write, d->write_timeout.load(std::memory_order_relaxed), ec);
}

namespace {

struct file_part {
  int file;
  off_t position;
  std::size_t count;
};

std::int64_t send_part(op& o) noexcept {
  const auto& part = *static_cast<const file_part*>(o.data);
  return without_sigpipe(
      [&] { return send_from_file(o.fd, part.file, part.position, std::min(part.count, sendfile_max)); });
}

}  // namespace

std::size_t send_file(const descriptor_ptr& d, int file, std::uint64_t offset, std::size_t count,
                      std::error_code& ec) {
  ec.clear();
  if (!usable(d, ec)) return 0;
  make_nonblocking(*d);  // the call has no flag of its own for this
  file_part part{file, static_cast<off_t>(offset), count};
  while (part.count != 0) {
    op o(&send_part, direction::out, &part);
    ec = perform(*d, o, wait_kind::io_write, d->write_timeout.load(std::memory_order_relaxed));
    if (ec || o.result == 0) break;  // 0: the end of the file
    part.count -= static_cast<std::size_t>(o.result);
    part.position += static_cast<off_t>(o.result);
  }
  return count - part.count;
}

void make_nonblocking(descriptor& d) noexcept {
  with_fd(d, [](int fd) {
    const int mode = kernel::fcntl(fd, F_GETFL);
    if (mode >= 0 && (mode & O_NONBLOCK) == 0) kernel::fcntl(fd, F_SETFL, mode | O_NONBLOCK);
  });
}

void wait_ready(const descriptor_ptr& d, direction side, std::error_code& ec) {
  if (!usable(d, ec)) return;
  op o(op_kind::ready, side);
  const bool in = side == direction::in;
  ec = perform(*d, o, in ? wait_kind::io_read : wait_kind::io_write,
               (in ? d->read_timeout : d->write_timeout).load(std::memory_order_relaxed));
}

void set_timeout(std::atomic<clock::rep>& timeout, clock::duration d) noexcept {
  timeout.store((d > d.zero() ? d : descriptor::no_timeout).count(), std::memory_order_relaxed);
}

void throw_error(std::error_code ec, const char* what) { throw_if(ec, what); }

void fail_transfer(std::error_code ec, const char* what, std::size_t transferred) {
  if (ec == std::errc::operation_canceled) throw cancelled{};
  throw transfer_error(ec, what, transferred);
}

}  // namespace detail

int descriptor_owner::release() noexcept {
  const int fd = d_ ? d_->give_up() : -1;
  d_ = {};
  return fd;
}

}  // namespace zsync
