// Fewer, larger calls: a buffer before any stream.
#pragma once

#include <zsync/io/stream.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace zsync {

inline constexpr std::size_t default_buffer_size = 16 * 1024;  // bytes

namespace detail {

// A place in a buffer: 0 once the buffer has moved on.
struct buffer_place {
  std::size_t at = 0;

  buffer_place() noexcept = default;
  buffer_place(buffer_place&& other) noexcept : at(std::exchange(other.at, 0)) {}
  buffer_place& operator=(buffer_place&& other) noexcept {
    at = std::exchange(other.at, 0);
    return *this;
  }
  ~buffer_place() = default;
};

}  // namespace detail

// Reads ahead from a stream: owns it, or refers to it as buffered_reader<tcp_stream&>. The buffer is
// allocated with the first read. Errors, waiting and ends are the stream's. One fiber at a time.
template <class Stream>
class buffered_reader {
 public:
  explicit buffered_reader(Stream stream, std::size_t size = default_buffer_size)
      : stream_(std::forward<Stream>(stream)), size_(std::max<std::size_t>(size, 1)) {}

  [[nodiscard]] std::remove_reference_t<Stream>& stream() noexcept { return stream_; }

  // What has been read ahead.
  [[nodiscard]] std::string_view buffered() const noexcept {
    return {reinterpret_cast<const char*>(buffer_.get()) + begin_.at, end_.at - begin_.at};
  }
  void consume(std::size_t n) noexcept { begin_.at += std::min(n, end_.at - begin_.at); }

  // Reads more behind what is buffered. How much; 0: the end of the stream. limit_exceeded: the buffer is
  // full.
  std::size_t fill(std::error_code& ec) {
    if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(size_);
    if (begin_.at != 0) {
      std::memmove(buffer_.get(), buffer_.get() + begin_.at, end_.at - begin_.at);
      end_.at -= std::exchange(begin_.at, 0);
    }
    if (end_.at == size_) {
      ec = error::limit_exceeded;
      return 0;
    }
    const std::size_t n = stream_.read(mutable_buffer(buffer_.get() + end_.at, size_ - end_.at), ec);
    end_.at += n;
    return n;
  }

  std::size_t read(mutable_buffer to, std::error_code& ec) {
    ec.clear();
    if (begin_.at == end_.at) {
      if (to.size() >= size_) return stream_.read(to, ec);  // nothing to gain
      if (to.size() == 0 || fill(ec) == 0) return 0;
    }
    const std::size_t n = std::min(to.size(), end_.at - begin_.at);
    std::memcpy(to.data(), buffer_.get() + begin_.at, n);
    begin_.at += n;
    return n;
  }
  std::size_t read(mutable_buffer to) {
    std::error_code ec;
    const std::size_t n = read(to, ec);
    detail::throw_error(ec, "read");
    return n;
  }

  std::size_t read_exact(mutable_buffer to, std::error_code& ec) {
    ec.clear();
    std::size_t done = 0;
    while (done < to.size()) {
      const std::size_t n = read(to.from(done), ec);
      if (!ec && n == 0) ec = error::unexpected_eof;
      if (ec) break;
      done += n;
    }
    return done;
  }
  void read_exact(mutable_buffer to) {
    std::error_code ec;
    const std::size_t n = read_exact(to, ec);
    if (ec) detail::fail_transfer(ec, "read_exact", n);
  }

  // Up to and with the delimiter; unexpected_eof and limit_exceeded as of reads_bytes::read_until().
  std::string read_until(std::string_view delimiter, std::error_code& ec, std::size_t limit = no_limit) {
    ec.clear();
    std::string text;
    for (;;) {
      const std::string_view ahead = buffered();
      const std::size_t before = text.size();
      text.append(ahead.substr(0, std::min(ahead.size(), limit - before)));
      const std::size_t overlap = std::min(before, delimiter.empty() ? 0 : delimiter.size() - 1);
      if (const std::size_t at = text.find(delimiter, before - overlap); at != text.npos) {
        text.resize(at + delimiter.size());
        consume(text.size() - before);
        return text;
      }
      consume(text.size() - before);
      if (text.size() >= limit) ec = error::limit_exceeded;
      if (!ec && fill(ec) == 0 && !ec) ec = error::unexpected_eof;
      if (ec) return text;
    }
  }
  std::string read_until(std::string_view delimiter, std::size_t limit = no_limit) {
    std::error_code ec;
    std::string text = read_until(delimiter, ec, limit);
    if (ec) detail::fail_transfer(ec, "read_until", text.size());
    return text;
  }
  std::string read_until(char delimiter, std::error_code& ec, std::size_t limit = no_limit) {
    return read_until(std::string_view(&delimiter, 1), ec, limit);
  }
  std::string read_until(char delimiter, std::size_t limit = no_limit) {
    return read_until(std::string_view(&delimiter, 1), limit);
  }

