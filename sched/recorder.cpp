#include <zsync/sched/recorder.hpp>

#include <zsync/sched/scheduler.hpp>

#include <mutex>
#include <new>

namespace zsync::detail {

void recorder::add(const trace_event& event) noexcept try {
  const std::lock_guard hold(lock_);
  if (events_.size() < events_max_) {
    events_.push_back(event);
  } else {
    events_[oldest_] = event;
    oldest_ = (oldest_ + 1) % events_max_;
  }
} catch (const std::bad_alloc&) {
}

void recorder::know(const fiber_control& fiber) noexcept try {
  const std::lock_guard hold(lock_);
  const auto known = fibers_.find(fiber.id);
  if (known == fibers_.end()) {
    if (fibers_.size() == events_max_) fibers_.erase(fibers_.begin());
    fibers_.emplace(fiber.id, traced_fiber{fiber.name ? *fiber.name : std::string{}, fiber.spawned_at});
  } else if (fiber.name && known->second.name != *fiber.name) {
    known->second.name = *fiber.name;
  }
} catch (const std::bad_alloc&) {
}

void recorder::copy(std::vector<trace_event>& events,
                    std::unordered_map<std::uint64_t, traced_fiber>& fibers) {
  const std::size_t room = [&] {
    const std::lock_guard hold(lock_);
    return events_.size();
  }();
  events.reserve(events.size() + room + 64);  // not under the lock, for whom the worker would wait
  const std::lock_guard hold(lock_);
  for (std::size_t i = 0; i < events_.size(); ++i) events.push_back(events_[(oldest_ + i) % events_.size()]);
  fibers.insert(fibers_.begin(), fibers_.end());
}

// Called at a pick: whoever runs stops, or at least looks whether it should. True: others get a turn.
bool worker::record_stop() noexcept {
  const fiber_control& f = *current_;
  trace_event event{.at = clock::now(), .fiber = f.id};
  if (&f == &root_) {
    event.what = trace_event::returns;
  } else if (f.memory.slot == nullptr || f.memory.slot->owner.load(std::memory_order_relaxed) == nullptr) {
    event.what = trace_event::ends;
    recorder_->know(f);
  } else {
    const wait* const in = f.waiting_in;
    event.what = in == nullptr ? trace_event::yields : trace_event::waits;
    if (in != nullptr) {
      event.why = in->why();
      event.on = in->on();
    }
    recorder_->know(f);
  }
  recorder_->add(event);
  return ++recorder_->stops % picks_per_tick == 0;
}

void worker::record_wake(const fiber_control& f, bool newborn) noexcept {
  worker* const by = current_worker();
  trace_event event{.at = clock::now(), .fiber = f.id};
  event.what = newborn ? trace_event::spawns : trace_event::wakes;
  event.by = trace_event::a_thread;
  if (by != nullptr && &by->owner_ == &owner_)
    event.by = by->recorder_->polling ? trace_event::the_worker : by->current_->id;
  recorder_->add(event);
}

void worker::record_poll(clock::time_point since, bool could_block) noexcept {
  trace_event event{.at = since, .until = clock::now()};
  event.what = could_block ? trace_event::sleeps : trace_event::polls;
  recorder_->add(event);
}

}  // namespace zsync::detail
