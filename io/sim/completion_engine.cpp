// An engine that completes, in the manner of a ring:
//
//   queued --the kernel takes it--> waiting --it succeeds, fails or is cancelled--> finished --told-->
//   (forgotten)
//      '--------withdrawn, cancelled-----------------------------------------------^
#include <zsync/io/sim/engines.hpp>

#include <zsync/io/engine.hpp>
#include <zsync/sched/error.hpp>

#include <algorithm>
#include <cerrno>

namespace zsync::detail::simulated {
namespace {

class simulated_ring final : public engine, public watcher, public event_source {
 public:
  explicit simulated_ring(world& in) noexcept : engine(true), world_(in) {}
  ~simulated_ring() override { evict_all(); }

  bool prefers_attempt(const op& o, expectation what) const noexcept override {
    switch (o.kind) {
      case op_kind::send:
      case op_kind::send_message:
      case op_kind::send_to:
      case op_kind::call:
        return true;
      case op_kind::receive:
      case op_kind::receive_message:
      case op_kind::receive_from:
        return what == expectation::ready;
      default:
        return false;
    }
  }

  void submit(op& o) noexcept override {
    o.at = op::in_kernel;
    const std::uint64_t id = ++ids_;
    entries_.push_back({&o, id});
    soon([this, id] { take(id); });
  }

  void cancel(op& o) noexcept override {
    if (o.at != op::in_kernel) return;
    const auto e =
        std::find_if(entries_.begin(), entries_.end(), [&o](const entry& one) { return one.what == &o; });
    if (e == entries_.end()) return;
    soon([this, id = e->id] {
      if (entry* const still = find(id); still != nullptr && still->at != stage::finished)
        finish(*still, -ECANCELED);
    });
  }

  void withdraw(const descriptor& d) noexcept override {
    for (std::size_t i = 0; i < entries_.size();) {
      if (entries_[i].at == stage::queued && entries_[i].what->target == &d) {
        complete(i, -ECANCELED);
      } else {
        ++i;
      }
    }
  }

  void wait(deadline) override {
    woken = false;
    read_mail();
    while (finished_ != 0) {
      // Any of those that have finished.
      std::uint64_t nth = world_.drawn().below(finished_);
      std::size_t i = 0;
      while (entries_[i].at != stage::finished || nth-- != 0) ++i;
      --finished_;
      complete(i, entries_[i].result);
    }
    read_mail();
  }

  void wake() noexcept override { woken = true; }
  int native_handle() const noexcept override { return -1; }
  bool due() const noexcept override { return woken || finished_ != 0; }

  void became_ready(const socket_ptr& s, bool, bool, bool) override {
    std::vector<std::uint64_t> waiting;
    for (const entry& e : entries_) {
      if (e.of == s && e.at == stage::waiting) waiting.push_back(e.id);
    }
    for (const std::uint64_t id : waiting) {
      if (entry* const e = find(id); e != nullptr && e->at == stage::waiting) attempt(*e);
    }
  }

 private:
  enum class stage : std::uint8_t { queued, waiting, finished };

  struct entry {
    op* what;
    std::uint64_t id;
    stage at = stage::queued;
    std::int64_t result = 0;
    socket_ptr of{};  // the kernel holds it, whatever becomes of its number
  };

  template <class F>
  void soon(F f) {
    world_.after(world_.drawn().between(clock::duration{0}, latest), "an operation is about to complete",
                 std::move(f));
  }

  entry* find(std::uint64_t id) noexcept {
    const auto e =
        std::find_if(entries_.begin(), entries_.end(), [id](const entry& one) { return one.id == id; });
    return e == entries_.end() ? nullptr : &*e;
  }

  void take(std::uint64_t id) {
    entry* const e = find(id);
    if (e == nullptr || e->at != stage::queued) return;
    op& o = *e->what;
    const bool file =
        o.kind == op_kind::read_at || o.kind == op_kind::write_at || o.kind == op_kind::sync_file;
    if (!file) {
      e->of = world_.sockets().find(o.fd);
      if (e->of == nullptr && is_simulated(o.fd)) return finish(*e, -EBADF);
      if (e->of == nullptr) misuse("a descriptor of the kernel's is waited for within a simulation");
      auto& all = e->of->watchers;
      if (std::find(all.begin(), all.end(), this) == all.end()) all.push_back(this);
    }
    e->at = stage::waiting;
    attempt(*e);
  }

  void attempt(entry& e) {
    op& o = *e.what;
    if (o.kind == op_kind::ready || o.kind == op_kind::call) {
      const int wanted = (o.side == direction::in ? POLLIN : POLLOUT) | POLLERR | POLLHUP;
      if ((e.of->ready() & wanted) != 0) finish(e, 0);
      return;
    }
    const network_stack::lending meant(world_.sockets(), o.fd, e.of);
    if (!o.attempt()) return;
    o.done = false;  // as long as nobody has been told
    finish(e, o.result);
  }

  void finish(entry& e, std::int64_t result) {
    e.at = stage::finished;
    e.result = result;
    ++finished_;
  }

  void complete(std::size_t place, std::int64_t result) {
    op& o = *entries_[place].what;
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(place));
    o.at = op::outside;
    if (o.listed == op::local) o.target->unlist_local(o);
    o.finish(result);
    if (claim(o)) resume_anywhere(o);
  }

  world& world_;
  std::vector<entry> entries_;
  std::size_t finished_ = 0;
  std::uint64_t ids_ = 0;
};

}  // namespace

made_poller make_completion(world& in) {
  auto ring = std::make_unique<simulated_ring>(in);
  event_source* const source = ring.get();
  return {std::move(ring), source};
}

}  // namespace zsync::detail::simulated
