// Usage: guests LIBRARY FIBERS STOPPED [ARGUMENTS]
//
// Runs the library's deed in so many fibers on one worker and says how long it took. STOPPED is the process
// id of a server that is stopped, or 0: a fiber lets it go on once all others have begun, which can only
// happen if these leave the worker to it while they wait.
#include "guest.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>

void guests::expect(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what);
}

namespace {

int run(const guests::deed& deed, int fibers, pid_t stopped) {
  int begun = 0;
  int failed = 0;
  const auto begin = std::chrono::steady_clock::now();
  {
    zsync::task_group all;
    for (int i = 0; i < fibers; ++i) {
      all.spawn([&, i] {
        ++begun;
        try {
          deed(i);
        } catch (const std::exception& e) {
          if (failed++ == 0) std::fprintf(stderr, "fiber %d: %s\n", i, e.what());
        }
      });
    }
    if (stopped != 0) {
      all.spawn([&] {
        while (begun < fibers) zsync::this_fiber::yield();
        ::kill(stopped, SIGCONT);
      });
    }
    all.wait();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%d fibers, %d failed, %.3f s\n", fibers, failed, took.count());
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, guests::deed (*)(const guests::arguments&)> all{
      {"curl", &guests::curl},   {"hiredis", &guests::hiredis}, {"openssl", &guests::openssl},
      {"libpq", &guests::libpq}, {"mariadb", &guests::mariadb}, {"program", &guests::program}};
  const guests::arguments words(argv + 1, argv + argc);
  if (words.size() < 3 || all.count(words[0]) == 0) return 2;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const guests::deed deed = all.at(words[0])({words.begin() + 3, words.end()});
  if (!deed) {
    std::printf("built without %s\n", words[0].c_str());
    return 3;
  }
  return zsync::run([&] { return run(deed, std::stoi(words[1]), std::stoi(words[2])); },
                    {.workers = 1, .stack_size = 512 * 1024});
}
