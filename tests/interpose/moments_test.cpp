// What plain threads and other processes see of fibers' calls: nothing. A blocking descriptor stays what it
// is for who blocks in a call of it.
#include "interpose/one_worker.hpp"
#include "support/catch.hpp"

#include <zsync/io/engine.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::on_one_worker;

namespace {

class listener {
 public:
  listener() {
    where_.sin_family = AF_INET;
    where_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where_;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&where_), size) == 0);
    REQUIRE(::listen(fd, 64) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&where_), &size) == 0);
  }
  ~listener() { ::close(fd); }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  void connect() const {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const linger at_once{1, 0};
    ::setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    CHECK(::connect(client, reinterpret_cast<const sockaddr*>(&where_), sizeof where_) == 0);
    char c = 0;
    CHECK(::recv(client, &c, 1, 0) == 0);  // accepted, and closed
    ::close(client);
  }

  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

 private:
  sockaddr_in where_{};
};

}  // namespace

TEST_CASE("a plain thread blocks in a read of the counter to which fibers write", "[interpose]") {
  on_one_worker([] {
    const int counter = ::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    constexpr int times = 1000;
    int error = 0;
    std::atomic<int> got{0};
    std::thread reader([&] {
      for (std::uint64_t one = 0; got < times && error == 0;) {
        if (::read(counter, &one, sizeof one) == sizeof one) {
          ++got;
        } else {
          error = errno;
        }
      }
    });
    for (int i = 0; i < times; ++i) {
      const std::uint64_t one = 1;
      CHECK(::write(counter, &one, sizeof one) == sizeof one);
      if (i % 4 == 0) ::usleep(50);
    }
    reader.join();
    CHECK(error == 0);
    CHECK(got == times);
    ::close(counter);
  });
}

TEST_CASE("a write to a counter waits for room, however much it adds", "[interpose]") {
  on_one_worker([] {
    for (const std::uint64_t more : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{1} << 40}) {
      const int counter = ::eventfd(0, EFD_CLOEXEC);
      std::uint64_t value = ~std::uint64_t{0} - more;
      REQUIRE(::write(counter, &value, sizeof value) == sizeof value);
      bool read = false;
      zsync::fiber reader([&] {
        ::usleep(2000);
        read = true;
        std::uint64_t all = 0;
        CHECK(::read(counter, &all, sizeof all) == sizeof all);
      });
      CHECK(::write(counter, &more, sizeof more) == sizeof more);
      CHECK(read);
      reader.join();
      CHECK(::read(counter, &value, sizeof value) == sizeof value);
      CHECK(value == more);
      const std::uint64_t too_much = ~std::uint64_t{0};
      CHECK(::write(counter, &too_much, sizeof too_much) == -1);
      CHECK(errno == EINVAL);
      ::close(counter);
    }
  });
}

// The mode that the kernel has is looked at by a call that nobody replaces; on epoll accept() has to change
// it.
TEST_CASE("a blocking listener from which fibers accept is never seen to be non-blocking", "[interpose]") {
  zsync::test::matrix({.workers = false}, [](zsync::runtime_options options) {
    options.workers = 1;
    const listener l;
    std::atomic<bool> stop{false};
    std::atomic<long> seen{0};
    std::atomic<long> seen_by_kernel{0};
    std::thread watcher([&] {
      while (!stop) {
        seen += (::fcntl(l.fd, F_GETFL) & O_NONBLOCK) != 0;
        seen_by_kernel += (::syscall(SYS_fcntl, l.fd, F_GETFL) & O_NONBLOCK) != 0;
      }
    });
    bool completes = false;
    zsync::run(
        [&] {
          completes = zsync::detail::current_engine()->completes();
          constexpr int times = 300;
          zsync::fiber acceptor([&] {
            for (int i = 0; i < times; ++i) {
              const int fd = ::accept(l.fd, nullptr, nullptr);
              CHECK(fd >= 0);
              CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
              CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0);
              ::close(fd);
            }
          });
          for (int i = 0; i < times; ++i) l.connect();
          acceptor.join();
        },
        options);
    stop = true;
    watcher.join();
    CHECK(seen == 0);
    if (completes) CHECK(seen_by_kernel == 0);
  });
}

