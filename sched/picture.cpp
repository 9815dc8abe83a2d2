#include <zsync/sched/picture.hpp>

#include <zsync/sched/runtimes.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/simulator.hpp>

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>

namespace zsync::detail {
namespace {

constexpr std::chrono::milliseconds patience{200};

class asking {
 public:
  asking(scheduler& of, std::span<worker_view> views) : of_(of), views_(views) {
    worker* const here = current_worker();
    const deadline end = deadline::after(patience);
    while (!all_answered()) {
      // Somebody else may be asking us.
      if (here != nullptr) here->answer_listing();
      if (end.has_passed()) break;
      std::this_thread::sleep_for(std::chrono::microseconds{100});
    }
    give_up();
  }

 private:
  bool all_answered() {
    bool all = true;
    for (unsigned i = 0; i < of_.size(); ++i) {
      worker_view& one = views_[i];
      if (one.answered) continue;
      one.answered = one.answer.done.load(std::memory_order_acquire) || ask(of_.at(i), one);
      if (one.answered) one.answered_after = std::max(clock::now() - began_, clock::duration::zero());
      all = all && one.answered;
    }
    return all;
  }

  // True: answered at once.
  static bool ask(worker& w, worker_view& view) {
    if (current_worker() == &w) {
      w.list_fibers(view.answer);
      return true;
    }
    // A loop whose thread has left it meanwhile will not answer.
    if (view.asked && !w.driven() && w.withdraw(view.answer)) view.asked = false;
    if (!view.asked && w.list_if_parked(view.answer)) return true;
    if (!view.asked) view.asked = w.ask(view.answer);
    return false;
  }

  void give_up() noexcept {
    for (unsigned i = 0; i < of_.size(); ++i) {
      worker_view& one = views_[i];
      if (one.answered) continue;
      const bool never = !one.asked || of_.at(i).withdraw(one.answer);
      // Not withdrawn: it is at it.
      while (!never && !one.answer.done.load(std::memory_order_acquire)) std::this_thread::yield();
      one.answered = !never;
      one.answered_after = patience;
    }
  }

  scheduler& of_;
  std::span<worker_view> views_;
  const clock::time_point began_ = clock::now();
};

std::vector<const worker_listing*> answers(const std::vector<worker_view>& views) {
  std::vector<const worker_listing*> all;
  for (const worker_view& one : views) all.push_back(one.answered ? &one.answer : nullptr);
  return all;
}

std::vector<wait_cycle> cycles_in(const std::vector<worker_view>& views) {
  return find_cycles(answers(views));
}

std::vector<wait_cycle> cycles_now(scheduler& of) {
  std::vector<worker_view> views(of.size());
  const asking again(of, views);
  return cycles_in(views);
}

std::vector<wait_cycle> certain_cycles(scheduler& of, const std::vector<worker_view>& views) {
  std::vector<wait_cycle> first = cycles_in(views);
  const bool one_moment = of.size() == 1 || simulator::of_thread() != nullptr;
  if (first.empty() || one_moment) return first;
  const std::vector<wait_cycle> second = cycles_now(of);
  if (second.empty()) return {};
  return lasting_cycles(std::move(first), answers(views), second, cycles_now(of));
}

fiber_record outline(const worker_sample& sample) {
  fiber_record r;
  r.id = sample.id;
  r.self = sample.self;
  r.name = sample.name;
  r.state = fiber_state::running;
  r.cancelling = sample.cancelling;
  return r;
}

template <class Key>
const fiber_record* find(const std::vector<std::pair<Key, const fiber_record*>>& in, Key key) noexcept {
  const auto at = std::lower_bound(in.begin(), in.end(), key,
                                   [](const auto& entry, Key wanted) { return entry.first < wanted; });
  return at != in.end() && at->first == key ? at->second : nullptr;
}

}  // namespace

picture::picture(scheduler& of, look how) : name(of.options().name), workers(of.size()) {
  check_not_forked();
  for (worker_view& one : workers) one.answer.figures_only = how == look::figures_only;
  const asking all(of, workers);
  figures = of.stats();
  injected = of.injected();
  taken = clock::now();
  if (how == look::figures_only) return;
  cycles = certain_cycles(of, workers);
  for (unsigned i = 0; i < of.size(); ++i) {
    worker_view& one = workers[i];
    one.sampled = !one.answered && take_sample(of.at(i), one.sample, patience);
    if (one.sampled && one.sample.in_fiber) sampled_.push_back(outline(one.sample));
  }
  const auto index = [this](const fiber_record& f) {
    ids_.emplace_back(f.id, &f);
    addresses_.emplace_back(f.self, &f);
  };
  for (const worker_view& one : workers) {
    if (one.answered) std::for_each(one.answer.fibers.begin(), one.answer.fibers.end(), index);
  }
  std::for_each(sampled_.begin(), sampled_.end(), index);
  std::sort(ids_.begin(), ids_.end());
  std::sort(addresses_.begin(), addresses_.end());
}

const fiber_record* picture::by_id(std::uint64_t id) const noexcept { return find(ids_, id); }
const fiber_record* picture::by_address(std::uintptr_t self) const noexcept { return find(addresses_, self); }

// A list, for records are known by their addresses.
std::list<picture> all_pictures(look how) {
  std::list<picture> all;
  for_each_runtime([&](scheduler& one) { all.emplace_back(one, how); });
  return all;
}

}  // namespace zsync::detail
