// Reading and writing what is no socket, as functions of an op whose data is an iovec: without blocking,
// whatever the mode of the descriptor, and without SIGPIPE. Files are read and written by one call, which may
// take its time: they never would block, and who appends to one relies on it.
#pragma once

#include <zsync/io/op.hpp>

#include <optional>

namespace zsync::detail {

// A terminal that hands over characters rather than lines, which wait for each other.
struct terminal_mode {
  unsigned least;   // characters for which a read waits (VMIN)
  unsigned tenths;  // of a second: for the first one if `least` is none, otherwise for the next one (VTIME)
};

// Nothing if it is another terminal, or none.
std::optional<terminal_mode> terminal_mode_of(int fd) noexcept;

// As flags of read_shared(): of a blocking terminal with such a mode nothing is read, however much is there.
constexpr int leaves_terminals = 1;

// The descriptor is non-blocking.
std::int64_t read_own(op& o) noexcept;
std::int64_t write_own(op& o) noexcept;

// It may be blocking, because others rely on its mode.
std::int64_t read_shared(op& o) noexcept;
std::int64_t write_shared(op& o) noexcept;

// What a read() of nothing says, which for some is an error, and for a few not at once.
std::int64_t read_nothing(op& o) noexcept;

// A regular file, a directory or a block device.
bool is_file(int fd) noexcept;

}  // namespace zsync::detail
