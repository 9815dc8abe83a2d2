// Look-ups of one name that are under way at the same time are one, also between runtimes: a table names them
// by what was asked. Each runs in a fiber of its own, so that the cancellation of whoever asked first ends
// only his wait.
//
//   running --> answered
//          \--> abandoned: its runtime ended; whoever waits asks anew
#include <zsync/io/ares_lookup.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/resolve.hpp>
#include <zsync/io/simulated.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/wait.hpp>

#include <charconv>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace zsync {
namespace {

using detail::wait;
using detail::wait_kind;
using detail::waiter;

// Bytes: what a resolver takes is not for the users' choice of small stacks to guess.
constexpr std::size_t stack_for_ares = 256 * 1024;

struct shared_lookup {
  std::string host, service;
  resolve_options options;
  std::string key;  // what was asked, all of it

  // The answer: written once, before `done` is set, and read after.
  bool abandoned = false;
  std::error_code ec;
  std::vector<socket_address> found;

  detail::spinlock lock;  // guards what follows
  bool done = false;
  detail::wait_queue waiting;
};

using lookup_ptr = std::shared_ptr<shared_lookup>;

// The process's, because names are: nothing in it outlives its look-up.
struct lookup_table {
  std::mutex lock;
  std::map<std::string, lookup_ptr> running;
};

lookup_table& table() {
  static lookup_table t;
  return t;
}

std::string key_of(const shared_lookup& l) {
  std::string key = l.host + '\n' + l.service + '\n' + std::to_string(static_cast<int>(l.options.family));
  for (const socket_address& s : l.options.servers) key += '\n' + s.to_string();
  return key;
}

void answer(shared_lookup& l, std::error_code ec, std::vector<socket_address> found) noexcept {
  {
    const std::lock_guard hold(table().lock);
    table().running.erase(l.key);
  }
  l.abandoned = ec == std::errc::operation_canceled;
  l.ec = ec;
  l.found = std::move(found);
  l.lock.lock();
  l.done = true;
  while (waiter* const w = l.waiting.claim_front()) {
    detail::parker& party = *w->party;
    l.lock.unlock();
    detail::schedule(party);
    l.lock.lock();
  }
  l.lock.unlock();
}

void run(const lookup_ptr& l) {
  std::error_code ec;
  std::vector<socket_address> found;
  try {
    found = detail::ares_lookup(l->host, l->service, l->options, ec);
  } catch (const std::bad_alloc&) {
    ec = std::make_error_code(std::errc::not_enough_memory);
  }
  answer(*l, ec, std::move(found));
}

// Held by the fiber that looks up: should that be thrown away before it runs, those who wait hear of it.
class duty {
 public:
  explicit duty(lookup_ptr of) noexcept : lookup_(std::move(of)) {}
  duty(duty&&) noexcept = default;
  ~duty() {
    if (lookup_) answer(*lookup_, std::make_error_code(std::errc::not_enough_memory), {});
  }

  void fulfil() { run(std::exchange(lookup_, nullptr)); }

 private:
  lookup_ptr lookup_;
};

// The look-up that is under way, or a new one.
lookup_ptr join_or_start(lookup_ptr mine) {
  mine->key = key_of(*mine);
  {
    const std::lock_guard hold(table().lock);
    const auto [place, fresh] = table().running.try_emplace(mine->key, mine);
    if (!fresh) return place->second;
  }
  duty to_answer(mine);
  try {
    spawn(spawn_options{.name = "resolve", .stack_size = stack_for_ares}, [d = std::move(
                                                                               to_answer)]() mutable {
      d.fulfil();
    }).detach();
  } catch (const std::system_error&) {
    // The duty has died with the fiber, and answered.
  }
  return mine;
}

std::error_code await_answer(shared_lookup& l) {
  std::unique_lock hold(l.lock);
  if (l.done) return {};
  wait w(wait_kind::resolve, &l, wait::cancellable);
  if (!w.open()) {
    hold.unlock();
    detail::give_way_to_others();
    return detail::why_ended(w);
  }
  waiter me(w);
  l.waiting.push_back(me);
  hold.unlock();
  const detail::wake_cause cause = w.suspend();
  if (cause == detail::wake_cause::notified) return {};
  hold.lock();
  l.waiting.remove(me);
  return l.done ? std::error_code() : detail::why_ended(w);
}

bool parse_port(std::string_view service, std::uint16_t& port) noexcept {
  port = 0;
  const char* const end = service.data() + service.size();
  return service.empty() ||
         (std::from_chars(service.data(), end, port).ptr == end && std::to_string(port) == service);
}

}  // namespace

std::vector<socket_address> resolve(std::string_view host, std::string_view service,
                                    const resolve_options& options, std::error_code& ec) {
  ec.clear();
  std::uint16_t port = 0;
  const bool numeric_port = parse_port(service, port);
  std::error_code no_figures;
  if (const ip_address ip = ip_address::parse(host, no_figures); !no_figures && numeric_port)
    return {{ip, port}};
  if (host.empty() || host.find('\0') != host.npos) {
    ec = error::no_such_host;
    return {};
  }
  std::vector<socket_address> found;
  detail::simulated_network* const simulated = detail::simulated_network::of_thread();
  if (simulated != nullptr) found = simulated->look_up(host, ec);
  while (simulated == nullptr) {
    auto mine = std::make_shared<shared_lookup>();
    mine->host = host;
    if (!numeric_port) mine->service = service;
    mine->options = options;
    if (!this_fiber::inside()) {
      found = detail::ares_lookup(mine->host, mine->service, options, ec);
      break;
    }
    const lookup_ptr l = join_or_start(std::move(mine));
    if (ec = await_answer(*l); ec) return {};
    if (l->abandoned && !this_fiber::cancellation_requested()) continue;
    ec = l->ec;
    found = l->found;
    break;
  }
  if (!ec && found.empty()) ec = error::no_such_host;
  if (numeric_port) {
    for (socket_address& a : found) a.set_port(port);
  }
  return found;
}

std::vector<socket_address> resolve(std::string_view host, std::string_view service,
                                    const resolve_options& options) {
  std::error_code ec;
  std::vector<socket_address> found = resolve(host, service, options, ec);
  if (ec) detail::fail(ec, ("resolve " + std::string(host)).c_str());
  return found;
}

}  // namespace zsync
