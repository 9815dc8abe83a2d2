// What can be sent through a channel, a broadcast or a watch.
#pragma once

#include <type_traits>

namespace zsync::detail {

// Says in plain words what is wrong with T, before anything else of its channel is compiled. T may be
// incomplete: a message often holds an end of a channel of its own type.
template <class T>
consteval bool is_message() {
  static_assert(!std::is_void_v<T>,
                "a channel of void has nothing to carry: use an event, or std::monostate");
  static_assert(!std::is_reference_v<T>,
                "a channel cannot carry references: use pointers, or std::reference_wrapper");
  static_assert(!std::is_const_v<T>,
                "a channel cannot carry const objects: they could not be moved out of it");
  static_assert(std::is_void_v<T> || std::is_reference_v<T> || std::is_object_v<T>,
                "a channel carries objects");
  return true;
}

}  // namespace zsync::detail
