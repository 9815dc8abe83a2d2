// The same calls where they are libc's and where they are a fiber's.
#pragma once

#include "interpose/one_worker.hpp"
#include "support/catch.hpp"

#include <zsync/sched/blocking.hpp>
#include <zsync/sched/scope.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace zsync::test {

// What calls have said, one after the other.
class transcript {
 public:
  // Of a call: its result, and errno if that is below zero.
  void operator()(long result) {
    const int error = errno;
    text_ += std::to_string(result);
    if (result < 0) text_ += std::string(" ") + ::strerrorname_np(error);
    text_ += "; ";
  }
  void operator()(const std::string& what) { text_ += what + "; "; }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct episode {
  std::string name;
  std::function<void(transcript&)> calls;
};

// Runs the calls on a plain thread, and on a fiber of each backend. Who waits on a fiber where libc does not
// is told so after a while. Once a test: for Catch the backends are sections.
inline void same_as_libc(const std::vector<episode>& all) {
  on_one_worker([&] {
    for (const episode& one : all) {
      transcript libc;
      zsync::blocking([&] { std::thread([&] { one.calls(libc); }).join(); });
      transcript fiber;
      {
        const zsync::deadline_scope patience(std::chrono::seconds{10});
        one.calls(fiber);
      }
      INFO(one.name);
      CHECK(fiber.text() == libc.text());
    }
  });
}

}  // namespace zsync::test
