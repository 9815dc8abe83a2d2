// Locks on files, and what a forked child does to the numbers of its parent's fibers.
#include "interpose/one_worker.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <string>

using namespace std::chrono_literals;
using zsync::test::on_one_worker;

TEST_CASE("a file's lock that is free is taken at once, and one that is not is waited for", "[interpose]") {
  on_one_worker([] {
    zsync::test::temporary_directory folder;
    const std::string path = folder.path() / "file";
    const auto open = [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); };
    const int mine = open();
    const int other = open();
    struct flock whole {};
    whole.l_type = F_WRLCK;
    bool others_ran = false;
    zsync::fiber watcher([&] { others_ran = true; });
    CHECK(::flock(mine, LOCK_EX) == 0);
    CHECK(::lockf(mine, F_LOCK, 0) == 0);
    CHECK(::lockf64(mine, F_LOCK, 0) == 0);
    CHECK(::fcntl(mine, F_SETLKW, &whole) == 0);
    CHECK(::lockf(mine, F_ULOCK, 0) == 0);
    CHECK(::fcntl(mine, F_OFD_SETLKW, &whole) == 0);
    CHECK(!others_ran);
    watcher.join();
    const auto waits = [](const char* name, const std::function<int()>& lock,
                          const std::function<void()>& unlock) {
      INFO(name);
      bool unlocked = false;
      zsync::fiber unlocker([&] {
        zsync::this_fiber::sleep_for(2ms);
        unlocked = true;
        unlock();
      });
      errno = 77;
      const int result = lock();
      const int error = errno;
      CHECK(result == 0);
      CHECK(unlocked);
      CHECK(error == 77);
      unlocker.join();
    };
    waits(
        "flock", [&] { return ::flock(other, LOCK_EX); }, [&] { ::flock(mine, LOCK_UN); });
    waits(
        "fcntl", [&] { return ::fcntl(other, F_OFD_SETLKW, &whole); },
        [&] {
          struct flock none {};
          none.l_type = F_UNLCK;
          ::fcntl(mine, F_OFD_SETLK, &none);
        });
    for (const int fd : {mine, other}) ::close(fd);
  });
}

TEST_CASE("a forked child closes numbers for which its parent's fibers wait", "[interpose]") {
  on_one_worker([] {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    char c = 0;
    zsync::fiber waiting([&] { return ::read(ends[0], &c, 1); });
    zsync::this_fiber::sleep_for(2ms);
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      const auto number = static_cast<unsigned>(ends[0]);
      ::_exit(::close_range(number, number, 0) == 0 && ::fcntl(ends[0], F_GETFD) < 0 ? 5 : 6);
    }
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 5));
    CHECK(::write(ends[1], "x", 1) == 1);
    CHECK(waiting.join() == 1);
    for (const int fd : ends) ::close(fd);
  });
}
