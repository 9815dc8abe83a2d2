// One run: its clock, what is to happen, its hosts, and who goes on. Not a public header.
#pragma once

#include <zsync/io/sim/choices.hpp>
#include <zsync/io/sim/network_stack.hpp>
#include <zsync/io/sim/simulation.hpp>
#include <zsync/io/sim/trace.hpp>
#include <zsync/io/simulated.hpp>
#include <zsync/sched/choice.hpp>
#include <zsync/timer/clock.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace zsync::detail::simulated {

// Has a worker's poller anything to tell?
class event_source {
 public:
  [[nodiscard]] virtual bool due() const noexcept = 0;

  bool woken = false;  // which is something to tell, too

 protected:
  ~event_source() = default;
};

class world final : public simulated_machine {
 public:
  explicit world(sim::options how);
  ~world();

  static world& of_thread() noexcept;  // there must be one

  sim::report run(const std::function<void()>& program);
  // A run that failed may leave fibers that cannot be unwound, and then this must never be destroyed.
  [[nodiscard]] bool stuck() const noexcept { return stuck_; }

  clock::time_point now() noexcept override { return now_; }
  // Happens then, before or after what else happens at that time. `name` is for the trace.
  void at(clock::time_point when, const char* name, std::function<void()> what);
  void after(clock::duration d, const char* name, std::function<void()> what) {
    at(now_ + d, name, std::move(what));
  }

  // What the network does, as far as anybody looks: `what` returns the text.
  template <class F>
  void tell(const F& what) const {
    if (trace_.on()) trace_.line(now_ - began_, "network", what());
  }

  [[nodiscard]] choices& drawn() noexcept { return choices_; }
  [[nodiscard]] network_stack& sockets() noexcept { return network_; }

  host_state& add_host(std::string_view name);
  [[nodiscard]] host_state& here() noexcept;  // the calling fiber's; the first one's for who is none
  [[nodiscard]] const std::vector<std::unique_ptr<host_state>>& hosts() const noexcept { return hosts_; }
  link_state& link(const host_state& a, const host_state& b);

  std::unique_ptr<poller> make_poller(io_backend backend) override;
  void run_blocking(helper_job& job) override;
  simulated_network& network() noexcept override { return network_; }

 private:
  struct arrival {
    const char* name;
    std::function<void()> happens;
  };
  struct driven {
    worker* who;
    event_source* events;
  };

  bool step();
  bool advance();  // the clock, to what comes next; false: nothing will come
  void carry_out(const choice& chosen);
  void tell(const choice& chosen) const;
  void leave() noexcept;
  [[nodiscard]] std::uint64_t name_of(const choice& c) const noexcept;
  [[nodiscard]] bool alive() const noexcept;
  void wind_up() noexcept;
  [[nodiscard]] sim::failure failed(const std::string& why);
  [[nodiscard]] sim::report report() const;

  const sim::options how_;
  const trace trace_;
  choices choices_;
  bool completes_;
  clock::time_point now_;
  const clock::time_point began_;
  std::uint64_t steps_ = 0;
  std::uint64_t arrivals_ = 0;
  std::map<std::pair<clock::time_point, std::uint64_t>, arrival> to_come_;
  network_stack network_;
  std::map<std::pair<const host_state*, const host_state*>, std::unique_ptr<link_state>> links_;
  std::vector<event_source*> made_;  // for workers that are being made
  std::deque<driven> workers_;       // which stay where they are
  std::vector<choice> offers_;
  std::vector<std::uint64_t> names_;
  driven* entered_ = nullptr;
  bool stuck_ = false;
  std::vector<std::unique_ptr<host_state>> hosts_;
};

}  // namespace zsync::detail::simulated
