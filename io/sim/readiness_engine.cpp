#include <zsync/io/sim/engines.hpp>

#include <zsync/io/readiness.hpp>
#include <zsync/sched/error.hpp>

#include <algorithm>
#include <cerrno>
#include <map>

namespace zsync::detail::simulated {
namespace {

class simulated_selector final : public selector, public watcher, public event_source {
 public:
  explicit simulated_selector(world& in) noexcept : world_(in) {}

  int arm(int fd, std::uint32_t generation, unsigned, unsigned wanted) noexcept override {
    const socket_ptr s = world_.sockets().find(fd);
    if (s == nullptr && is_simulated(fd)) return EBADF;
    if (s == nullptr) misuse("a descriptor of the kernel's is waited for within a simulation");
    if (std::find(s->watchers.begin(), s->watchers.end(), this) == s->watchers.end())
      s->watchers.push_back(this);
    armed_[s.get()] = {fd, generation, wanted};
    const auto is = static_cast<unsigned>(s->ready());
    const bool in = (is & (POLLIN | POLLHUP | POLLERR)) != 0;
    const bool out = (is & (POLLOUT | POLLHUP | POLLERR)) != 0;
    if (in || out) became_ready(s, in, out, s->ended || s->broken);
    return 0;
  }

  void disarm(int fd, unsigned) noexcept override {
    const socket_ptr s = world_.sockets().find(fd);
    if (s == nullptr) return;
    std::erase(s->watchers, this);
    armed_.erase(s.get());
  }

  void became_ready(const socket_ptr& s, bool in, bool out, bool ended) override {
    const auto place = armed_.find(s.get());
    if (place == armed_.end()) return;
    const registration r = place->second;
    const event e{r.fd, r.generation, in && (r.wanted & 1U) != 0, out && (r.wanted & 2U) != 0, ended};
    if (!e.in && !e.out && !e.ended) return;
    // It may come after the descriptor was closed, and its number reused.
    world_.after(world_.drawn().between(clock::duration{0}, latest), "readiness is about to be told",
                 [this, e] { due_.push_back(e); });
  }

  std::span<const event> wait(deadline) noexcept override {
    woken = false;
    told_.clear();
    while (!due_.empty()) {
      const auto one = due_.begin() + static_cast<std::ptrdiff_t>(world_.drawn().below(due_.size()));
      told_.push_back(*one);
      due_.erase(one);
    }
    return told_;
  }

  void wake() noexcept override { woken = true; }
  int native_handle() const noexcept override { return -1; }
  bool due() const noexcept override { return woken || !due_.empty(); }

 private:
  struct registration {
    int fd;
    std::uint32_t generation;
    unsigned wanted;
  };

  world& world_;
  std::map<const socket*, registration> armed_;  // looked up only
  std::vector<event> due_;
  std::vector<event> told_;
};

}  // namespace

made_poller make_readiness(world& in) {
  auto events = std::make_unique<simulated_selector>(in);
  event_source* const source = events.get();
  return {std::make_unique<readiness>(std::move(events)), source};
}

}  // namespace zsync::detail::simulated
