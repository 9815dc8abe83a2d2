#include <zsync/channel/select.hpp>

#include <zsync/channel/turns.hpp>
#include <zsync/channel/wait_details.hpp>
#include <zsync/sched/worker.hpp>

#include <cstdint>

namespace zsync::detail {

namespace {

std::uint32_t random_number() noexcept {
  worker* const here = current_worker();
  return here != nullptr
             ? here->random()
             : static_cast<std::uint32_t>(
                   static_cast<std::uint64_t>(clock::now().time_since_epoch().count()) * 2654435761);
}

}  // namespace

class selection {
 public:
  explicit selection(std::span<select_case* const> cases) noexcept : selection(cases, random_number()) {}

  std::size_t run() {
    for (;;) {
      std::size_t fired = attempt_all();
      if (fired == none) fired = fallback_;
      if (fired != none) {
        if (turn_) [[unlikely]]
          give_way_to_others();
        return fired;
      }
      if (fired = wait_for_one(); fired != none) return fired;
    }
  }

  void describe(wait_details& into) const {
    for (const select_case* one : cases_) {
      if (one->part != select_case::role::source) continue;
      const wait_subject subject = one->subject();
      wait_details::part part{subject.why, subject.on, {}};
      describe_subject(part.why, part.on, part.details);
      into.parts.push_back(std::move(part));
    }
  }

 private:
  static constexpr std::size_t none = ~std::size_t{0};

  // Begins anywhere, so that of several cases that are always ready each has its turn.
  selection(std::span<select_case* const> cases, std::uint64_t random) noexcept
      : cases_(cases),
        start_(static_cast<std::size_t>((random * cases.size()) >> 32)),
        turn_(random % turn_every == 0) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (cases[i]->part == select_case::role::fallback) fallback_ = i;
      if (cases[i]->part != select_case::role::timer || cases[i]->until >= until_) continue;
      until_ = cases[i]->until;
      timer_ = i;
    }
  }

  [[nodiscard]] std::size_t at(std::size_t nth) const noexcept {
    const std::size_t i = start_ + nth;
    return i < cases_.size() ? i : i - cases_.size();
  }
  [[nodiscard]] bool is_source(std::size_t i) const noexcept {
    return cases_[i]->part == select_case::role::source;
  }

  std::size_t attempt_all() {
    for (std::size_t nth = 0; nth < cases_.size(); ++nth) {
      const std::size_t i = at(nth);
      if (is_source(i) && cases_[i]->looks_ready() && cases_[i]->attempt()) return i;
    }
    return none;
  }

  // none: what ended the wait came to nothing, so all have to be tried again.
  std::size_t wait_for_one() {
    wait w(wait_kind::select, this, wait::cancellable);
    if (!w.open()) throw_cancelled();

    std::size_t ready = none;
    std::size_t enlisted = 0;
    for (; enlisted < cases_.size() && ready == none; ++enlisted) {
      const std::size_t i = at(enlisted);
      if (!is_source(i)) continue;
      waiter& place = cases_[i]->place.emplace(w, static_cast<std::uint16_t>(i));
      if (!cases_[i]->enlist(place)) ready = i;
    }
    // Something became ready meanwhile: then we end the wait ourselves, unless somebody was faster.
    if (ready != none && w.party().claim()) {
      withdraw(enlisted, ready);
      return cases_[ready]->attempt() ? ready : none;
    }

    const wait_end end = w.suspend(until_);
    const std::size_t fired = w.fired();  // to be kept: cleaning up may wait
    withdraw(enlisted, end.notified() ? fired : ready);
    if (!end.or_throw()) return timer_;
    return cases_[fired]->complete() ? fired : none;
  }

  // All but one that is known to be out of its queue.
  void withdraw(std::size_t enlisted, std::size_t except) noexcept {
    for (std::size_t nth = 0; nth < enlisted; ++nth) {
      const std::size_t i = at(nth);
      if (i != except && is_source(i)) cases_[i]->withdraw(*cases_[i]->place);
    }
    for (std::size_t nth = 0; nth < enlisted; ++nth) {
      if (is_source(at(nth))) cases_[at(nth)]->clean_up();
    }
  }

  const std::span<select_case* const> cases_;
  const std::size_t start_;
  const bool turn_;  // for others, if it does not have to wait
  deadline until_;
  std::size_t timer_ = none;
  std::size_t fallback_ = none;
};

void describe_select(const void* sleeping, wait_details& into) {
  static_cast<const selection*>(sleeping)->describe(into);
}

std::size_t select_one(std::span<select_case* const> cases) { return selection(cases).run(); }

}  // namespace zsync::detail
