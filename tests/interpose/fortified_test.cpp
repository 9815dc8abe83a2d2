// The names that fortified programs call, which know how much room there is.
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace zsync::test;

extern "C" {
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __pread_chk(int, void*, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void*, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
int __poll_chk(pollfd*, nfds_t, int, size_t);
int __ppoll_chk(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
size_t __fread_chk(void*, size_t, size_t, size_t, FILE*);
char* __fgets_chk(char*, size_t, int, FILE*);
}

namespace {

constexpr std::size_t room = 8 * sizeof(pollfd);

// What the calls take from: each has 100 bytes.
struct sources {
  sources()
      : file(::memfd_create("bytes", MFD_CLOEXEC)), stream(::fmemopen(bytes.data(), bytes.size(), "r")) {
    bytes.fill('x');
    REQUIRE(::send(s.ends[1], bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(::pwrite(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    into.fill({s.ends[0], POLLIN, 0});
  }
  ~sources() { std::fclose(stream); }
  sources(const sources&) = delete;
  sources& operator=(const sources&) = delete;

  [[nodiscard]] char* to() { return reinterpret_cast<char*>(into.data()); }

  pair s;
  std::array<char, 100> bytes{};
  std::array<pollfd, 16> into{};  // more than they are told
  zsync::unique_fd file;
  FILE* stream;
};

struct fortified {
  std::string name;
  std::size_t unit;  // bytes that one of what is asked for takes
  bool waits;        // for what another may send
  std::function<long(sources&, std::size_t)> call;
};

const std::vector<fortified> table = {
    {"__read_chk", 1, true,
     [](sources& a, std::size_t n) { return ::__read_chk(a.s.ends[0], a.to(), n, room); }},
    {"__pread_chk", 1, false,
     [](sources& a, std::size_t n) { return ::__pread_chk(a.file.get(), a.to(), n, 0, room); }},
    {"__pread64_chk", 1, false,
     [](sources& a, std::size_t n) { return ::__pread64_chk(a.file.get(), a.to(), n, 0, room); }},
    {"__recv_chk", 1, true,
     [](sources& a, std::size_t n) { return ::__recv_chk(a.s.ends[0], a.to(), n, room, 0); }},
    {"__recvfrom_chk", 1, true,
     [](sources& a, std::size_t n) {
       return ::__recvfrom_chk(a.s.ends[0], a.to(), n, room, 0, nullptr, nullptr);
     }},
    {"__poll_chk", sizeof(pollfd), true,
     [](sources& a, std::size_t n) { return long{::__poll_chk(a.into.data(), n, -1, room)}; }},
    {"__ppoll_chk", sizeof(pollfd), true,
     [](sources& a, std::size_t n) { return long{::__ppoll_chk(a.into.data(), n, nullptr, nullptr, room)}; }},
    {"__fread_chk", 1, false,
     [](sources& a, std::size_t n) {
       return static_cast<long>(::__fread_chk(a.to(), room, 1, n, a.stream));
     }},
    {"__fgets_chk", 1, false,
     [](sources& a, std::size_t n) {
       return long{::__fgets_chk(a.to(), room, static_cast<int>(n), a.stream) != nullptr};
     }},
};

}  // namespace

TEST_CASE("fortified calls end a program that has less room than it asks for, and no other", "[interpose]") {
  for (const fortified& each : table) {
    INFO(each.name);
    const std::size_t most = room / each.unit;
    CHECK(run_in_child([&] {
            sources a;
            each.call(a, most + 1);
          }).signal == SIGABRT);
    CHECK(run_in_child([&] {
            sources a;
            each.call(a, most);
          }).signal == 0);
  }
}

TEST_CASE("fortified calls that have the room do what they do in libc", "[interpose]") {
  std::vector<episode> all;
  for (const fortified& each : table) {
    all.push_back({each.name, [&each](transcript& t) {
                     for (const std::size_t n : {room / each.unit, std::size_t{1}, std::size_t{5}}) {
                       sources a;
                       t(each.call(a, n));
                     }
                   }});
  }
  same_as_libc(all);
}

TEST_CASE("fortified calls that wait let other fibers run", "[interpose]") {
  for (const fortified& each : table) {
    if (!each.waits) continue;
    on_one_worker([&] {
      INFO(each.name);
      sources a;
      std::array<char, 100> old{};
      REQUIRE(::recv(a.s.ends[0], old.data(), old.size(), 0) == static_cast<ssize_t>(old.size()));
      zsync::fiber sender([&] { return ::send(a.s.ends[1], "y", 1, 0); });
      CHECK(each.call(a, 1) == 1);
      sender.join();
    });
  }
}

TEST_CASE("the table of fortified calls has all that are replaced", "[interpose]") {
  const child_result listed = run_program({"nm", "-D", "--defined-only", INTERPOSE_LIBRARY});
  REQUIRE(listed.exit_code == 0);
  std::set<std::string> replaced;
  std::istringstream lines(listed.out);
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(line.rfind(' ') + 1);
    if (name.size() > 4 && name.substr(name.size() - 4) == "_chk") replaced.insert(name);
  }
  std::set<std::string> known;
  for (const fortified& each : table) known.insert(each.name);
  CHECK(replaced == known);
}
