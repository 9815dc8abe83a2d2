#include <zsync/io/copy.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/sigpipe.hpp>
#include <zsync/io/unique_fd.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace zsync::detail {

#if defined(__linux__)
namespace {

struct transfer {
  int other;          // the pipe's end
  std::size_t count;  // bytes at most
};

std::int64_t splice_in(op& o) noexcept {
  const auto& t = *static_cast<const transfer*>(o.data);
  return kernel::splice(o.fd, nullptr, t.other, nullptr, t.count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

std::int64_t splice_out(op& o) noexcept {
  const auto& t = *static_cast<const transfer*>(o.data);
  return without_sigpipe([&] {
    return kernel::splice(t.other, nullptr, o.fd, nullptr, t.count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  });
}

// splice(2) wants a pipe at one end.
struct between {
  unique_fd reader, writer;
  bool open() noexcept {
    int ends[2];
    if (open_pipe(ends) != 0) return false;
    reader.reset(ends[0]);
    writer.reset(ends[1]);
    return true;
  }
};

std::size_t drain(descriptor& to, int reader, std::size_t count, std::error_code& ec) {
  transfer t{reader, count};
  while (t.count != 0) {
    op o(&splice_out, direction::out, &t);
    ec = perform(to, o, wait_kind::io_write, to.write_timeout.load(std::memory_order_relaxed));
    if (ec) break;
    t.count -= static_cast<std::size_t>(o.result);
  }
  return count - t.count;
}

}  // namespace

bool splice_all(const descriptor_ptr& from, const descriptor_ptr& to, std::uint64_t& copied,
                std::error_code& ec) {
  if (!from || !to || from->kind() == descriptor_kind::shared_mode || !to->is_socket()) return false;
  between pipe;
  if (!pipe.open()) return false;
  make_nonblocking(*from);  // sockets look at their own mode as well
  make_nonblocking(*to);
  for (;;) {
    transfer t{pipe.writer.get(), copy_chunk};
    op o(&splice_in, direction::in, &t);
    ec = perform(*from, o, wait_kind::io_read, from->read_timeout.load(std::memory_order_relaxed));
    if (ec == std::errc::invalid_argument && copied == 0) {
      ec.clear();
      return false;
    }
    if (ec || o.result == 0) return true;
    copied += drain(*to, pipe.reader.get(), static_cast<std::size_t>(o.result), ec);
    if (ec) return true;
  }
}
#else
bool splice_all(const descriptor_ptr&, const descriptor_ptr&, std::uint64_t&, std::error_code&) {
  return false;
}
#endif

}  // namespace zsync::detail
