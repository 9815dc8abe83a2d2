#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/pipe.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/unique_fd.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace zsync {
namespace {

using detail::descriptor_kind;
using detail::descriptor_ptr;

// A number of its own for what others share, so that closing it takes nothing from them.
descriptor_ptr share(int fd) {
  const int own = detail::kernel::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (own < 0) detail::fail({errno, std::system_category()}, "a standard stream");
  return descriptor_ptr::adopt(own, descriptor_kind::shared_mode);
}

}  // namespace

pipe_ends pipe() {
  int ends[2];
  if (detail::open_pipe(ends) != 0) detail::fail({errno, std::system_category()}, "pipe");
  unique_fd second(ends[1]);
  read_half reader(descriptor_ptr::adopt(ends[0], descriptor_kind::other));
  return {std::move(reader), write_half(descriptor_ptr::adopt(second.release(), descriptor_kind::other))};
}

read_half standard_input() { return read_half(share(STDIN_FILENO)); }
write_half standard_output() { return write_half(share(STDOUT_FILENO)); }
write_half standard_error() { return write_half(share(STDERR_FILENO)); }

}  // namespace zsync
