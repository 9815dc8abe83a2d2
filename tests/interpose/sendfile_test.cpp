// sendfile() from devices, directories and what the kernel makes up as it is read.
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"

#include <zsync/io/unique_fd.hpp>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

using zsync::test::episode;
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
