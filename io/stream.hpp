// Reading and writing bytes in order: what TCP and unix streams, pipes and standard streams have in common.
//
// Each call has two forms: the one without `ec` throws std::system_error, or `cancelled`; the one with it
// never throws but for want of memory, and gives operation_canceled instead. All wait as long as they must,
// up to the tightest deadline scope and the stream's own timeout; what has been moved by then is never lost.
// From fibers of any worker and from plain threads, several at a time: one reader and one writer, or more,
// whose calls then interleave. close() ends those that wait with error::closed.
#pragma once

#include <zsync/io/buffer.hpp>
#include <zsync/io/descriptor.hpp>
#include <zsync/sched/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace zsync {

// Thrown where a call has moved a part of what it was asked to.
class transfer_error : public std::system_error {
 public:
  transfer_error(std::error_code ec, const char* what, std::size_t transferred)
      : std::system_error(ec, what), transferred_(transferred) {}
  [[nodiscard]] std::size_t transferred() const noexcept { return transferred_; }  // bytes

 private:
  std::size_t transferred_;
};

inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

namespace detail {

std::size_t read_some(const descriptor_ptr& d, mutable_buffer to, std::error_code& ec);
std::size_t read_exact(const descriptor_ptr& d, mutable_buffer to, std::error_code& ec);
std::size_t read_vector(const descriptor_ptr& d, std::span<const mutable_buffer> to, std::error_code& ec);
void read_all(const descriptor_ptr& d, std::string& to, std::size_t limit, std::error_code& ec);
void read_until(const descriptor_ptr& d, std::string& to, std::string_view delimiter, std::size_t limit,
                std::error_code& ec);
std::size_t write_some(const descriptor_ptr& d, const_buffer from, std::error_code& ec);
std::size_t write_all(const descriptor_ptr& d, const_buffer from, std::error_code& ec);
std::size_t write_vector(const descriptor_ptr& d, std::span<const const_buffer> from, std::error_code& ec);
std::size_t send_file(const descriptor_ptr& d, int file, std::uint64_t offset, std::size_t count,
                      std::error_code& ec);
void make_nonblocking(descriptor& d) noexcept;  // nothing, once it is closed
void wait_ready(const descriptor_ptr& d, direction side, std::error_code& ec);
void set_timeout(std::atomic<clock::rep>& timeout, clock::duration d) noexcept;
[[noreturn]] void fail_transfer(std::error_code ec, const char* what, std::size_t transferred);
void throw_error(std::error_code ec, const char* what);

}  // namespace detail

// The reading half of `Stream`, which has a stream_descriptor().
template <class Stream>
class reads_bytes {
 public:
  // At least one byte, at most `to.size()`. 0: the end of the stream, or an empty buffer.
  std::size_t read(mutable_buffer to, std::error_code& ec) { return detail::read_some(d(), to, ec); }
  std::size_t read(mutable_buffer to) {
    std::error_code ec;
    const std::size_t n = detail::read_some(d(), to, ec);
    if (ec) [[unlikely]]
      detail::throw_error(ec, "read");
    return n;
  }

  // All of the buffer; the end of the stream is error::unexpected_eof. Returns how much arrived, also with an
  // error; the other form throws transfer_error, which says so.
  std::size_t read_exact(mutable_buffer to, std::error_code& ec) { return detail::read_exact(d(), to, ec); }
  void read_exact(mutable_buffer to) {
    std::error_code ec;
    const std::size_t n = detail::read_exact(d(), to, ec);
    if (ec) [[unlikely]]
      detail::fail_transfer(ec, "read_exact", n);
  }

  // Up to the end of the stream; error::limit_exceeded once there are more than `limit` bytes. With an error,
  // what has arrived is returned; the other form loses it.
  std::string read_all(std::error_code& ec, std::size_t limit = no_limit) {
    std::string all;
    detail::read_all(d(), all, limit, ec);
    return all;
  }
  std::string read_all(std::size_t limit = no_limit) {
    std::error_code ec;
    std::string all = read_all(ec, limit);
    if (ec) [[unlikely]]
      detail::fail_transfer(ec, "read_all", all.size());
    return all;
  }

  // Up to the delimiter, which is part of the result. The end of the stream before it is unexpected_eof, more
  // than `limit` bytes are limit_exceeded. Takes nothing from the stream that comes after the delimiter,
  // which costs two calls a piece; a buffered_reader does with fewer.
  std::string read_until(std::string_view delimiter, std::error_code& ec, std::size_t limit = no_limit) {
    std::string text;
    detail::read_until(d(), text, delimiter, limit, ec);
    return text;
  }
  std::string read_until(std::string_view delimiter, std::size_t limit = no_limit) {
    std::error_code ec;
    std::string text = read_until(delimiter, ec, limit);
    if (ec) [[unlikely]]
      detail::fail_transfer(ec, "read_until", text.size());
    return text;
  }
  std::string read_until(char delimiter, std::size_t limit = no_limit) {
    return read_until(std::string_view(&delimiter, 1), limit);
  }
  std::string read_until(char delimiter, std::error_code& ec, std::size_t limit = no_limit) {
    return read_until(std::string_view(&delimiter, 1), ec, limit);
  }