  // A line without its end ("\n" or "\r\n"); the last one may lack it. False: the end of the stream.
  bool read_line(std::string& line, std::error_code& ec, std::size_t limit = no_limit) {
    line = read_until("\n", ec, limit);
    if (ec == error::unexpected_eof && !line.empty()) {
      ec.clear();
      return true;
    }
    if (ec) {
      if (ec == error::unexpected_eof) ec.clear();
      return false;
    }
    line.pop_back();
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }
  bool read_line(std::string& line, std::size_t limit = no_limit) {
    std::error_code ec;
    const bool got = read_line(line, ec, limit);
    detail::throw_error(ec, "read_line");
    return got;
  }

  std::string read_all(std::error_code& ec, std::size_t limit = no_limit) {
    std::string all(buffered());
    consume(all.size());
    if (all.size() > limit) {
      all.resize(limit);
      ec = error::limit_exceeded;
      return all;
    }
    return all += stream_.read_all(ec, limit == no_limit ? no_limit : limit - all.size());
  }
  std::string read_all(std::size_t limit = no_limit) {
    std::error_code ec;
    std::string all = read_all(ec, limit);
    if (ec) detail::fail_transfer(ec, "read_all", all.size());
    return all;
  }

 private:
  Stream stream_;
  std::size_t size_;
  std::unique_ptr<std::byte[]> buffer_;
  detail::buffer_place begin_;
  detail::buffer_place end_;
};

template <class Stream>
buffered_reader(Stream&) -> buffered_reader<Stream&>;
template <class Stream>
buffered_reader(Stream&, std::size_t) -> buffered_reader<Stream&>;
template <class Stream>
buffered_reader(Stream&&) -> buffered_reader<Stream>;
template <class Stream>
buffered_reader(Stream&&, std::size_t) -> buffered_reader<Stream>;

// Gathers writes. Nothing is written by the destructor, which could neither wait nor report: call flush().
// One fiber at a time.
template <class Stream>
class buffered_writer {
 public:
  explicit buffered_writer(Stream stream, std::size_t size = default_buffer_size)
      : stream_(std::forward<Stream>(stream)), size_(std::max<std::size_t>(size, 1)) {}

  [[nodiscard]] std::remove_reference_t<Stream>& stream() noexcept { return stream_; }
  [[nodiscard]] std::size_t buffered() const noexcept { return end_.at; }  // bytes not yet written

  // All of it: kept, or written. What was kept is discarded by an error, after which the stream is of no use.
  void write_all(const_buffer from, std::error_code& ec) {
    ec.clear();
    if (from.size() > size_ - end_.at) {
      flush(ec);
      if (ec) return;
      if (from.size() >= size_) {
        stream_.write_all(from, ec);
        return;
      }
    }
    if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(size_);
    if (from.size() != 0) std::memcpy(buffer_.get() + end_.at, from.data(), from.size());
    end_.at += from.size();
  }
  void write_all(const_buffer from) {
    std::error_code ec;
    write_all(from, ec);
    detail::throw_error(ec, "write_all");
  }
  std::size_t write(const_buffer from, std::error_code& ec) {
    write_all(from, ec);
    return ec ? 0 : from.size();
  }
  std::size_t write(const_buffer from) {
    write_all(from);
    return from.size();
  }

  void flush(std::error_code& ec) {
    ec.clear();
    const std::size_t n = std::exchange(end_.at, 0);
    if (n != 0) stream_.write_all(const_buffer(buffer_.get(), n), ec);
  }
  void flush() {
    std::error_code ec;
    flush(ec);
    detail::throw_error(ec, "flush");
  }

 private:
  Stream stream_;
  std::size_t size_;
  std::unique_ptr<std::byte[]> buffer_;
  detail::buffer_place end_;
};

template <class Stream>
buffered_writer(Stream&) -> buffered_writer<Stream&>;
template <class Stream>
buffered_writer(Stream&, std::size_t) -> buffered_writer<Stream&>;
template <class Stream>
buffered_writer(Stream&&) -> buffered_writer<Stream>;
template <class Stream>
buffered_writer(Stream&&, std::size_t) -> buffered_writer<Stream>;

}  // namespace zsync
