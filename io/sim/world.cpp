#include <zsync/io/sim/world.hpp>

#include <zsync/io/sim/engines.hpp>
#include <zsync/sched/dump.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/helper_pool.hpp>
#include <zsync/sched/scheduler.hpp>

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace zsync::detail::simulated {
namespace {

constexpr clock::time_point beginning{std::chrono::hours{1}};
constexpr auto longest_call = std::chrono::milliseconds{1};  // of what is called on a helper thread
constexpr auto own_latency = std::chrono::microseconds{5};

class host_runtime final : public executor {
 public:
  explicit host_runtime(const runtime_options& options) : executor(options, options.workers) {}
  [[nodiscard]] scheduler& workers() const noexcept { return scheduler_(); }
};

}  // namespace

world::world(sim::options how)
    : how_(std::move(how)),
      trace_(how_.trace),
      choices_(how_),
      now_(beginning),
      began_(beginning),
      network_(*this) {
  completes_ = how_.kernel == sim::kernel_manner::either ? choices_.below(2) == 0
                                                         : how_.kernel == sim::kernel_manner::completion;
  add_host("main");
}

world::~world() {
  to_come_.clear();
  hosts_.clear();
}

world& world::of_thread() noexcept {
  auto* const here = static_cast<world*>(simulator::of_thread());
  if (here == nullptr) misuse("a simulation is asked for something outside of any");
  return *here;
}

// ---- hosts ----

host_state& world::add_host(std::string_view name) {
  for (const auto& h : hosts_) {
    if (h->name == name) throw std::invalid_argument("there is a host of that name: " + std::string(name));
  }
  auto h = std::make_unique<host_state>();
  h->name = name;
  const std::size_t number = hosts_.size() + 1;
  h->ip = ip_address::v4({10, 0, static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)});
  runtime_options options = how_.runtime;
  options.workers = std::max(how_.workers, 1U);
  options.backend = completes_ ? io_backend::io_uring : io_backend::epoll;
  options.name = h->name;
  options.blocked_worker_threshold = {};
  made_.clear();
  auto runs = std::make_shared<host_runtime>(options);
  h->workers = &runs->workers();
  h->runs = std::move(runs);
  for (unsigned i = 0; i < options.workers; ++i) workers_.push_back({&h->workers->at(i), made_[i]});
  hosts_.push_back(std::move(h));
  return *hosts_.back();
}

std::unique_ptr<poller> world::make_poller(io_backend) {
  made_poller made = completes_ ? make_completion(*this) : make_readiness(*this);
  made_.push_back(made.events);
  return std::move(made.io);
}

host_state& world::here() noexcept {
  if (const worker* const w = current_worker()) {
    for (const auto& h : hosts_) {
      if (h->workers == &w->owner()) return *h;
    }
  }
  return *hosts_.front();
}

link_state& world::link(const host_state& a, const host_state& b) {
  std::unique_ptr<link_state>& found = links_[std::minmax(&a, &b)];
  if (found == nullptr) {
    found = std::make_unique<link_state>();
    if (&a == &b) {
      found->latency_min = {};
      found->latency_max = own_latency;
    }
  }
  return *found;
}

void world::run_blocking(helper_job& job) {
  wait call(wait_kind::blocking, &job, wait::uncancellable | wait::unscoped);
  if (call.open()) call.suspend(deadline::after(choices_.between(clock::duration{0}, longest_call)));
  job.run();
}

// ---- what happens next ----

void world::at(clock::time_point when, const char* name, std::function<void()> what) {
  // Of several at one time any may be first, though none before itself: the counter tells them apart.
  const std::uint64_t order = choices_.below(1U << 20U) << 44U | (++arrivals_ & ((1ULL << 44U) - 1));
  to_come_.emplace(std::pair{std::max(when, now_), order}, arrival{name, std::move(what)});
}

std::uint64_t world::name_of(const choice& c) const noexcept {
  if (c.where == nullptr) return 1;
  std::uint64_t place = 2;
  while (workers_[place - 2].who != c.where) ++place;
  // A fiber keeps its name wherever it runs.
  if (c.fiber != nullptr) {
    std::uint64_t host = 0;
    while (hosts_[host]->workers != &c.where->owner()) ++host;
    return (host << 48U | c.fiber->id) << 4U;
  }
  return place << 4U | (static_cast<std::uint64_t>(c.what) + 1);
}

