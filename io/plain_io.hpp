// Reading and writing what is no socket, as functions of an op whose data is an iovec: without blocking,
// whatever the mode of the descriptor, and without SIGPIPE.
#pragma once

#include <zsync/io/op.hpp>

namespace zsync::detail {

// The descriptor is non-blocking.
std::int64_t read_own(op& o) noexcept;
std::int64_t write_own(op& o) noexcept;

// It may be blocking, because others rely on its mode.
std::int64_t read_shared(op& o) noexcept;
std::int64_t write_shared(op& o) noexcept;

}  // namespace zsync::detail
