#include <zsync/sched/error.hpp>

#include <zsync/sched/worker.hpp>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace zsync {
namespace {

class category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "zsync"; }

  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<error>(code)) {
      case error::closed:
        return "closed";
      case error::unexpected_eof:
        return "unexpected end of the stream";
      case error::no_such_host:
        return "no such host";
      case error::bad_address:
        return "not an address";
      case error::limit_exceeded:
        return "more than the limit allows";
      case error::backend_unavailable:
        return "this I/O backend is not available here";
      case error::deadline_expired:
        return "a deadline scope has expired";
    }
    return "unknown error";
  }

  // Whoever asks whether it took too long need not know whose deadline it was.
  [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
    if (static_cast<error>(code) == error::deadline_expired) return std::errc::timed_out;
    return {code, *this};
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  static const category the_category;
  return the_category;
}

std::error_code make_error_code(error e) noexcept { return {static_cast<int>(e), error_category()}; }

void detail::misuse(const char* what) noexcept {
  const fiber_control* const fiber = current_fiber();
  if (fiber == nullptr) {
    std::fprintf(stderr, "zsync: misuse: %s (on a plain thread)\n", what);
  } else {
    std::fprintf(stderr, "zsync: misuse: %s (in fiber %" PRIu64 " '%s')\n", what, fiber->id,
                 fiber->name == nullptr ? "" : fiber->name->c_str());
  }
  std::abort();
}

}  // namespace zsync
