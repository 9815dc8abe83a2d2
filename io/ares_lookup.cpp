#include <zsync/io/ares_lookup.hpp>
#include <zsync/io/poll.hpp>
#include <zsync/sched/error.hpp>

#include <ares.h>
#include <netinet/in.h>
#include <sys/time.h>

#include <array>
#include <chrono>

namespace zsync::detail {
namespace {

std::error_code to_error(int status) noexcept {
  switch (status) {
    case ARES_SUCCESS:
      return {};
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
      return error::no_such_host;
    case ARES_ETIMEOUT:
      return std::make_error_code(std::errc::timed_out);
    case ARES_ECONNREFUSED:
      return std::make_error_code(std::errc::connection_refused);
    case ARES_ENOMEM:
      return std::make_error_code(std::errc::not_enough_memory);
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return std::make_error_code(std::errc::operation_canceled);
    default:
      return std::make_error_code(std::errc::io_error);  // a server that failed, or answered nonsense
  }
}

int native(socket_address::family family) noexcept {
  switch (family) {
    case socket_address::family::v4:
      return AF_INET;
    case socket_address::family::v6:
      return AF_INET6;
    default:
      return AF_UNSPEC;
  }
}

std::string comma_separated(const std::vector<socket_address>& servers) {
  std::string text;
  for (const socket_address& s : servers) {
    if (!text.empty()) text += ',';
    text += s.to_string();
  }
  return text;
}

class lookup {
 public:
  lookup(const resolve_options& options, std::error_code& ec) {
    int status = ::ares_init(&channel_);
    if (status == ARES_SUCCESS) {
      initialised_ = true;
      if (!options.servers.empty()) {
        status = ::ares_set_servers_ports_csv(channel_, comma_separated(options.servers).c_str());
      }
    }
    ec = to_error(status);
  }
  ~lookup() {
    if (initialised_) ::ares_destroy(channel_);
  }
  lookup(const lookup&) = delete;
  lookup& operator=(const lookup&) = delete;

  void run(const std::string& host, const std::string& service, int family, std::error_code& ec) {
    ares_addrinfo_hints hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    ::ares_getaddrinfo(channel_, host.c_str(), service.empty() ? nullptr : service.c_str(), &hints,
                       &lookup::answered, this);
    while (!done_) {
      wait_once(ec);
      if (ec) ::ares_cancel(channel_);  // ends with a call of answered()
    }
    if (!ec) ec = to_error(status_);
  }

  std::vector<socket_address> take() noexcept { return std::move(found_); }

 private:
  void wait_once(std::error_code& ec) {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const auto bits = static_cast<unsigned>(::ares_getsock(channel_, sockets.data(), ARES_GETSOCK_MAXNUM));
    std::array<pollfd, ARES_GETSOCK_MAXNUM> set{};
    std::size_t count = 0;
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      const bool in = (bits & (1u << i)) != 0;
      const bool out = (bits & (1u << (i + ARES_GETSOCK_MAXNUM))) != 0;
      if (in || out)
        set[count++] = {sockets[i], static_cast<short>((in ? POLLIN : 0) | (out ? POLLOUT : 0)), 0};
    }
    timeval limit{60, 0};  // should it have no time-out of its own
    timeval left{};
    if (const timeval* const chosen = ::ares_timeout(channel_, &limit, &left)) left = *chosen;
    const auto until =
        deadline::after(std::chrono::seconds{left.tv_sec} + std::chrono::microseconds{left.tv_usec});
    const int ready = poll_many(std::span(set).first(count), until, ec);
    if (ec) return;
    if (ready <= 0) ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    for (std::size_t i = 0; i < count; ++i) {
      const bool out = (set[i].revents & POLLOUT) != 0;
      const bool in = (set[i].revents & ~POLLOUT) != 0;
      if (in || out)
        ::ares_process_fd(channel_, in ? set[i].fd : ARES_SOCKET_BAD, out ? set[i].fd : ARES_SOCKET_BAD);
    }
  }

  static void answered(void* self, int status, int, ares_addrinfo* result) {
    auto& l = *static_cast<lookup*>(self);
    l.done_ = true;
    l.status_ = status;
    if (status != ARES_SUCCESS || result == nullptr) return;
    try {
      for (const ares_addrinfo_node* n = result->nodes; n != nullptr; n = n->ai_next) {
        l.found_.push_back(socket_address::from_native(n->ai_addr, static_cast<socklen_t>(n->ai_addrlen)));
      }
    } catch (const std::bad_alloc&) {
      l.status_ = ARES_ENOMEM;
    }
    ::ares_freeaddrinfo(result);
  }

  ares_channel channel_ = nullptr;
  bool initialised_ = false;
  bool done_ = false;
  int status_ = ARES_SUCCESS;
  std::vector<socket_address> found_;
};

}  // namespace

std::vector<socket_address> ares_lookup(const std::string& host, const std::string& service,
                                        const resolve_options& options, std::error_code& ec) {
  lookup l(options, ec);
  if (!ec) l.run(host, service, native(options.family), ec);
  return l.take();
}

}  // namespace zsync::detail
