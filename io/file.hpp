// Files. No call blocks the worker: the kernel does the work where it is io_uring's, a helper thread
// elsewhere.
#pragma once

#include <zsync/io/buffer.hpp>
#include <zsync/io/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>

namespace zsync {

// What open() is to do, combined with |.
enum class open_mode : unsigned {
  read = 1,
  write = 2,
  append = 4,      // each write goes to the end
  create = 8,      // if it does not exist
  exclusive = 16,  // with create: it must not exist
  truncate = 32,
};
constexpr open_mode operator|(open_mode a, open_mode b) noexcept {
  return static_cast<open_mode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

struct file_info {
  std::uint64_t size = 0;  // bytes
  bool is_directory = false;
  bool is_regular = false;
  std::uint32_t permissions = 0;
  std::int64_t modified = 0;  // nanoseconds since 1970
};

// An open file, read and written at positions that the caller names, so that any number of fibers and threads
// can use one at a time; only close() and moving must not happen meanwhile. Each call has a form that throws
// std::system_error, and one that reports. A cancelled call, or one whose deadline scope ends, may have been
// carried out all the same.
class file {
 public:
  file() noexcept = default;  // none
  explicit file(unique_fd fd) noexcept : fd_(std::move(fd)) {}

  static file open(const std::filesystem::path& path, open_mode mode = open_mode::read,
                   unsigned permissions = 0666);
  static file open(const std::filesystem::path& path, open_mode mode, std::error_code& ec,
                   unsigned permissions = 0666);

  [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(fd_); }
  explicit operator bool() const noexcept { return is_open(); }
  [[nodiscard]] int native_handle() const noexcept { return fd_.get(); }
  [[nodiscard]] int release() noexcept { return fd_.release(); }
  void close() noexcept { fd_.reset(); }

  // How many bytes; 0 at the end of the file, and for an empty buffer.
  std::size_t read_at(std::uint64_t offset, mutable_buffer to, std::error_code& ec);
  std::size_t read_at(std::uint64_t offset, mutable_buffer to);
  // At least one byte, unless the buffer is empty; how many.
  std::size_t write_at(std::uint64_t offset, const_buffer from, std::error_code& ec);
  std::size_t write_at(std::uint64_t offset, const_buffer from);

  // From `offset` to the end; error::limit_exceeded if that is more than `limit` bytes.
  std::string read_all(std::error_code& ec, std::uint64_t offset = 0,
                       std::size_t limit = std::numeric_limits<std::size_t>::max());
  std::string read_all(std::uint64_t offset = 0, std::size_t limit = std::numeric_limits<std::size_t>::max());
  // All of it, at `offset`. How many bytes were written, also with an error.
  std::size_t write_all(const_buffer from, std::error_code& ec, std::uint64_t offset = 0);
  void write_all(const_buffer from, std::uint64_t offset = 0);

  // Until what was written is on the disk; `data_only`: without times and the like.
  void sync(std::error_code& ec, bool data_only = false);
  void sync(bool data_only = false);

  [[nodiscard]] file_info stat(std::error_code& ec) const;
  [[nodiscard]] file_info stat() const;
  void truncate(std::uint64_t size, std::error_code& ec);
  void truncate(std::uint64_t size);

 private:
  unique_fd fd_;
};

}  // namespace zsync
