// What moves bytes from descriptor to descriptor: sendfile() from devices, directories and what the kernel
// makes up as it is read, and splice().
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"

#include <zsync/io/unique_fd.hpp>
#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

using zsync::test::episode;
using zsync::test::on_one_worker;
using zsync::test::pair;
using zsync::test::same_as_libc;
using zsync::test::transcript;
using number = zsync::unique_fd;

TEST_CASE("sendfile() takes from what is no plain file what it does in libc", "[interpose]") {
  std::vector<episode> all;
  for (const char* const path :
       {"/proc/self/status", "/proc/version", "/proc/uptime", "/proc/self/maps", "/proc/self/cmdline",
        "/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled", "/dev/zero", "/dev/null",
        "/dev/urandom", "/", "/proc/self/fd", "/etc/passwd"}) {
    all.push_back({path, [path](transcript& t) {
                     const number in(::open(path, O_RDONLY | O_CLOEXEC));
                     if (in.get() < 0) return;
                     for (const bool positioned : {false, true}) {
                       const pair s;
                       off_t at = 2;
                       t(::sendfile(s.ends[0], in.get(), positioned ? &at : nullptr, 5));
                       t(at);
                       t(::lseek(in.get(), 0, SEEK_CUR));
                       ::shutdown(s.ends[0], SHUT_WR);
                       std::array<char, 16> b{};
                       t(::read(s.ends[1], b.data(), b.size()));
                       if (std::string(path) == "/proc/version") t(std::string(b.data(), 5));
                     }
                   }});
  }
  // More than there is room for, so that it waits.
  all.push_back({"much", [](transcript& t) {
                   const number zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
                   const pair s;
                   constexpr std::size_t much = 1 << 20;
                   std::thread reader([&] {
                     std::vector<char> b(1 << 16);
                     for (std::size_t n = 0; n < much;) {
                       const ssize_t part = ::read(s.ends[1], b.data(), b.size());
                       if (part <= 0) break;
                       n += static_cast<std::size_t>(part);
                     }
                   });
                   t(::sendfile(s.ends[0], zero.get(), nullptr, much));
                   reader.join();
                 }});
  same_as_libc(all);
}

TEST_CASE("splice() lets other fibers run while it waits for data, and for room", "[interpose]") {
  on_one_worker([] {
    const pair s;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const number reader(ends[0]), writer(ends[1]);
    zsync::fiber source([&] { return ::write(writer.get(), "data", 4); });
    CHECK(::splice(reader.get(), nullptr, s.ends[0], nullptr, 100, 0) == 4);
    source.join();
    std::array<char, 16> b{};
    CHECK(::read(s.ends[1], b.data(), b.size()) == 4);
    CHECK(std::string(b.data()) == "data");
    const std::vector<char> much(1 << 16);
    ::fcntl(writer.get(), F_SETFL, O_WRONLY | O_NONBLOCK);
    while (::write(writer.get(), much.data(), much.size()) > 0) continue;
    ::fcntl(writer.get(), F_SETFL, O_WRONLY);
    REQUIRE(::send(s.ends[1], "more", 4, 0) == 4);
    bool made = false;
    zsync::fiber room([&] {
      made = true;
      std::vector<char> all(1 << 20);
      return ::read(reader.get(), all.data(), all.size());
    });
    CHECK(::splice(s.ends[0], nullptr, writer.get(), nullptr, 4, 0) == 4);
    CHECK(made);
    room.join();
  });
}
