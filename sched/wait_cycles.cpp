#include <zsync/sched/wait_cycles.hpp>

#include <algorithm>
#include <unordered_map>

namespace zsync::detail {
namespace {

struct node {
  const fiber_record* fiber;
  unsigned worker;
  bool on_path = false;
  bool done = false;
};

class search {
 public:
  explicit search(std::span<const worker_listing* const> workers) {
    for (unsigned i = 0; i < workers.size(); ++i) {
      if (workers[i] == nullptr) continue;
      for (const fiber_record& f : workers[i]->fibers) {
        if (f.state == fiber_state::waiting) add(f, i);
      }
    }
  }

  std::vector<wait_cycle> run() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) follow(i);
    return std::move(found_);
  }

 private:
  struct place {
    std::size_t at;
    std::size_t next_child;
  };

  void add(const fiber_record& f, unsigned worker) {
    const std::size_t at = nodes_.size();
    nodes_.push_back({&f, worker});
    by_id_.emplace(f.id, at);
    by_address_.emplace(f.self, at);
    if (f.group != nullptr) children_[f.group].push_back(at);
  }

  // The nth that `from` waits for; false: there are not so many.
  bool target(std::size_t from, std::size_t nth, std::size_t& to) const {
    const fiber_record& f = *nodes_[from].fiber;
    if (f.details == nullptr) return false;
    if (f.why == wait_kind::group) {  // all of them have to end
      const auto group = children_.find(f.on);
      if (group == children_.end() || nth >= group->second.size()) return false;
      to = group->second[nth];
      return true;
    }
    if (nth != 0) return false;
    if (f.why == wait_kind::join) return look_up(by_id_, f.details->fiber, to);
    const bool lock = f.why == wait_kind::mutex || f.why == wait_kind::shared_mutex;
    if (!lock || f.details->holder == f.self) return false;
    return f.details->holder != 0 && look_up(by_address_, f.details->holder, to);
  }

  template <class Map>
  static bool look_up(const Map& map, const typename Map::key_type& key, std::size_t& to) {
    const auto at = map.find(key);
    if (at != map.end()) to = at->second;
    return at != map.end();
  }

  // Depth first, without recursion: a chain may be as long as there are fibers.
  void follow(std::size_t from) {
    if (nodes_[from].done) return;
    std::vector<place> path{{from, 0}};
    nodes_[from].on_path = true;
    while (!path.empty()) {
      std::size_t to = 0;
      if (!target(path.back().at, path.back().next_child++, to)) {
        nodes_[path.back().at].on_path = false;
        nodes_[path.back().at].done = true;
        path.pop_back();
      } else if (nodes_[to].on_path) {
        note(path, to);
      } else if (!nodes_[to].done) {
        nodes_[to].on_path = true;
        path.push_back({to, 0});
      }
    }
  }

  void note(const std::vector<place>& path, std::size_t first) {
    auto at = std::find_if(path.begin(), path.end(), [&](const place& p) { return p.at == first; });
    wait_cycle cycle;
    for (; at != path.end(); ++at) {
      const node& n = nodes_[at->at];
      cycle.push_back({n.fiber->id, n.fiber->name, n.fiber->why, n.fiber->on, n.worker, n.fiber->since});
    }
    // Beginning with the same one each time.
    const auto least = std::min_element(cycle.begin(), cycle.end(),
                                        [](const wait_step& a, const wait_step& b) { return a.id < b.id; });
    std::rotate(cycle.begin(), least, cycle.end());
    found_.push_back(std::move(cycle));
  }

  std::vector<node> nodes_;
  std::unordered_map<std::uint64_t, std::size_t> by_id_;
  std::unordered_map<std::uintptr_t, std::size_t> by_address_;
  std::unordered_map<const void*, std::vector<std::size_t>> children_;
  std::vector<wait_cycle> found_;
};

bool holds(const std::vector<wait_cycle>& all, const wait_cycle& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

std::vector<wait_cycle> find_cycles(std::span<const worker_listing* const> workers) {
  return search(workers).run();
}

std::vector<wait_cycle> lasting_cycles(std::vector<wait_cycle> first,
                                       std::span<const worker_listing* const> workers,
                                       const std::vector<wait_cycle>& second,
                                       const std::vector<wait_cycle>& third) {
  std::erase_if(first, [&](const wait_cycle& cycle) {
    const bool began = std::all_of(cycle.begin(), cycle.end(), [&](const wait_step& step) {
      return step.since < workers[step.worker]->taken;
    });
    return !began || !holds(second, cycle) || !holds(third, cycle);
  });
  return first;
}

}  // namespace zsync::detail
