#include <zsync/io/file.hpp>
#include <zsync/io/offload.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/stream.hpp>

#include <algorithm>
#include <cerrno>

namespace zsync {
namespace {

using detail::direction;
using detail::op;
using detail::op_kind;

constexpr std::size_t chunk = 256 * 1024;  // bytes, for files that do not tell their size

int native_flags(open_mode mode) noexcept {
  const auto has = [mode](open_mode flag) {
    return (static_cast<unsigned>(mode) & static_cast<unsigned>(flag)) != 0;
  };
  const bool writes = has(open_mode::write) || has(open_mode::append);
  int flags = O_CLOEXEC | (writes ? (has(open_mode::read) ? O_RDWR : O_WRONLY) : O_RDONLY);
  if (has(open_mode::append)) flags |= O_APPEND;
  if (has(open_mode::create)) flags |= O_CREAT;
  if (has(open_mode::exclusive)) flags |= O_EXCL;
  if (has(open_mode::truncate)) flags |= O_TRUNC;
  return flags;
}

std::size_t transfer(op_kind kind, int fd, void* data, std::size_t size, std::uint64_t offset,
                     std::error_code& ec) {
  op o(kind, kind == op_kind::read_at ? direction::in : direction::out, data, size);
  o.offset = static_cast<std::int64_t>(offset);
  ec = detail::perform_on_file(fd, o);
  return ec ? 0 : static_cast<std::size_t>(o.result);
}

}  // namespace

file file::open(const std::filesystem::path& path, open_mode mode, std::error_code& ec,
                unsigned permissions) {
  // The descriptor belongs to the result as soon as there is one, also if the caller has given up by then.
  unique_fd opened;
  detail::offload(ec, [&] {
    opened.reset(::open(path.c_str(), native_flags(mode), permissions));
    return opened.get();
  });
  return ec ? file() : file(std::move(opened));
}

file file::open(const std::filesystem::path& path, open_mode mode, unsigned permissions) {
  std::error_code ec;
  file opened = open(path, mode, ec, permissions);
  if (ec) detail::fail(ec, ("open " + path.string()).c_str());
  return opened;
}

std::size_t file::read_at(std::uint64_t offset, mutable_buffer to, std::error_code& ec) {
  return transfer(op_kind::read_at, fd_.get(), to.data(), to.size(), offset, ec);
}
std::size_t file::read_at(std::uint64_t offset, mutable_buffer to) {
  std::error_code ec;
  const std::size_t n = read_at(offset, to, ec);
  detail::throw_if(ec, "read_at");
  return n;
}

std::size_t file::write_at(std::uint64_t offset, const_buffer from, std::error_code& ec) {
  return transfer(op_kind::write_at, fd_.get(), const_cast<std::byte*>(from.data()), from.size(), offset, ec);
}
std::size_t file::write_at(std::uint64_t offset, const_buffer from) {
  std::error_code ec;
  const std::size_t n = write_at(offset, from, ec);
  detail::throw_if(ec, "write_at");
  return n;
}

std::string file::read_all(std::error_code& ec, std::uint64_t offset, std::size_t limit) {
  std::string all;
  const file_info info = stat(ec);
  if (ec) return all;
  std::size_t done = 0;
  // One byte more than the size shows the end, or that the file has grown.
  std::size_t room = info.size > offset ? static_cast<std::size_t>(info.size - offset) + 1 : chunk;
  for (;;) {
    all.resize(done + std::min(room, limit - done < no_limit ? limit - done + 1 : no_limit));
    const std::size_t n = read_at(offset + done, {all.data() + done, all.size() - done}, ec);
    done += n;
    if (done > limit) {
      done = limit;
      ec = error::limit_exceeded;
    }
    if (ec || n == 0) break;
    room = chunk;
  }
  all.resize(done);
  return all;
}
std::string file::read_all(std::uint64_t offset, std::size_t limit) {
  std::error_code ec;
  std::string all = read_all(ec, offset, limit);
  if (ec) detail::fail_transfer(ec, "read_all", all.size());
  return all;
}

std::size_t file::write_all(const_buffer from, std::error_code& ec, std::uint64_t offset) {
  ec.clear();
  std::size_t done = 0;
  while (done < from.size() && !ec) done += write_at(offset + done, from.from(done), ec);
  return done;
}
void file::write_all(const_buffer from, std::uint64_t offset) {
  std::error_code ec;
  const std::size_t n = write_all(from, ec, offset);
  if (ec) detail::fail_transfer(ec, "write_all", n);
}

void file::sync(std::error_code& ec, bool data_only) {
  op o(op_kind::sync_file, direction::out, nullptr, 0, data_only ? 1 : 0);
  ec = detail::perform_on_file(fd_.get(), o);
}
void file::sync(bool data_only) {
  std::error_code ec;
  sync(ec, data_only);
  detail::throw_if(ec, "sync");
}

// The inode of an open file is in memory, so this does not block.
file_info file::stat(std::error_code& ec) const {
  ec.clear();
  struct stat s {};
  if (::fstat(fd_.get(), &s) != 0) {
    ec = {errno, std::system_category()};
    return {};
  }
  file_info info;
  info.size = static_cast<std::uint64_t>(s.st_size);
  info.is_directory = S_ISDIR(s.st_mode);
  info.is_regular = S_ISREG(s.st_mode);
  info.permissions = s.st_mode & 07777u;
  info.modified = detail::modified_at(s);
  return info;
}
file_info file::stat() const {
  std::error_code ec;
  const file_info info = stat(ec);
  detail::throw_if(ec, "stat");
  return info;
}

void file::truncate(std::uint64_t size, std::error_code& ec) {
  detail::offload(ec, [&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); });
}
void file::truncate(std::uint64_t size) {
  std::error_code ec;
  truncate(size, ec);
  detail::throw_if(ec, "truncate");
}

}  // namespace zsync
