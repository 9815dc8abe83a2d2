#include <zsync/sched/thread_name.hpp>

#include <pthread.h>

#include <algorithm>
#include <array>

namespace zsync::detail {

void name_this_thread([[maybe_unused]] std::string_view runtime,
                      [[maybe_unused]] std::string_view role) noexcept {
#if defined(__linux__)
  std::array<char, 16> text{};  // and a zero
  role = role.substr(0, text.size() - 2);
  auto end = std::ranges::copy(runtime.substr(0, text.size() - 2 - role.size()), text.begin()).out;
  *end++ = '-';
  std::ranges::copy(role, end);
  pthread_setname_np(pthread_self(), text.data());
#endif
}

}  // namespace zsync::detail