TEST_CASE("a plain thread that accepts in the moment in which the listener is changed accepts again",
          "[interpose]") {
  zsync::run(
      [] {
        const listener l;
        std::atomic<bool> begun{false};
        std::atomic<bool> ended{false};
        int accepted = -1;
        std::atomic<bool> changed{false};
        std::thread plain([&] {
          while (!changed) std::this_thread::sleep_for(1ms);
          begun = true;
          accepted = ::accept4(l.fd, nullptr, nullptr, SOCK_CLOEXEC);
          ended = true;
          if (accepted >= 0) ::close(accepted);
        });
        zsync::blocking([&] {
          // As a fiber's accept does, for as long as it takes.
          zsync::detail::mode_hold hold(l.fd);
          hold.begin();
          ::syscall(SYS_fcntl, l.fd, F_SETFL, O_NONBLOCK);
          changed = true;
          while (!begun) std::this_thread::sleep_for(1ms);
          std::this_thread::sleep_for(5ms);
          ::syscall(SYS_fcntl, l.fd, F_SETFL, 0);
          hold.end();
        });
        CHECK(!ended);
        l.connect();
        zsync::blocking([&] { plain.join(); });
        CHECK(accepted >= 0);
      },
      {.workers = 1});
}

TEST_CASE("a plain thread and fibers accept from one blocking listener, and neither is told EAGAIN",
          "[interpose]") {
  on_one_worker([] {
    const listener l;
    constexpr int times = 400;
    std::atomic<bool> stop{false};
    std::atomic<int> errors{0};
    const auto accept_all = [&] {
      while (!stop) {
        const int fd = ::accept4(l.fd, nullptr, nullptr, SOCK_CLOEXEC);
        errors += fd < 0;
        if (fd >= 0) ::close(fd);
      }
    };
    std::thread plain(accept_all);
    std::vector<zsync::fiber<>> fibers;
    for (int i = 0; i < 3; ++i) fibers.emplace_back(accept_all);
    for (int i = 0; i < times; ++i) l.connect();
    stop = true;
    // One for each: who has not been told to stop by the last takes it.
    std::atomic<bool> ended{false};
    zsync::fiber more([&] {
      while (!ended) {
        const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in where{};
        socklen_t size = sizeof where;
        ::getsockname(l.fd, reinterpret_cast<sockaddr*>(&where), &size);
        ::connect(client, reinterpret_cast<const sockaddr*>(&where), size);
        ::usleep(1000);
        ::close(client);
      }
    });
    for (auto& one : fibers) one.join();
    zsync::blocking([&] { plain.join(); });
    ended = true;
    more.join();
    CHECK(errors == 0);
  });
}

TEST_CASE("accept() waits on when its listener is made non-blocking meanwhile, for the time it has",
          "[interpose]") {
  on_one_worker([] {
    const listener l;
    zsync::fiber acceptor([&] {
      const int fd = ::accept(l.fd, nullptr, nullptr);
      ::close(fd);
      return fd;
    });
    zsync::this_fiber::yield();
    CHECK(::fcntl(l.fd, F_SETFL, O_NONBLOCK) == 0);
    CHECK(::accept(l.fd, nullptr, nullptr) == -1);
    CHECK(errno == EAGAIN);
    ::usleep(2000);
    l.connect();
    CHECK(acceptor.join() >= 0);
    CHECK(::fcntl(l.fd, F_SETFL, 0) == 0);
    const timeval short_time{0, 2000};
    ::setsockopt(l.fd, SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time);
    CHECK(::accept(l.fd, nullptr, nullptr) == -1);
    CHECK(errno == EAGAIN);
    CHECK(::accept4(l.fd, nullptr, nullptr, 0x100) == -1);
    CHECK(errno == EINVAL);
    CHECK(::accept4(-1, nullptr, nullptr, 0) == -1);
    CHECK(errno == EBADF);
  });
}
