#include <zsync/sched/runtimes.hpp>

#include <zsync/sched/simulator.hpp>

#include <mutex>
#include <vector>

namespace zsync::detail {

struct runtime_list {
  std::mutex lock;
  std::vector<scheduler*> all;  // lock
};

// Where a debugger begins to look for fibers: see scripts/zsync-gdb.py.
[[gnu::used]] runtime_list* runtimes_of_process = nullptr;

namespace {

// Never destroyed: a runtime may outlive every destructor of this process.
runtime_list& runtimes() {
  static runtime_list& one = *(runtimes_of_process = new runtime_list);
  return one;
}

}  // namespace

void enlist(scheduler& one) {
  if (simulator::of_thread() != nullptr) return;
  const std::lock_guard hold(runtimes().lock);
  runtimes().all.push_back(&one);
}

void withdraw(scheduler& one) noexcept {
  const std::lock_guard hold(runtimes().lock);
  std::erase(runtimes().all, &one);
}

void for_each_runtime(const std::function<void(scheduler&)>& visit) {
  const std::lock_guard hold(runtimes().lock);
  for (scheduler* const one : runtimes().all) visit(*one);
}

}  // namespace zsync::detail
