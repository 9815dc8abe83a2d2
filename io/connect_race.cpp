#include <zsync/io/connect_race.hpp>
#include <zsync/io/socket.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/wait.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <system_error>
#include <utility>

namespace zsync::detail {
namespace {

constexpr auto head_start = std::chrono::milliseconds{250};  // RFC 8305, "Connection Attempt Delay"

// Alternates between the families, beginning with the first address's.
std::vector<socket_address> take_turns(const std::vector<socket_address>& addresses) {
  std::vector<socket_address> first, second, turns;
  for (const socket_address& a : addresses) {
    (a.kind() == addresses.front().kind() ? first : second).push_back(a);
  }
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) turns.push_back(first[i]);
    if (i < second.size()) turns.push_back(second[i]);
  }
  return turns;
}

descriptor_ptr connect_one(const socket_address& to, std::error_code& ec) {
  descriptor_ptr d = make_socket(to.native_family(), SOCK_STREAM, descriptor_kind::stream_socket, ec);
  if (!ec) connect_socket(*d, to, ec);
  return ec ? descriptor_ptr() : d;
}

bool gives_up(std::error_code ec) noexcept { return ec == std::errc::operation_canceled; }

class race;

// What a fiber calls that tries one address. It reports to the race however it ends: also if it never begins,
// because there is no stack for its fiber, or runs out of memory.
class attempt {
 public:
  attempt(race& of, const socket_address& to) noexcept : race_(&of), to_(to) {}
  attempt(attempt&& other) noexcept : race_(std::exchange(other.race_, nullptr)), to_(other.to_) {}
  ~attempt();

  void operator()();

 private:
  race* race_;  // nullptr: has reported
  socket_address to_;
};

class race {
 public:
  explicit race(std::vector<socket_address> addresses) : addresses_(std::move(addresses)) {}

  descriptor_ptr run(std::error_code& ec) {
    for (std::size_t next = 0; next < addresses_.size(); ++next) {
      const std::size_t ended_before = start(next);
      const bool last = next + 1 == addresses_.size();
      ec = await(last ? deadline::never() : deadline::after(head_start), last ? next + 1 : ended_before + 1);
      if (ec || winner_) break;
    }
    for (auto& attempt : attempts_) attempt.cancel();
    attempts_.clear();  // joins them: from here on nobody touches this object
    if (winner_) ec.clear();
    // Without a failure all have given up: their fibers were cancelled, which no caller has asked for.
    if (!winner_ && !ec) ec = failure_ ? failure_ : std::make_error_code(std::errc::operation_canceled);
    return std::move(winner_);
  }

 private:
  // How many had ended by then.
  std::size_t start(std::size_t index) {
    std::size_t before = 0;
    {
      const std::lock_guard hold(lock_);
      before = ended_;
    }
    try {
      attempts_.push_back(spawn(attempt(*this, addresses_[index])));
    } catch (const std::system_error&) {
      // The attempt has died with its fiber, and reported.
    }
    return before;
  }

  friend class attempt;
  void report(descriptor_ptr connected, std::error_code ec) {
    std::unique_lock hold(lock_);
    ++ended_;
    if (connected && !winner_) {
      winner_ = std::move(connected);
    } else if (ec && !gives_up(ec)) {
      failure_ = ec;
    }
    waiter* const w = waiting_.claim_front();
    parker* const party = w != nullptr ? w->party : nullptr;
    hold.unlock();
    if (party != nullptr) schedule(*party);
  }

  // Until somebody has won, `enough` have ended, or the next one's turn has come.
  std::error_code await(deadline until, std::size_t enough) {
    for (;;) {
      std::unique_lock hold(lock_);
      if (winner_ || ended_ >= enough) return {};
      wait w(wait_kind::connect_race, this, wait::cancellable);
      if (!w.open()) {
        hold.unlock();
        give_way_to_others();
        return why_ended(w);
      }
      waiter me(w);
      waiting_.push_back(me);
      hold.unlock();
      const wake_cause cause = w.suspend(until);
      if (cause == wake_cause::notified) continue;
      hold.lock();
      waiting_.remove(me);
      if (winner_) return {};
      return cause == wake_cause::timed_out && !w.scope_expired() ? std::error_code() : why_ended(w);
    }
  }

  const std::vector<socket_address> addresses_;
  spinlock lock_;  // guards what follows, but for attempts_
  std::size_t ended_ = 0;
  descriptor_ptr winner_;
  std::error_code failure_;
  wait_queue waiting_;
  std::vector<fiber<void>> attempts_;  // the caller's own
};

attempt::~attempt() {
  if (race_ != nullptr) race_->report({}, std::make_error_code(std::errc::not_enough_memory));
}

void attempt::operator()() {
  std::error_code ec;
  descriptor_ptr connected = connect_one(to_, ec);
  std::exchange(race_, nullptr)->report(std::move(connected), ec);
}

}  // namespace

descriptor_ptr connect_first(std::vector<socket_address> addresses, std::error_code& ec) {
  if (addresses.empty()) return {};
  if (addresses.size() == 1) return connect_one(addresses.front(), ec);
  addresses = take_turns(addresses);
  if (this_fiber::inside()) return race(std::move(addresses)).run(ec);
  for (const socket_address& to : addresses) {
    descriptor_ptr d = connect_one(to, ec);
    if (!ec || gives_up(ec)) return d;
  }
  return {};
}

}  // namespace zsync::detail
