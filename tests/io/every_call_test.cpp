// Every call that can wait is cancelled, and has its descriptor closed, at each step of its wait; it ends by
// that, and its buffer is the caller's again.
#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::connect_pair;
namespace posix = zsync::posix;

namespace {

// A call that waits for ever, and what ends it.
struct waiting_call {
  std::string name;
  std::function<std::error_code()> call;
  std::function<void()> close;  // empty: nothing can be closed
};

zsync::socket_address anywhere() { return zsync::socket_address::parse("127.0.0.1:0"); }

template <class T>
std::shared_ptr<T> shared(T value) {
  return std::make_shared<T>(std::move(value));
}

// The calls that have a form with an error code.
template <class Object, class F>
waiting_call on(std::string name, std::shared_ptr<Object> object, F f) {
  return {std::move(name),
          [object, f] {
            std::error_code ec;
            f(*object, ec);
            return ec;
          },
          [object] { object->close(); }};
}

void streams(std::vector<waiting_call>& all) {
  const auto add = [&all](const char* name, auto f) {
    auto pair = shared(connect_pair());
    const std::shared_ptr<zsync::tcp_stream> client(pair, &pair->client);  // keeps the peer open, too
    all.push_back(on(name, client, f));
  };
  static const std::string data(200'000, 'd');
  add("read", [](auto& s, auto& ec) {
    std::array<char, 16> buffer{};
    s.read(buffer, ec);
  });
  add("read_exact", [](auto& s, auto& ec) {
    std::array<char, 16> buffer{};
    s.read_exact(buffer, ec);
  });
  add("read_all", [](auto& s, auto& ec) { s.read_all(ec); });
  add("read_until", [](auto& s, auto& ec) { s.read_until('\n', ec); });
  add("readv", [](auto& s, auto& ec) {
    std::array<char, 16> first{}, second{};
    const std::array<zsync::mutable_buffer, 2> both{zsync::mutable_buffer(first),
                                                    zsync::mutable_buffer(second)};
    s.readv(both, ec);
  });
  add("wait_readable", [](auto& s, auto& ec) { s.wait_readable(ec); });
  add("buffered read_line", [](auto& s, auto& ec) {
    std::string line;
    zsync::buffered_reader(s).read_line(line, ec);
  });
  add("write_all", [](auto& s, auto& ec) {
    while (!ec) s.write_all(data, ec);
  });
  add("writev", [](auto& s, auto& ec) {
    const std::array<zsync::const_buffer, 2> both{zsync::const_buffer(data), zsync::const_buffer(data)};
    while (!ec) s.writev(both, ec);
  });
  add("wait_writable", [](auto& s, auto& ec) {
    while (!ec && ::send(s.native_handle(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
      continue;
    while (!ec) s.wait_writable(ec);
  });
  {
    auto file = shared(zsync::file(zsync::unique_fd(zsync::test::nameless_file())));
    file->truncate(10'000'000);
    add("sendfile", [file](auto& s, auto& ec) {
      while (!ec) s.sendfile(*file, 0, 10'000'000, ec);
    });
  }
  auto other = shared(connect_pair());
  add("copy", [other](auto& s, auto& ec) { zsync::copy(s, other->client, ec); });
}

void listeners(std::vector<waiting_call>& all) {
  all.push_back(
      on("tcp accept", shared(zsync::test::listen_anywhere()), [](auto& l, auto& ec) { l.accept(ec); }));
  static int count = 0;
  const std::string path = "@zsync-every-" + std::to_string(::getpid()) + '-' + std::to_string(++count);
  all.push_back(
      on("unix accept", shared(zsync::unix_listener::bind(path)), [](auto& l, auto& ec) { l.accept(ec); }));
}

void messages(std::vector<waiting_call>& all) {
  const auto udp = [] { return shared(zsync::udp_socket::bind(anywhere())); };
  all.push_back(on("udp recv", udp(), [](auto& s, auto& ec) {
    std::array<char, 16> buffer{};
    s.recv(buffer, ec);
  }));
  all.push_back(on("udp recv_from", udp(), [](auto& s, auto& ec) {
    std::array<char, 16> buffer{};
    zsync::socket_address from;
    s.recv_from(buffer, from, ec);
  }));
  all.push_back(on("udp recv_many", udp(), [](auto& s, auto& ec) {
    std::array<char, 16> buffer{};
    std::array<zsync::incoming_datagram, 1> one{zsync::incoming_datagram{.buffer = buffer}};
    s.recv_many(one, ec);
  }));
  const auto datagrams = [] {
    auto pair =
        std::make_shared<std::pair<zsync::unix_datagram, zsync::unix_datagram>>(zsync::unix_datagram::pair());
    return std::shared_ptr<zsync::unix_datagram>(pair, &pair->first);
  };
  all.push_back(on("unix datagram recv", datagrams(), [](auto& s, auto& ec) {
    std::array<char, 16> buffer{};
    s.recv(buffer, ec);
  }));
  all.push_back(on("unix datagram send", datagrams(), [](auto& s, auto& ec) {
    while (!ec) s.send("message", ec);
  }));
  auto pair = std::make_shared<std::pair<zsync::unix_stream, zsync::unix_stream>>(zsync::unix_stream::pair());
  all.push_back(on("receive_descriptors", std::shared_ptr<zsync::unix_stream>(pair, &pair->first),
                   [](auto& s, auto& ec) {
                     std::array<char, 16> buffer{};
                     std::vector<zsync::unique_fd> descriptors;
                     s.receive_descriptors(buffer, descriptors, ec);
                   }));
}

void others(std::vector<waiting_call>& all) {
  const auto pipe = [] { return std::make_shared<zsync::pipe_ends>(zsync::pipe()); };
  auto empty = pipe();
  all.push_back(
      on("pipe read", std::shared_ptr<zsync::read_half>(empty, &empty->reader), [](auto& s, auto& ec) {
        std::array<char, 16> buffer{};
        s.read(buffer, ec);
      }));
  auto full = pipe();
  all.push_back(
      on("pipe write", std::shared_ptr<zsync::write_half>(full, &full->writer), [](auto& s, auto& ec) {
        static const std::string data(100'000, 'd');
        while (!ec) s.write_all(data, ec);
      }));
  all.push_back(on("signal next", std::make_shared<zsync::signal_set>(std::initializer_list<int>{SIGUSR1}),
                   [](auto& s, auto& ec) { s.next(ec); }));
  auto child = shared(zsync::process::spawn({"sleep", "60"}));
  all.push_back({"process wait",
                 [child] {
                   std::error_code ec;
                   child->wait(ec);
                   return ec;
                 },
                 {}});
}

// Of the drop-ins; errno in the place of an error code.
void drop_ins(std::vector<waiting_call>& all) {
  struct socket_pair {
    socket_pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0); }
    ~socket_pair() {
      ::close(ends[1]);
      if (!closed) ::close(ends[0]);
    }
    int ends[2]{};
    bool closed = false;
  };
  const auto add = [&all](const char* name, auto f, bool closes = true) {
    auto pair = std::make_shared<socket_pair>();
    waiting_call c{name,
                   [pair, f] {
                     const bool failed = f(pair->ends[0]) < 0;
                     if (!failed) return std::error_code();
                     if (errno == EBADF) return make_error_code(zsync::error::closed);
                     return std::error_code(errno, std::system_category());
                   },
                   {}};
    if (closes) {
      c.close = [pair] {
        pair->closed = true;
        posix::close(pair->ends[0]);
      };
    }
    all.push_back(std::move(c));
  };
  add("posix read", [](int fd) {
    char byte = 0;
    return posix::read(fd, &byte, 1);
  });
  add("posix recv", [](int fd) {
    char byte = 0;
    return posix::recv(fd, &byte, 1, 0);
  });
  add("posix recvfrom", [](int fd) {
    char byte = 0;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    return posix::recvfrom(fd, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size);
  });
  add(
      "posix poll",
      [](int fd) {
        pollfd p{fd, POLLIN, 0};
        return posix::poll(&p, 1, -1);
      },
      false);
  add(
      "posix sleep", [](int) { return posix::usleep(60'000'000); }, false);
}

std::vector<waiting_call> every_call() {
  std::vector<waiting_call> all;
  streams(all);
  listeners(all);
  messages(all);
  others(all);
  drop_ins(all);
  return all;
}

// Some way into the call: before it begins, while it tries, while it is handed over, while it waits.
void go_on(int step) {
  if (step < 4) {
    for (int i = 0; i < step; ++i) zsync::this_fiber::yield();
  } else {
    zsync::this_fiber::sleep_for(std::chrono::microseconds{50 << (step - 4)});
  }
}

constexpr int steps = 8;

}  // namespace

TEST_CASE("every call that waits can be cancelled at every step", "[io][cancel]") {
  zsync::test::matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          for (int step = 0; step < steps; ++step) {
            for (const waiting_call& one : every_call()) {
              zsync::fiber waiting(one.call);
              go_on(step);
              waiting.cancel();
              INFO(one.name << ", step " << step);
              REQUIRE(waiting.join() == std::errc::operation_canceled);
            }
          }
        },
        options);
  });
}

TEST_CASE("every call that waits ends at every step when its descriptor is closed", "[io][close]") {
  zsync::test::matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [&] {
          for (int step = 0; step < steps; ++step) {
            for (const waiting_call& one : every_call()) {
              if (!one.close) continue;
              // From another worker, if there is one.
              zsync::fiber waiting(zsync::spawn_options{.worker = static_cast<int>(options.workers) - 1},
                                   one.call);
              go_on(step);
              one.close();
              INFO(one.name << ", step " << step);
              REQUIRE(waiting.join() == zsync::error::closed);
            }
          }
        },
        options);
  });
}

TEST_CASE("every call that waits ends with the deadline scope around it", "[io][deadline]") {
  zsync::test::matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          for (const waiting_call& one : every_call()) {
            if (one.name.starts_with("posix")) continue;  // ETIMEDOUT is all that errno can say
            zsync::fiber waiting([&] {
              const zsync::deadline_scope scope(500us);
              return one.call();
            });
            INFO(one.name);
            REQUIRE(waiting.join() == zsync::error::deadline_expired);
          }
        },
        options);
  });
}
