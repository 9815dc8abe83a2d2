// Makes an engine of any selector: attempt first, wait for an event only after EAGAIN, then try again.
//
// Descriptors are registered once, edge-triggered, by the first operation that has to wait for them, and stay
// registered until they are closed. So a short read is followed by no further attempt until an event came.
#pragma once

#include <zsync/io/engine.hpp>

#include <memory>
#include <span>

namespace zsync::detail {

// What a kernel offers for telling which descriptors are ready: small, and ignorant of accept or recv.
class selector {
 public:
  struct event {
    int fd;
    std::uint32_t generation;  // as given to arm()
    bool in, out;
    bool ended;  // the peer will send no more, or there is an error
  };

  virtual ~selector() = default;

  // Registers `fd` for the directions in `wanted` (a set of 1 << direction), of which `present` were armed
  // before. If it is ready already an event comes at once. Any thread. Zero or an errno.
  [[nodiscard]] virtual int arm(int fd, std::uint32_t generation, unsigned present,
                                unsigned wanted) noexcept = 0;

  // Takes back a registration of a descriptor that stays open. Any thread.
  virtual void disarm(int fd, unsigned present) noexcept = 0;

  // Waits until there are events, wake() was called, or the deadline has passed. Valid until the next call.
  virtual std::span<const event> wait(deadline until) noexcept = 0;

  // Any thread, also within a signal handler.
  virtual void wake() noexcept = 0;

  [[nodiscard]] virtual int native_handle() const noexcept = 0;
};

class readiness final : public engine {
 public:
  explicit readiness(std::unique_ptr<selector> events) noexcept
      : engine(false), selector_(std::move(events)) {}
  ~readiness() override { evict_all(); }

  void wait(deadline until) override;
  void wake() noexcept override { selector_->wake(); }
  [[nodiscard]] int native_handle() const noexcept override { return selector_->native_handle(); }

  [[nodiscard]] int arm(descriptor& d, const op& o) noexcept override;
  void forget(descriptor& d) noexcept override;

 private:
  std::unique_ptr<selector> selector_;
};

}  // namespace zsync::detail
