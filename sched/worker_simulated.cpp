// A worker that a simulation drives: it does what it would do anyhow, one slice at a time, in an order that
// is chosen for it.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/scheduler.hpp>

#include <utility>

namespace zsync::detail {

void worker::offer(std::vector<choice>& to, bool events) noexcept {
  using kind = choice::kind;
  empty_inbox();
  const std::size_t before = to.size();
  for (fiber_control* f = ready_.front(); f != nullptr; f = f->next) to.push_back({kind::resume, this, f});
  for (fiber_control* f = yielded_.front(); f != nullptr; f = f->next) to.push_back({kind::resume, this, f});
  if (!newborns_.empty()) to.push_back({kind::begin_youngest, this});
  if (newborns_.size() > 1) to.push_back({kind::begin_oldest, this});
  if (!shared_.empty()) to.push_back({kind::take_shared, this});
  if (owner_.has_injected()) to.push_back({kind::take_injected, this});
  const bool nothing_here = to.size() == before;
  for (unsigned i = 0; i < owner_.size() && nothing_here; ++i) {
    worker& other = owner_.at(i);
    if (&other != this && other.surplus() != 0) to.push_back({kind::steal, this, nullptr, &other});
  }
  if (events || attention_.load(std::memory_order_relaxed) || timers_.next().has_passed())
    to.push_back({kind::look, this});
}

void worker::carry_out(const choice& chosen) noexcept {
  using kind = choice::kind;
  now_ = clock::now();
  fiber_control* next = nullptr;
  switch (chosen.what) {
    case kind::resume: {
      ready_queue all = std::exchange(ready_, {});
      all.take_all(yielded_);
      all.remove(*chosen.fiber);
      ready_ = all;
      next = chosen.fiber;
      break;
    }
    case kind::begin_youngest:
      next = newborns_.pop_youngest();
      break;
    case kind::begin_oldest:
      next = newborns_.take_oldest();
      break;
    case kind::take_shared:
      next = shared_.take_oldest();
      break;
    case kind::take_injected:
      next = owner_.take_injected();
      break;
    case kind::steal:
      next = steal_from(*chosen.victim);
      break;
    case kind::look:
      if (attention_.load(std::memory_order_relaxed)) answer();
      poll_kernel();
      break;
  }
  if (next != nullptr) run_slice(*next);
}

// With the root right behind it in the queue.
void worker::run_slice(fiber_control& f) noexcept {
  checker::step_aside(nobody_);
  ready_queue others = std::exchange(ready_, {});
  ready_.push_back(f);
  ready_.push_back(root_);
  picks_left_ = picks_per_tick;  // more than one slice needs
  suspend_aside();
  others.take_all(ready_);
  ready_ = others;
  checker::step_back(root_.checked, nobody_);
}

}  // namespace zsync::detail
