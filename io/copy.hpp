// Everything from one stream to another.
#pragma once

#include <zsync/io/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <type_traits>

namespace zsync {
namespace detail {

// Through the kernel alone. False: it cannot, and nothing has been moved.
bool splice_all(const descriptor_ptr& from, const descriptor_ptr& to, std::uint64_t& copied,
                std::error_code& ec);

inline constexpr std::size_t copy_chunk = 64 * 1024;  // bytes

template <class Stream>
concept has_descriptor = requires(Stream& s) {
  { s.stream_descriptor() } -> std::convertible_to<const descriptor_ptr&>;
};

}  // namespace detail

// Copies until `from` ends; how many bytes, also with an error. Neither is closed or shut down. Sockets and
// pipes are spliced in the kernel, anything else that reads and writes goes through a buffer.
template <class From, class To>
std::uint64_t copy(From& from, To& to, std::error_code& ec) {
  ec.clear();
  std::uint64_t copied = 0;
  if constexpr (detail::has_descriptor<From> && detail::has_descriptor<To>) {
    if (detail::splice_all(from.stream_descriptor(), to.stream_descriptor(), copied, ec)) return copied;
  }
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(detail::copy_chunk);
  for (;;) {
    const std::size_t n = from.read(mutable_buffer(buffer.get(), detail::copy_chunk), ec);
    if (ec || n == 0) return copied;
    const const_buffer part(buffer.get(), n);
    if constexpr (std::is_void_v<decltype(to.write_all(part, ec))>) {
      to.write_all(part, ec);  // of which an error loses what was kept
      if (!ec) copied += n;
    } else {
      copied += to.write_all(part, ec);
    }
    if (ec) return copied;
  }
}

template <class From, class To>
std::uint64_t copy(From& from, To& to) {
  std::error_code ec;
  const std::uint64_t copied = zsync::copy(from, to, ec);
  if (ec) detail::fail_transfer(ec, "copy", static_cast<std::size_t>(copied));
  return copied;
}

}  // namespace zsync
