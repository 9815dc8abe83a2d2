#include <zsync/sched/helper_pool.hpp>

#include <zsync/sched/signal_mask.hpp>
#include <zsync/sched/thread_name.hpp>

#include <chrono>
#include <system_error>

namespace zsync::detail {
namespace {

constexpr std::chrono::seconds idle_time_max{10};

}  // namespace

helper_pool::~helper_pool() {
  std::unique_lock hold(mutex_);
  closing_ = true;
  work_.notify_all();
  gone_.wait(hold, [this] { return threads_ == 0; });
}

void helper_pool::submit(helper_job& job) {
  std::unique_lock hold(mutex_);
  const std::size_t unbounded = unbounded_ + (job.unbounded ? 1 : 0);
  if (unbounded > unbounded_max)
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  if (queued_ >= idle_ && threads_ < threads_max_ + unbounded) {
    try {
      const signals_blocked quiet;
      std::thread([this] { help(); }).detach();
      ++threads_;
    } catch (const std::system_error&) {
      if (threads_ == 0 || job.unbounded) throw;  // else one of those there will come to it
    }
  }
  unbounded_ = unbounded;
  ++queued_;
  job.next = nullptr;
  (head_ == nullptr ? head_ : tail_->next) = &job;
  tail_ = &job;
  hold.unlock();  // or who is notified waits for us; the caller waits for its job, so the pool stays
  work_.notify_one();
}

bool helper_pool::take_back(helper_job& job) noexcept {
  const std::lock_guard hold(mutex_);
  helper_job* previous = nullptr;
  for (helper_job* j = head_; j != nullptr; previous = j, j = j->next) {
    if (j != &job) continue;
    (previous == nullptr ? head_ : previous->next) = job.next;
    if (tail_ == &job) tail_ = previous;
    --queued_;
    if (job.unbounded) --unbounded_;
    return true;
  }
  return false;
}

void helper_pool::help() {
  name_this_thread(name_, "helper");
  std::unique_lock hold(mutex_);
  for (bool idle_long = false; !idle_long;) {
    while (head_ != nullptr) {
      helper_job& job = *head_;
      head_ = job.next;
      --queued_;
      const bool unbounded = job.unbounded;  // it is gone once it has run
      hold.unlock();
      job.run();
      hold.lock();
      if (unbounded) --unbounded_;
    }
    if (closing_) break;
    ++idle_;
    idle_long = work_.wait_for(hold, idle_time_max) == std::cv_status::timeout && head_ == nullptr;
    --idle_;
  }
  --threads_;
  gone_.notify_all();  // under the lock: the pool may be gone right after it
}

}  // namespace zsync::detail
