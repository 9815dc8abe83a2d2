#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/socket.hpp>
#include <zsync/sched/error.hpp>

#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace zsync::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto backlog_retry = 1ms;  // a unix listener's full backlog tells nobody when it has room again
constexpr clock::duration pause_min = 1ms;  // of a listener that cannot accept; doubles up to
constexpr clock::duration pause_max = 256ms;
constexpr int aborted_max = 128;  // connections that one accept() skips

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

// f(fd) as a system call is: 0, or errno says why not.
template <class F>
void with_fd(const descriptor_ptr& d, std::error_code& ec, F f) {
  ec.clear();
  const auto call = [&](int fd) {
    if (f(fd) != 0) ec = last_error();
  };
  if (!d || !with_fd(*d, call)) ec = error::closed;
}

// Linux hands the errors of a connection that died in the queue to accept().
bool died_in_queue(std::error_code ec) noexcept {
  switch (ec.value()) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return ec.category() == std::system_category();
    default:
      return false;
  }
}

bool out_of_resources(std::error_code ec) noexcept {
  return ec == std::errc::too_many_files_open || ec == std::errc::too_many_files_open_in_system ||
         ec == std::errc::no_buffer_space || ec == std::errc::not_enough_memory;
}

using name_call = int (*)(int, sockaddr*, socklen_t*) noexcept;

socket_address ask(const descriptor_ptr& d, name_call call, std::error_code& ec) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  with_fd(d, ec, [&](int fd) { return call(fd, reinterpret_cast<sockaddr*>(&storage), &size); });
  return ec ? socket_address()
            : socket_address::from_native(reinterpret_cast<const sockaddr*>(&storage), size);
}

}  // namespace

descriptor_ptr make_socket(int family, int type, descriptor_kind kind, std::error_code& ec) {
  ec.clear();
  const int fd = open_socket(family, type);
  if (fd >= 0) return descriptor_ptr::adopt(fd, kind);
  ec = last_error();
  return {};
}

void connect_socket(descriptor& d, const socket_address& to, std::error_code& ec) {
  const deadline until = [&] {
    const clock::rep limit = d.write_timeout.load(std::memory_order_relaxed);
    return limit == descriptor::no_timeout.count() ? deadline::never()
                                                   : deadline::after(clock::duration{limit});
  }();
  for (;;) {
    op o(op_kind::connect, direction::out, const_cast<sockaddr*>(to.native()), to.native_size());
    const bool is_unix = to.kind() == socket_address::family::unix_path;
    if (!is_unix) {
      ec = perform(d, o, wait_kind::io_connect, until.remaining().count());
      return;
    }
    // A unix socket connects at once, or says EAGAIN, after which no event would come.
    const bool open = with_fd(d, [&o](int fd) {
      o.fd = fd;
      static_cast<void>(o.attempt());
    });
    if (!open) {
      ec = error::closed;
      return;
    }
    if (o.result != -EAGAIN) {
      ec = o.failed() ? std::error_code(static_cast<int>(-o.result), std::system_category())
                      : std::error_code();
      return;
    }
    if (until.has_passed()) {
      ec = std::make_error_code(std::errc::timed_out);
      return;
    }
    if (ec = pause(backlog_retry); ec) return;
  }
}

int accept_backoff::accept(const descriptor_ptr& d, std::error_code& ec) {
  ec = error::closed;
  if (!d) return -1;
  const clock::duration before{pause_.load(std::memory_order_relaxed)};
  if (before != clock::duration::zero()) [[unlikely]] {
    if (ec = pause(before); ec) return -1;
  }
  for (int aborted = 0; aborted < aborted_max; ++aborted) {
    op o(op_kind::accept, direction::in);
    ec = perform(*d, o, wait_kind::io_accept, d->read_timeout.load(std::memory_order_relaxed));
    if (!ec) {
      if (before != clock::duration::zero()) pause_.store(0, std::memory_order_relaxed);
      return static_cast<int>(o.result);
    }
    if (!died_in_queue(ec)) break;
  }
  if (out_of_resources(ec)) {
    pause_.store(std::clamp(before * 2, pause_min, pause_max).count(), std::memory_order_relaxed);
  }
  return -1;
}

void bind_socket(descriptor& d, const socket_address& to, std::error_code& ec) {
  ec.clear();
  if (kernel::bind(d.fd(), to.native(), to.native_size()) != 0) ec = last_error();
}

void shut_down(const descriptor_ptr& d, shutdown_how how, std::error_code& ec) {
  with_fd(d, ec, [&](int fd) { return kernel::shutdown(fd, how); });
}

socket_address local_address(const descriptor_ptr& d, std::error_code& ec) {
  return ask(d, &kernel::getsockname, ec);
}
socket_address peer_address(const descriptor_ptr& d, std::error_code& ec) {
  return ask(d, &kernel::getpeername, ec);
}

void set_option(const descriptor_ptr& d, int level, int name, const void* value, socklen_t size,
                std::error_code& ec) {
  with_fd(d, ec, [&](int fd) { return kernel::setsockopt(fd, level, name, value, size); });
}

int get_option(const descriptor_ptr& d, int level, int name, std::error_code& ec) {
  int value = 0;
  socklen_t size = sizeof value;
  with_fd(d, ec, [&](int fd) { return kernel::getsockopt(fd, level, name, &value, &size); });
  return value;
}

}  // namespace zsync::detail
