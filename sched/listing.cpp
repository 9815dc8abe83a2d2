#include <zsync/sched/listing.hpp>

#include <zsync/fiber/backtrace.hpp>
#include <zsync/sched/delayed_calls.hpp>
#include <zsync/sched/scheduler.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace zsync::detail {
namespace {

constexpr std::size_t frames_max = 24;

// What may be told of a fiber that might be another worker's by the time it is looked at: what never changes.
fiber_record outline(const fiber_control& f) {
  fiber_record r;
  r.id = f.id;
  r.self = reinterpret_cast<std::uintptr_t>(&f);
  r.cancelling = f.cancel_requested();
  r.stack_size = f.stack_size;
  r.spawned_at = f.spawned_at;
  r.group = f.group();
  return r;
}

}  // namespace

// Only its own worker makes a waiting fiber ready, so one that waits at home here stays while we look. Its
// home is looked at again after its state: it may have moved, and begun to wait elsewhere, in between.
bool worker::keeps(const fiber_control& f) const noexcept {
  const bool waiting = f.is_waiting();
  const bool stays = !f.stealable || waiting || owner_.size() == 1;
  return (f.home.load(std::memory_order_relaxed) == this && stays) || &f == current_;
}

void worker::describe(const fiber_control& f, worker_listing& into) const {
  const checker::unseen reading;  // what is the fiber's own: it waits at home, so nobody writes it
  fiber_record r = outline(f);
  const bool waiting = f.is_waiting();
  if (f.name != nullptr) r.name = *f.name;
  r.state = waiting ? fiber_state::waiting : &f == current_ ? fiber_state::running : fiber_state::ready;
  if (waiting && f.waiting_in != nullptr) {
    r.why = f.waiting_in->why();
    r.on = f.waiting_in->on();
    r.since = f.waiting_in->since();
    r.until = f.waiting_in->until();
    r.details = describe_wait(*f.waiting_in);
    // Another thread may have handed it the lock that it waits for, and then it has it itself.
    if (r.details != nullptr && (r.details->holder == r.self || !f.is_waiting())) r.details->holder = 0;
  }
  const void* frames[frames_max];
  stack_position at = &f == current_ ? position_here() : position_of_parked(f.context);
  if (&f == current_ && waiting) at = position_of_waiting(at, f.waiting_in);
  const std::size_t found = walk_frames(at, f.memory.bottom, f.memory.top, frames, frames_max);
  r.frames_begin = into.frames.size();
  r.frames_end = r.frames_begin + found;
  into.frames.insert(into.frames.end(), frames, frames + found);
  into.fibers.push_back(std::move(r));
}

void worker::list_fibers(worker_listing& into) noexcept {
  try {
    empty_inbox();
    // Waits that begin from here on say so: of two listings that tell of the same fiber waiting since the
    // same time before the first, both mean the same wait.
    now_ = clock::now();
    into.taken = now_;
    into.newborns = newborns_.size();
    for (const fiber_control* f = ready_.front(); f != nullptr; f = f->next) {
      ++(f->is_newborn() ? into.newborns : into.ready);
    }
    for (const fiber_control* f = yielded_.front(); f != nullptr; f = f->next) ++into.ready;
    into.ready += shared_.size();
    if (!into.figures_only) list_each(into);
  } catch (const std::bad_alloc&) {
    into.cut_short = true;
  }
  into.done.store(true, std::memory_order_release);
}

// Fibers that stay here are described in full, but only after the pool's lock is released: that takes memory
// and system calls, and whoever carves or frees a stack needs the lock.
void worker::list_each(worker_listing& into) {
  std::vector<const fiber_control*> kept;
  owner_.stacks().for_each_slot([&](stack_slot& slot) {
    if (slot.home.load(std::memory_order_relaxed) != this) return;
    const fiber_control* const f = slot.owner.load(std::memory_order_relaxed);
    if (f == nullptr) return;
    keeps(*f) ? kept.push_back(f) : into.fibers.push_back(outline(*f));
  });
  for (const fiber_control* const f : kept) describe(*f, into);
  std::sort(into.fibers.begin(), into.fibers.end(), [](auto& a, auto& b) { return a.id < b.id; });
}

void worker::answer() noexcept {
  attention_.exchange(false, std::memory_order_acq_rel);
  check_not_forked();
  if (owner_.stopping()) {
    cancel_all();
    owner_.note_end();  // for ends that were counted before this worker knew: see scheduler::quiesce()
  }
  delayed_->attend();
  answer_listing();
}

void worker::look_soon() noexcept {
  attention_.store(true, std::memory_order_relaxed);
  picks_left_ = 1;
  ids_end_ = ids_;
}

// `question_` hands the listing to the worker (release in ask(), acquire here) or back to who asked
// (withdraw()); its `done` hands the answer over. The first look only spares the exchange:
// request_attention() orders it.
void worker::answer_listing() noexcept {
  if (question_.load(std::memory_order_relaxed) == nullptr) return;
  if (worker_listing* const question = question_.exchange(nullptr, std::memory_order_acq_rel))
    list_fibers(*question);
}

bool worker::ask(worker_listing& question) noexcept {
  worker_listing* nobody = nullptr;
  if (!question_.compare_exchange_strong(nobody, &question, std::memory_order_acq_rel)) return false;
  request_attention();
  return true;
}

bool worker::withdraw(worker_listing& question) noexcept {
  worker_listing* ours = &question;
  return question_.compare_exchange_strong(ours, nullptr, std::memory_order_acq_rel);
}

bool worker::list_if_parked(worker_listing& into) noexcept {
  auto nobody = driver::nobody;
  if (!driver_.compare_exchange_strong(nobody, driver::lister, std::memory_order_acq_rel)) return false;
  list_fibers(into);
  driver_.store(driver::nobody, std::memory_order_release);
  return true;
}

}  // namespace zsync::detail