bool world::step() {
  offers_.clear();
  for (const driven& w : workers_) w.who->offer(offers_, w.events->due());
  if (!to_come_.empty() && to_come_.begin()->first.first <= now_)
    offers_.push_back({choice::kind::look});  // at the network
  if (offers_.empty()) return advance();
  names_.clear();
  for (const choice& c : offers_) names_.push_back(name_of(c));
  carry_out(offers_[choices_.next(names_)]);
  ++steps_;
  return true;
}

bool world::advance() {
  clock::time_point next = clock::time_point::max();
  for (const driven& w : workers_) next = std::min(next, w.who->timers().next().time());
  if (!to_come_.empty()) next = std::min(next, to_come_.begin()->first.first);
  if (next == clock::time_point::max()) return false;
  now_ = std::max(now_, next);
  choices_.note(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  return true;
}

void world::tell(const choice& chosen) const {
  if (chosen.where == nullptr) return trace_.line(now_ - began_, "network", to_come_.begin()->second.name);
  for (const auto& h : hosts_) {
    if (h->workers != &chosen.where->owner()) continue;
    const std::string where = h->name + '/' + std::to_string(chosen.where->index());
    trace_.line(now_ - began_, where, to_text(chosen));
  }
}

void world::carry_out(const choice& chosen) {
  if (trace_.on()) tell(chosen);
  if (chosen.where == nullptr) {
    const auto first = to_come_.begin();
    const std::function<void()> happens = std::move(first->second.happens);
    to_come_.erase(first);
    return happens();
  }
  if (entered_ == nullptr || entered_->who != chosen.where) {
    leave();
    chosen.where->enter();
    entered_ = &*std::find_if(workers_.begin(), workers_.end(),
                              [&](const driven& d) { return d.who == chosen.where; });
  }
  chosen.where->carry_out(chosen);
}

void world::leave() noexcept {
  if (entered_ == nullptr) return;
  // It wakes its poller if it leaves anything ready, for who polls that; nobody does.
  const bool before = entered_->events->woken;
  entered_->who->leave();
  std::exchange(entered_, nullptr)->events->woken = before;
}

// ---- a run ----

sim::report world::run(const std::function<void()>& program) {
  bool ended = false;
  std::exception_ptr thrown;
  std::string why;
  hosts_.front()->runs->post([&] {
    try {
      program();
    } catch (...) {
      if (why.empty()) thrown = std::current_exception();  // else it has been cancelled
    }
    ended = true;
  });
  while (!ended && why.empty()) {
    if (!step()) {
      why = "all fibers wait, and for nothing that will come";
    } else if (steps_ > how_.steps_max) {
      why = "it has not ended after " + std::to_string(how_.steps_max) + " steps";
    } else if (now_ - began_ > how_.time_max) {
      why = "it has not ended in its time";
    }
  }
  if (!why.empty()) thrown = std::make_exception_ptr(failed(why));
  wind_up();
  if (stuck_ && thrown == nullptr)
    thrown = std::make_exception_ptr(failed("fibers do not end although they are cancelled"));
  if (thrown != nullptr) std::rethrow_exception(thrown);
  return report();
}

bool world::alive() const noexcept {
  for (const auto& h : hosts_) {
    if (h->workers->alive() != 0) return true;
  }
  return false;
}

void world::wind_up() noexcept {
  for (const auto& h : hosts_) h->workers->stop();
  const std::uint64_t before = steps_;
  while (alive() && !stuck_) stuck_ = !step() || steps_ - before > how_.steps_max;
  leave();
}

sim::report world::report() const {
  return {how_.seed, steps_, now_ - began_, choices_.fingerprint(), choices_.schedule()};
}

sim::failure world::failed(const std::string& why) {
  leave();
  std::ostringstream text;
  text << "simulation with seed " << how_.seed << ": " << why << '\n';
  for (const auto& h : hosts_) dump(*h->workers, text);
  return {text.str(), report()};
}

}  // namespace zsync::detail::simulated
