// Writing to files: each call is one of the kernel's.
#include "support/in_fiber.hpp"
#include "support/temporary.hpp"

#include <zsync/io/posix.hpp>
#include <zsync/io/stream.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace posix = zsync::posix;
namespace test = zsync::test;

namespace {

constexpr std::size_t size = 64 * 1024;
constexpr int writers = 4;
constexpr int records = 20;

// How many of the records in the file are of more than one writer.
int torn(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string record(size, '\0');
  int found = 0;
  int all = 0;
  while (::read(fd, record.data(), size) == static_cast<ssize_t>(size)) {
    ++all;
    found += record.find_first_not_of(record[0]) != std::string::npos ? 1 : 0;
  }
  ::close(fd);
  CHECK(all == writers * records);
  return found;
}

}  // namespace

// They were written in pieces of 4 KiB.
TEST_CASE("records that fibers append to a file stay whole", "[posix]") {
  test::in_fiber({.pinned_only = true}, [] {
    const test::temporary_directory folder;
    for (const bool in_parts : {false, true}) {
      const std::string path = folder / (in_parts ? "parts" : "whole");
      std::vector<zsync::fiber<int>> all;
      for (int i = 0; i < writers; ++i) {
        all.emplace_back(zsync::spawn_options{.worker = -1}, [&path, in_parts, i] {
          const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
          std::string record(size, static_cast<char>('a' + i));
          const iovec parts[2] = {{record.data(), 100}, {record.data() + 100, size - 100}};
          int whole = 0;
          for (int k = 0; k < records; ++k) {
            const ssize_t n = in_parts ? posix::writev(fd, parts, 2) : posix::write(fd, record.data(), size);
            whole += n == static_cast<ssize_t>(size) ? 1 : 0;
            zsync::this_fiber::yield();
          }
          ::close(fd);
          return whole;
        });
      }
      for (auto& each : all) CHECK(each.join() == records);
      CHECK(torn(path) == 0);
    }
  });
}

TEST_CASE("a file is read whole by one call, and written as far as it may go", "[posix]") {
  test::in_fiber({.pinned_only = true}, [] {
    const test::temporary_directory folder;
    const std::string path = folder / "file";
    const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    const std::string much(3 << 20, 'm');
    CHECK(posix::write(fd, much.data(), much.size()) == static_cast<ssize_t>(much.size()));
    // Some implementations of files say nothing of what is not in memory.
    ::fsync(fd);
    ::posix_fadvise(fd, 1 << 20, 1 << 20, POSIX_FADV_DONTNEED);
    CHECK(::lseek(fd, 0, SEEK_SET) == 0);
    std::string back(much.size() + 1000, '\0');
    iovec parts[3] = {{back.data(), 10}, {nullptr, 0}, {back.data() + 10, back.size() - 10}};
    CHECK(posix::readv(fd, parts, 3) == static_cast<ssize_t>(much.size()));
    CHECK((back.substr(0, much.size()) == much));
    CHECK(posix::read(fd, back.data(), back.size()) == 0);
    ::close(fd);
  });
}
