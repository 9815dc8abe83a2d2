#include <zsync/io/readiness.hpp>

namespace zsync::detail {

void readiness::wait(deadline until) {
  read_mail();
  for (const selector::event& e : selector_->wait(until)) {
    descriptor* const d = resident(e.fd);
    // A late event for a number that has been closed, and perhaps reused, since.
    if (d == nullptr || d->generation != e.generation) continue;
    if (e.ended) d->ended();
    if (e.in) d->became_ready(direction::in);
    if (e.out) d->became_ready(direction::out);
  }
  read_mail();
}

int readiness::arm(descriptor& d, const op& o) noexcept {
  const unsigned present = d.armed.load(std::memory_order_relaxed);
  // A connection that is being made will be read from as well: one registration instead of two.
  const unsigned wanted =
      present | (1u << static_cast<unsigned>(o.side)) | (o.kind == op_kind::connect ? 3u : 0u);
  if (wanted == present) return 0;
  const int error = selector_->arm(d.fd(), d.generation, present, wanted);
  if (error == 0) d.armed.store(static_cast<std::uint8_t>(wanted), std::memory_order_relaxed);
  return error;
}

void readiness::forget(descriptor& d) noexcept {
  const unsigned present = d.armed.load(std::memory_order_relaxed);
  if (present != 0) selector_->disarm(d.fd(), present);
}

}  // namespace zsync::detail
