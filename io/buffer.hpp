// What reads and writes take: any contiguous bytes, without a cast.
#pragma once

#include <cstddef>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>

namespace zsync {

template <class T>
concept byte_like = std::is_same_v<std::remove_cv_t<T>, std::byte> || std::is_same_v < std::remove_cv_t<T>,
char > || std::is_same_v<std::remove_cv_t<T>, unsigned char>;

// Bytes to read into: a span, array, vector or string of std::byte, char or unsigned char, or a pointer and a
// size.
class mutable_buffer {
 public:
  mutable_buffer() = default;
  mutable_buffer(void* data, std::size_t size) noexcept : data_(static_cast<std::byte*>(data)), size_(size) {}
  template <std::ranges::contiguous_range R>
  requires(
      std::ranges::sized_range<R>&& byte_like<std::remove_reference_t<std::ranges::range_reference_t<R>>> &&
      !std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<R>>>) mutable_buffer(R&& range)
  noexcept  // NOLINT(google-explicit-constructor): it stands for the range
      : data_(reinterpret_cast<std::byte*>(std::ranges::data(range))), size_(std::ranges::size(range)) {}

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] mutable_buffer from(std::size_t offset) const noexcept {
    return {data_ + offset, size_ - offset};
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Bytes to write: the same, and string literals, without their final zero.
class const_buffer {
 public:
  const_buffer() = default;
  const_buffer(const void* data, std::size_t size) noexcept
      : data_(static_cast<const std::byte*>(data)), size_(size) {}
  const_buffer(const char* text) noexcept  // NOLINT(google-explicit-constructor): it stands for the text
      : const_buffer(std::string_view(text)) {}
  template <std::size_t N>
  const_buffer(char (&array)[N]) noexcept  // NOLINT(google-explicit-constructor): an array is no text
      : const_buffer(array, N) {}
  template <std::ranges::contiguous_range R>
  requires(
      std::ranges::sized_range<R>&& byte_like<std::remove_reference_t<std::ranges::range_reference_t<R>>> &&
      !std::is_convertible_v<R, const char*>) const_buffer(const R& range)
  noexcept  // NOLINT(google-explicit-constructor): it stands for the range
      : data_(reinterpret_cast<const std::byte*>(std::ranges::data(range))),
        size_(std::ranges::size(range)) {}

  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const_buffer from(std::size_t offset) const noexcept {
    return {data_ + offset, size_ - offset};
  }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace zsync
