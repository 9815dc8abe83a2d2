// Pipes, and the standard streams.
#pragma once

#include <zsync/io/stream.hpp>

#include <utility>

namespace zsync {

struct pipe_ends {
  read_half reader;
  write_half writer;
};

// A new pipe. What is written to the writer is read from the reader; the reader reads the end of the stream
// once every writer is closed, and a write without a reader is errc::broken_pipe. Throws std::system_error.
pipe_ends pipe();

// The process's standard streams. Closing one closes the object, not the descriptor that the process shares
// with others, whose mode stays as it is. Each call gives a new object; throws std::system_error.
read_half standard_input();
write_half standard_output();
write_half standard_error();

}  // namespace zsync
