// What connected stream sockets have in common, TCP and unix alike.
#pragma once

#include <zsync/io/file.hpp>
#include <zsync/io/socket.hpp>
#include <zsync/io/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

namespace zsync {

template <class Stream>
class stream_socket : public descriptor_owner,
                      public reads_bytes<Stream>,
                      public writes_bytes<Stream>,
                      public socket_calls<Stream> {
 public:
  // shutdown_send: the peer reads the end of the stream once it has read what was written. shutdown_receive:
  // nothing more is read.
  void shutdown(shutdown_how how, std::error_code& ec) { detail::shut_down(stream_descriptor(), how, ec); }
  void shutdown(shutdown_how how) {
    std::error_code ec;
    shutdown(how, ec);
    detail::throw_if(ec, "shutdown");
  }

  // Sends `count` bytes of an open file from `offset` on, or those there are, without copying them through
  // the program. Returns how many went out, also with an error.
  std::size_t sendfile(const file& from, std::uint64_t offset, std::size_t count, std::error_code& ec) {
    return detail::send_file(stream_descriptor(), from.native_handle(), offset, count, ec);
  }
  std::size_t sendfile(const file& from, std::uint64_t offset, std::size_t count) {
    std::error_code ec;
    const std::size_t n = sendfile(from, offset, count, ec);
    if (ec) detail::fail_transfer(ec, "sendfile", n);
    return n;
  }

  // Two objects in place of this one, which is empty then.
  [[nodiscard]] std::pair<read_half, write_half> split() {
    const detail::descriptor_ptr d = stream_descriptor();
    adopt({});
    return {read_half(d), write_half(d)};
  }

 protected:
  using descriptor_owner::descriptor_owner;
};

}  // namespace zsync
