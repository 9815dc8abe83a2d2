// Reading and writing what is no socket, as functions of an op whose data is an iovec: without blocking,
// whatever the mode of the descriptor, and without SIGPIPE. Files are read and written by one call, which may
// take its time: they never would block, and who appends to one relies on it.
#pragma once

#include <zsync/io/op.hpp>

namespace zsync::detail {

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
