// crawler: follows the links of a web site, many pages at once, and reports the dead ones.
#include "common/arguments.hpp"
#include "common/http_page.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <iostream>
#include <map>
#include <mutex>

namespace samples {
namespace {

using namespace std::chrono_literals;

class crawler final : public sample {
 public:
  void add_options(CLI::App& command) override {
    require(add_endpoint(command, "site", site_, "The site's server"));
    add_text(command, "path", start_, "The page to begin with");
    add_count(command, "-n,--pages", pages_max_, 1, 1'000'000, "Look at no more pages than this");
    add_count(command, "-c,--concurrency", concurrency_, 1, 10'000, "Pages fetched at the same time");
    add_duration(command, "--page-timeout", page_timeout_, "How long a page may take");
    add_duration(command, "--timeout", timeout_, "How long all of it may take");
  }

  // The group ends when the last page has, because each page's fiber spawns those of its links.
  void run(zsync::runtime&) override {
    const auto started = zsync::clock::now();
    if (!start_.starts_with('/')) start_.insert(start_.begin(), '/');
    zsync::counting_semaphore<> slots(static_cast<std::ptrdiff_t>(concurrency_));
    zsync::task_group pages;
    slots_ = &slots;
    group_ = &pages;
    try {
      const zsync::deadline_scope in_time(timeout_);
      visit(start_);
      pages.wait();
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::timed_out) throw;
      out_of_time_ = true;
    }
    taken_ = zsync::clock::now() - started;
  }

  void summarise(std::ostream& out) const override {
    std::uint64_t dead = 0;
    for (const auto& [path, outcome] : pages_) {
      if (outcome.empty()) continue;
      out << path << "  " << outcome << '\n';
      ++dead;
    }
    out << count_text(pages_.size(), "page") << ", " << count_text(dead, "dead link") << ", in "
        << duration_text(taken_) << (out_of_time_ ? ", out of time" : "") << '\n';
  }

 private:
  // Fetches a page in a fiber of its own, unless that was done before.
  void visit(const std::string& path) {
    {
      std::lock_guard guard(lock_);
      if (pages_.size() == pages_max_ || !pages_.emplace(path, "not fetched in time").second) return;
    }
    group_->spawn([this, path] {
      const std::string outcome = fetch_and_follow(path);
      std::lock_guard guard(lock_);
      pages_[path] = outcome;
    });
  }

  // What is wrong with the page, or an empty string.
  std::string fetch_and_follow(const std::string& path) {
    try {
      const http_page page = fetch(path);
      if (page.status != 200) return std::to_string(page.status);
      for (const auto& link : links_of(page, path)) visit(link);
      return {};
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  http_page fetch(const std::string& path) {
    const zsync::permit slot(*slots_);
    const zsync::deadline_scope in_time(page_timeout_);
    return http_get(site_.host, site_.port, path);
  }

  endpoint site_;
  std::string start_ = "/";
  std::uint64_t pages_max_ = 10'000;
  std::uint64_t concurrency_ = 64;
  std::chrono::nanoseconds page_timeout_ = 5s;
  std::chrono::nanoseconds timeout_ = 60s;

  zsync::counting_semaphore<>* slots_ = nullptr;
  zsync::task_group* group_ = nullptr;
  zsync::mutex lock_;
  std::map<std::string, std::string> pages_;  // to what is wrong with them; guarded by lock_
  bool out_of_time_ = false;
  std::chrono::nanoseconds taken_{};
};

}  // namespace

std::unique_ptr<sample> make_crawler() { return std::make_unique<crawler>(); }

}  // namespace samples
