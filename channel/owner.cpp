#include <zsync/channel/owner.hpp>

#include <pthread.h>

#include <type_traits>

namespace zsync::detail {

owner_id current_thread_owner() noexcept {
  const pthread_t self = pthread_self();
  if constexpr (std::is_pointer_v<pthread_t>) {
    return reinterpret_cast<owner_id>(self);
  } else {
    return static_cast<owner_id>(self);  // on Linux an address all the same
  }
}

}  // namespace zsync::detail
