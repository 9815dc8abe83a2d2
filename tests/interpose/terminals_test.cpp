// Terminals that hand over characters: for how many a read waits, and for how long.
#include "interpose/difference.hpp"
#include "support/catch.hpp"

#include <zsync/io/unique_fd.hpp>
#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::episode;
using zsync::test::on_one_worker;
using zsync::test::same_as_libc;
using zsync::test::transcript;

namespace {

struct terminal {
  terminal(unsigned least, unsigned tenths) {
    int ends[2];
    REQUIRE(::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr) == 0);
    master.reset(ends[0]);
    slave.reset(ends[1]);
    termios mode{};
    ::tcgetattr(slave.get(), &mode);
    ::cfmakeraw(&mode);
    mode.c_cc[VMIN] = static_cast<cc_t>(least);
    mode.c_cc[VTIME] = static_cast<cc_t>(tenths);
    ::tcsetattr(slave.get(), TCSANOW, &mode);
  }
  // Goes through the kernel in its own time. By a plain thread's calls alone, if on one.
  void type(const std::string& text) const {
    const int before = there();
    REQUIRE(::write(master.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    while (there() != before + static_cast<int>(text.size())) std::this_thread::sleep_for(1ms);
  }
  [[nodiscard]] int there() const {
    int n = 0;
    ::ioctl(slave.get(), FIONREAD, &n);
    return n;
  }
  zsync::unique_fd master, slave;
};

std::string read_from(int fd, std::size_t size, ssize_t& n) {
  char b[64] = {};
  n = ::read(fd, b, size);
  return std::string(b, n > 0 ? static_cast<std::size_t>(n) : 0);
}

}  // namespace

TEST_CASE("a terminal's read waits for as many characters as in libc, and as long between them",
          "[interpose]") {
  std::vector<episode> all;
  struct given {
    unsigned least, tenths;
    const char* typed;
    std::size_t asked;
  };
  // What they ask for comes, or their time is over.
  for (const given& g :
       {given{1, 0, "abc", 10}, given{2, 0, "abc", 2}, given{3, 0, "abc", 10}, given{5, 0, "abc", 3},
        given{5, 0, "abc", 2}, given{2, 1, "abc", 10}, given{5, 1, "abc", 10}, given{5, 1, "abc", 2},
        given{0, 0, "abc", 10}, given{0, 1, "abc", 2}, given{0, 0, "", 10}, given{0, 1, "", 10}}) {
    all.push_back(
        {std::to_string(g.least) + ", " + std::to_string(g.tenths) + ", of " + std::to_string(g.asked),
         [g](transcript& t) {
           const terminal tty(g.least, g.tenths);
           tty.type(g.typed);
           ssize_t n = 0;
           const auto begin = std::chrono::steady_clock::now();
           const std::string text = read_from(tty.slave.get(), g.asked, n);
           t(std::chrono::steady_clock::now() - begin < 8s ? "in time" : "late");
           t(n);
           t(text);
           t(tty.there());
         }});
  }
  all.push_back({"several buffers", [](transcript& t) {
                   const terminal tty(4, 1);
                   tty.type("abcdef");
                   char b[3][4] = {};
                   const iovec v[3] = {{b[0], 1}, {b[1], 0}, {b[2], 3}};
                   t(::readv(tty.slave.get(), v, 3));
                   t(std::string(b[0]) + b[1] + b[2]);
                 }});
  all.push_back({"not blocking", [](transcript& t) {
                   const terminal tty(5, 0);
                   ::fcntl(tty.slave.get(), F_SETFL, O_RDWR | O_NONBLOCK);
                   ssize_t n = 0;
                   read_from(tty.slave.get(), 10, n);
                   t(n);
                   tty.type("abc");
                   t(read_from(tty.slave.get(), 10, n));
                   t(n);
                 }});
  all.push_back({"hung up", [](transcript& t) {
                   for (const unsigned tenths : {0u, 1u}) {
                     terminal tty(5, tenths);
                     tty.master.reset();
                     ssize_t n = 0;
                     read_from(tty.slave.get(), 10, n);
                     t(n);
                   }
                 }});
  same_as_libc(all);
  // Here a thread in the midst of its read is told EIO, and everybody else the end.
  on_one_worker([] {
    for (const unsigned tenths : {0u, 1u}) {
      terminal tty(5, tenths);
      zsync::fiber other([&] { tty.master.reset(); });
      ssize_t n = 1;
      read_from(tty.slave.get(), 10, n);
      CHECK(n <= 0);
      other.join();
    }
  });
}

TEST_CASE("who waits for a terminal's next character lets others run", "[interpose]") {
  for (const unsigned tenths : {0u, 255u}) {
    for (const std::size_t asked : {std::size_t{3}, std::size_t{10}}) {
      on_one_worker([&] {
        const terminal tty(tenths == 0 ? 5 : 3, tenths);
        zsync::fiber typist([&] {
          // 25.5 seconds are allowed between any two.
          for (const char* text : {"a", "b", "c", "de"}) {
            if (asked == 3 && *text == 'd') break;
            ::usleep(20'000);
            REQUIRE(::write(tty.master.get(), text, std::strlen(text)) > 0);
          }
        });
        ssize_t n = 0;
        const std::string text = read_from(tty.slave.get(), asked, n);
        CHECK(n >= 3);
        CHECK(text.substr(0, 3) == "abc");
        typist.join();
      });
    }
  }
}

// The mode may be another one when the character comes than it was when the read began.
TEST_CASE("a terminal whose mode changes during a read gives what the new mode allows", "[interpose]") {
  for (const bool lines : {false, true}) {
    INFO((lines ? "lines before" : "many characters before"));
    on_one_worker([&] {
      const terminal tty(100, 0);
      termios mode{};
      ::tcgetattr(tty.slave.get(), &mode);
      const termios raw = mode;
      if (lines) mode.c_lflag |= ICANON;
      ::tcsetattr(tty.slave.get(), TCSANOW, &mode);
      zsync::fiber changes([&] {
        ::usleep(20'000);
        termios one = raw;
        one.c_cc[VMIN] = 1;
        ::tcsetattr(tty.slave.get(), TCSANOW, &one);
        ::usleep(20'000);
        REQUIRE(::write(tty.master.get(), "x", 1) == 1);
      });
      ssize_t n = 0;
      CHECK(read_from(tty.slave.get(), 10, n) == "x");
      changes.join();
    });
  }
}

// The kernel tells of the slave's mode also who asks the master.
TEST_CASE("a terminal's master waits for one character, whatever its slave's mode", "[interpose]") {
  on_one_worker([&] {
    const terminal tty(10, 0);
    zsync::fiber prints([&] {
      ::usleep(20'000);
      REQUIRE(::write(tty.slave.get(), "x", 1) == 1);
    });
    ssize_t n = 0;
    CHECK(read_from(tty.master.get(), 10, n) == "x");
    prints.join();
  });
}
