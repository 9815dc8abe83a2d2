// mirrors: asks several web servers for the same page, and compares them. By futures and coroutines, for
// those who come from there; a task_group and a channel would do as well.
#include "common/arguments.hpp"
#include "common/http_page.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <coroutine>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace samples {
namespace {

using namespace std::chrono_literals;

struct answer {
  std::string server;
  std::string failure;  // empty if there is a page
  http_page page;
  std::chrono::nanoseconds taken{};
};
using answers = std::vector<zsync::future<answer>>;

std::string as_line(const answer& a) {
  if (!a.failure.empty()) return a.server + "  " + a.failure;
  return a.server + "  " + std::to_string(a.page.status) + ", " + count_text(a.page.body.size(), "byte") +
         ", after " + duration_text(a.taken);
}

// A coroutine awaits futures, and is one. It goes on in whichever fiber sets what it waits for.
zsync::future<bool> all_the_same(answers given) {
  std::optional<std::string> first;
  bool same = true;
  for (auto& one : given) {
    const answer a = co_await one;
    if (!a.failure.empty()) continue;
    if (!first) first = a.page.body;
    same = same && *first == a.page.body;
  }
  co_return same;
}

// Awaitable as those of other libraries are, which know nothing of fibers: it computes on a thread of its
// own, and resumes there who awaits it.
class checksum_elsewhere {
 public:
  explicit checksum_elsewhere(std::string text) : text_(std::move(text)) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    thread_ = std::jthread([this, waiting] {
      for (const char byte : text_) sum_ = (sum_ ^ static_cast<unsigned char>(byte)) * 16'777'619;  // FNV-1a
      waiting.resume();
    });
  }
  [[nodiscard]] std::uint32_t await_resume() const noexcept { return sum_; }

 private:
  std::string text_;
  std::uint32_t sum_ = 2'166'136'261;
  std::jthread thread_;
};

class mirrors final : public sample {
 public:
  void add_options(CLI::App& command) override {
    require(add_endpoints(command, "servers", servers_, "The web servers"));
    add_text(command, "--path", path_, "The page");
    add_duration(command, "--timeout", timeout_, "How long to wait for each");
  }

  void run(zsync::runtime&) override {
    zsync::task_group questions;  // if this fiber is cancelled, so are they

    const auto fastest = zsync::when_any(ask_all(questions, failures::come_last)).get();
    if (fastest.value.failure.empty())
      std::cout << "first: " << to_string(servers_[fastest.index]) << '\n';
    else
      std::cout << "first: none answered\n";

    std::vector<zsync::future<std::string>> lines;
    for (auto& one : ask_all(questions, failures::are_told)) lines.push_back(one.then(as_line));
    for (const auto& line : zsync::when_all(std::move(lines)).get()) std::cout << line << '\n';

    std::cout << (zsync::await(all_the_same(ask_all(questions, failures::are_told))) ? "all the same\n"
                                                                                     : "they differ\n");

    const answer quickest = zsync::race(ask_all(questions, failures::come_last)).get();
    if (!quickest.failure.empty()) return;
    std::cout << "checksum: " << zsync::await(checksum_elsewhere(quickest.page.body)) << '\n';
  }

 private:
  enum class failures { are_told, come_last };

  answers ask_all(zsync::task_group& questions, failures then) const {
    answers all;
    for (const auto& server : servers_) {
      zsync::packaged_task<answer()> question([this, server, then] { return ask(server, then); });
      all.push_back(question.get_future());
      questions.spawn(std::move(question));
    }
    return all;
  }

  answer ask(const endpoint& server, failures then) const {
    const auto started = zsync::clock::now();
    answer result{to_string(server), {}, {}, {}};
    try {
      const zsync::deadline_scope in_time(timeout_);
      result.page = http_get(server.host, server.port, path_);
      result.taken = zsync::clock::now() - started;
    } catch (const std::exception& error) {
      result.failure = error.what();
      if (then == failures::come_last) zsync::this_fiber::sleep_until(started + timeout_);
    }
    return result;
  }

  std::vector<endpoint> servers_;
  std::string path_ = "/";
  std::chrono::nanoseconds timeout_ = 5s;
};

}  // namespace

std::unique_ptr<sample> make_mirrors() { return std::make_unique<mirrors>(); }

}  // namespace samples