  // As read(), into several buffers, the first filled before the next.
  std::size_t readv(std::span<const mutable_buffer> to, std::error_code& ec) {
    return detail::read_vector(d(), to, ec);
  }
  std::size_t readv(std::span<const mutable_buffer> to) {
    std::error_code ec;
    const std::size_t n = detail::read_vector(d(), to, ec);
    detail::throw_error(ec, "readv");
    return n;
  }

  // Until a read would not wait; moves nothing.
  void wait_readable(std::error_code& ec) { detail::wait_ready(d(), detail::direction::in, ec); }
  void wait_readable() {
    std::error_code ec;
    wait_readable(ec);
    detail::throw_error(ec, "wait_readable");
  }

  // How long each single wait for bytes may take; timed_out after that. Zero or less: for ever, as at first.
  void set_read_timeout(std::chrono::nanoseconds d_max) noexcept {
    if (d()) detail::set_timeout(d()->read_timeout, d_max);
  }

 private:
  [[nodiscard]] const detail::descriptor_ptr& d() const noexcept {
    return static_cast<const Stream*>(this)->stream_descriptor();
  }
};

// The writing half. Writing to a peer that is gone is errc::broken_pipe or connection_reset, never SIGPIPE.
template <class Stream>
class writes_bytes {
 public:
  // At least one byte, unless the buffer is empty; returns how many.
  std::size_t write(const_buffer from, std::error_code& ec) { return detail::write_some(d(), from, ec); }
  std::size_t write(const_buffer from) {
    std::error_code ec;
    const std::size_t n = detail::write_some(d(), from, ec);
    if (ec) [[unlikely]]
      detail::throw_error(ec, "write");
    return n;
  }

  // All of it. Returns how much went out, also with an error; the other form throws transfer_error, which
  // says so.
  std::size_t write_all(const_buffer from, std::error_code& ec) { return detail::write_all(d(), from, ec); }
  void write_all(const_buffer from) {
    std::error_code ec;
    const std::size_t n = detail::write_all(d(), from, ec);
    if (ec) [[unlikely]]
      detail::fail_transfer(ec, "write_all", n);
  }

  // As write(), from several buffers, in order.
  std::size_t writev(std::span<const const_buffer> from, std::error_code& ec) {
    return detail::write_vector(d(), from, ec);
  }
  std::size_t writev(std::span<const const_buffer> from) {
    std::error_code ec;
    const std::size_t n = detail::write_vector(d(), from, ec);
    detail::throw_error(ec, "writev");
    return n;
  }

  // Until a write would not wait; moves nothing.
  void wait_writable(std::error_code& ec) { detail::wait_ready(d(), detail::direction::out, ec); }
  void wait_writable() {
    std::error_code ec;
    wait_writable(ec);
    detail::throw_error(ec, "wait_writable");
  }

  // How long each single wait for room may take; timed_out after that. Zero or less: for ever, as at first.
  void set_write_timeout(std::chrono::nanoseconds d_max) noexcept {
    if (d()) detail::set_timeout(d()->write_timeout, d_max);
  }

 private:
  [[nodiscard]] const detail::descriptor_ptr& d() const noexcept {
    return static_cast<const Stream*>(this)->stream_descriptor();
  }
};

// What every owner of a descriptor has. A default-constructed, moved-from or released one behaves as closed.
class descriptor_owner {
 public:
  [[nodiscard]] bool is_open() const noexcept { return d_ && !d_->closed(); }
  explicit operator bool() const noexcept { return is_open(); }

  // Any thread, any number of times. Whoever waits on it gets error::closed; if anybody does, a socket is
  // shut down as well, so that the peer hears of it even while duplicates of the descriptor are open.
  void close() noexcept {
    if (d_) d_->close();
  }

  // -1 once closed. It stays owned.
  [[nodiscard]] int native_handle() const noexcept { return is_open() ? d_->fd() : -1; }

  // Gives the descriptor away, open; -1 if there is none. Nobody may be using it meanwhile. A socket made by
  // this library is non-blocking.
  [[nodiscard]] int release() noexcept;

  [[nodiscard]] const detail::descriptor_ptr& stream_descriptor() const noexcept { return d_; }

 protected:
  descriptor_owner() noexcept = default;
  explicit descriptor_owner(detail::descriptor_ptr d) noexcept : d_(std::move(d)) {}
  ~descriptor_owner() = default;
  descriptor_owner(const descriptor_owner&) = default;
  descriptor_owner(descriptor_owner&&) noexcept = default;
  descriptor_owner& operator=(const descriptor_owner&) = default;
  descriptor_owner& operator=(descriptor_owner&&) noexcept = default;
  void adopt(detail::descriptor_ptr d) noexcept { d_ = std::move(d); }

 private:
  detail::descriptor_ptr d_;
};

// The two halves of a stream, for two fibers. The stream ends when both are gone; closing one closes both.
class read_half : public descriptor_owner, public reads_bytes<read_half> {
 public:
  read_half() noexcept = default;
  explicit read_half(detail::descriptor_ptr d) noexcept : descriptor_owner(std::move(d)) {}
};
class write_half : public descriptor_owner, public writes_bytes<write_half> {
 public:
  write_half() noexcept = default;
  explicit write_half(detail::descriptor_ptr d) noexcept : descriptor_owner(std::move(d)) {}
};

}  // namespace zsync
