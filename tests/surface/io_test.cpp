// The promised surface of io/; what it does is tested in tests/io.
#include "support/catch.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <chrono>
#include <filesystem>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

using namespace std::chrono_literals;

namespace {

template <class A, class B>
inline constexpr bool same = std::is_same_v<A, B>;

// Each call throws, or reports to a std::error_code.
template <class Stream>
concept reads = requires(Stream& s, std::span<std::byte> to, std::error_code& ec,
                         std::span<const zsync::mutable_buffer> several) {
  requires same<decltype(s.read(to)), std::size_t> && same<decltype(s.read(to, ec)), std::size_t>;
  s.read_exact(to);
  requires same<decltype(s.read_exact(to, ec)), std::size_t>;
  requires same<decltype(s.read_all()), std::string> && same<decltype(s.read_all(ec)), std::string>;
  requires same<decltype(s.read_until('\n')), std::string> &&
      same<decltype(s.read_until("\r\n", ec)), std::string>;
  requires same<decltype(s.readv(several)), std::size_t> && same<decltype(s.readv(several, ec)), std::size_t>;
  s.close();
  s.set_read_timeout(1s);
};
template <class Stream>
concept writes = requires(Stream& s, std::span<const std::byte> from, std::string_view text,
                          std::error_code& ec, std::span<const zsync::const_buffer> several) {
  requires same<decltype(s.write(from)), std::size_t> && same<decltype(s.write(text, ec)), std::size_t>;
  s.write_all(from);
  requires same<decltype(s.write_all(text, ec)), std::size_t>;
  requires same<decltype(s.writev(several)), std::size_t> &&
      same<decltype(s.writev(several, ec)), std::size_t>;
  s.close();
  s.set_write_timeout(1s);
};
template <class Stream>
concept socket_stream = reads<Stream> && writes<Stream> &&
    requires(Stream& s, zsync::file& f, std::error_code& ec) {
  requires same<decltype(s.sendfile(f, 0, 1)), std::size_t> &&
      same<decltype(s.sendfile(f, 0, 1, ec)), std::size_t>;
  s.shutdown(zsync::shutdown_send);
  s.shutdown(zsync::shutdown_receive, ec);
  s.shutdown(zsync::shutdown_both);
  requires same<decltype(s.local_address()), zsync::socket_address>;
  requires same<decltype(s.peer_address(ec)), zsync::socket_address>;
  requires same<decltype(s.native_handle()), int> && same<decltype(s.release()), int>;
  requires reads<std::remove_reference_t<decltype(s.split().first)>>;
  requires writes<std::remove_reference_t<decltype(s.split().second)>>;
};
static_assert(socket_stream<zsync::tcp_stream> && socket_stream<zsync::unix_stream>);
static_assert(reads<decltype(zsync::pipe().reader)> && writes<decltype(zsync::pipe().writer)>);
static_assert(reads<decltype(zsync::standard_input())> && writes<decltype(zsync::standard_output())> &&
              writes<decltype(zsync::standard_error())>);
static_assert(!std::is_copy_constructible_v<zsync::tcp_stream> &&
              std::is_move_constructible_v<zsync::tcp_stream>);

static_assert(std::is_constructible_v<zsync::tcp_stream, zsync::from_fd_t, int>);
static_assert(requires(zsync::tcp_stream & s, const zsync::socket_address& a, std::error_code& ec) {
  requires same<decltype(zsync::tcp_stream::connect("host", 80)), zsync::tcp_stream>;
  requires same<decltype(zsync::tcp_stream::connect(std::string_view("host"), std::uint16_t{80}, ec)),
                zsync::tcp_stream>;
  requires same<decltype(zsync::tcp_stream::connect(a)), zsync::tcp_stream>;
  s.set_nodelay(true);
  s.set_keepalive(true);
  s.set_keepalive(zsync::keepalive_options{});
});
static_assert(requires(zsync::tcp_listener & l, const zsync::socket_address& a, std::error_code& ec) {
  requires same<decltype(zsync::tcp_listener::bind(a)), zsync::tcp_listener>;
  zsync::tcp_listener::bind(
      a, zsync::listen_options{.backlog = 8, .reuse_address = true, .reuse_port = true, .v6_only = true});
  requires same<decltype(zsync::tcp_listener::bind("host", 80)), zsync::tcp_listener>;
  requires same<decltype(zsync::tcp_listener::bind("host", 80, ec)), zsync::tcp_listener>;
  requires same<decltype(zsync::tcp_listener::bind("host", 80, zsync::listen_options{}, ec)),
                zsync::tcp_listener>;
  requires same<decltype(l.accept()), zsync::tcp_stream> && same<decltype(l.accept(ec)), zsync::tcp_stream>;
  l.close();
});
static_assert(requires(zsync::udp_socket & s, const zsync::socket_address& a, zsync::socket_address& from,
                       std::span<std::byte> to, std::span<const zsync::outgoing_datagram> out,
                       std::span<zsync::incoming_datagram> in, const zsync::ip_address& group) {
  requires same<decltype(zsync::udp_socket::bind(a)), zsync::udp_socket>;
  s.connect(a);
  requires same<decltype(s.send("x")), std::size_t> && same<decltype(s.recv(to)), std::size_t>;
  requires same<decltype(s.send_to("x", a)), std::size_t> &&
      same<decltype(s.recv_from(to, from)), std::size_t>;
  requires same<decltype(s.send_many(out)), std::size_t> && same<decltype(s.recv_many(in)), std::size_t>;
  s.join(group);
  s.leave(group);
});
static_assert(requires(zsync::unix_datagram & d, std::span<const int> send,
                       std::vector<zsync::unique_fd>& receive, std::span<std::byte> to) {
  requires same<decltype(zsync::unix_stream::pair()), std::pair<zsync::unix_stream, zsync::unix_stream>>;
  requires same<decltype(zsync::unix_listener::bind("/path").accept()), zsync::unix_stream>;
  d.send_descriptors("x", send);
  d.receive_descriptors(to, receive);
});
static_assert(requires(zsync::file & f, const std::filesystem::path& p, std::span<std::byte> to,
                       std::error_code& ec) {
  requires same<decltype(zsync::file::open(p)), zsync::file>;
  requires same<decltype(f.read_at(0, to)), std::size_t> &&
      same<decltype(f.write_at(0, "x", ec)), std::size_t>;
  requires same<decltype(f.read_all()), std::string>;
  f.write_all("x");
  f.sync();
  requires same<decltype(f.stat()), zsync::file_info>;
  f.truncate(0);
});
static_assert(same<decltype(zsync::resolve("host", "service")), std::vector<zsync::socket_address>>);
static_assert(requires(zsync::signal_set & s, zsync::process& p, zsync::tcp_stream& a,
                       zsync::unix_stream& b) {
  requires same<decltype(s.next()), int>;
  requires same<decltype(zsync::process::spawn(std::vector<std::string>{"true"})), zsync::process>;
  requires same<decltype(p.wait()), zsync::exit_status>;
  requires writes<std::remove_reference_t<decltype(p.in())>> &&
      reads<std::remove_reference_t<decltype(p.out())>> && reads<std::remove_reference_t<decltype(p.err())>>;
  requires same<decltype(zsync::copy(a, b)), std::uint64_t>;
  zsync::buffered_reader(a).read_line(*std::declval<std::string*>());
  zsync::buffered_writer(b).flush();
});

// ---- libc's signatures ----

#define AS_IN_LIBC(name) [[maybe_unused]] constexpr decltype(&zsync::posix::name) libc_##name = &::name
AS_IN_LIBC(read);
AS_IN_LIBC(write);
AS_IN_LIBC(readv);
AS_IN_LIBC(writev);
AS_IN_LIBC(pread);
AS_IN_LIBC(pwrite);
AS_IN_LIBC(fsync);
AS_IN_LIBC(recv);
AS_IN_LIBC(recvfrom);
AS_IN_LIBC(recvmsg);
AS_IN_LIBC(recvmmsg);
AS_IN_LIBC(send);
AS_IN_LIBC(sendto);
AS_IN_LIBC(sendmsg);
AS_IN_LIBC(sendmmsg);
AS_IN_LIBC(accept);
AS_IN_LIBC(accept4);
AS_IN_LIBC(connect);
AS_IN_LIBC(close);
AS_IN_LIBC(poll);
AS_IN_LIBC(ppoll);
AS_IN_LIBC(select);
AS_IN_LIBC(pselect);
AS_IN_LIBC(sleep);
AS_IN_LIBC(usleep);
AS_IN_LIBC(nanosleep);
AS_IN_LIBC(clock_nanosleep);
AS_IN_LIBC(getaddrinfo);
AS_IN_LIBC(getnameinfo);
#undef AS_IN_LIBC

}  // namespace

TEST_CASE("what is promised of io/ is there, and addresses are values", "[surface]") {
  const auto v4 = zsync::socket_address::parse("127.0.0.1:80");
  const auto v6 = zsync::socket_address::parse("[::1]:80");
  const auto path = zsync::socket_address::parse("unix:/path");
  CHECK((v4.port() == 80 && v6.to_string() == "[::1]:80" && path.to_string() == "unix:/path"));
  CHECK((v4 < v6 || v6 < v4));
  CHECK(std::unordered_set<zsync::socket_address>{v4, v6, path, v4}.size() == 3);
  CHECK(std::unordered_set<zsync::ip_address>{v4.ip(), v6.ip(), v4.ip()}.size() == 2);
}

// The program that opens the README, but for the port and where it writes.
TEST_CASE("the seed example sends ping and prints what comes back", "[surface]") {
  const std::string printed = zsync::run([] {
    auto listener = zsync::tcp_listener::bind(zsync::socket_address::parse("127.0.0.1:0"));
    const std::uint16_t port = listener.local_address().port();
    zsync::fiber server([&] {
      auto peer = listener.accept();
      zsync::copy(peer, peer);
    });
    std::ostringstream out;
    auto tcp = zsync::tcp_stream::connect("127.0.0.1", port);
    tcp.write_all("ping");
    tcp.shutdown(zsync::shutdown_send);
    out << "received: " << tcp.read_all() << '\n';
    return out.str();
  });
  CHECK(printed == "received: ping\n");
}

TEST_CASE("each error form fits: a code that compares, or an exception that carries it", "[surface]") {
  zsync::run([] {
    auto [here, there] = zsync::unix_stream::pair();
    std::array<std::byte, 8> buffer{};
    std::error_code ec;
    CHECK(there.write("abc") == 3);
    {
      const zsync::deadline_scope scope(1ms);
      CHECK(here.read_exact(buffer, ec) == 3);
      CHECK(ec == std::errc::timed_out);
    }
    there.close();
    CHECK(here.read(buffer) == 0);
    CHECK(here.read_exact(buffer, ec) == 0);
    CHECK(ec == zsync::error::unexpected_eof);
    try {
      here.read_exact(buffer);
      FAIL("no exception");
    } catch (const zsync::transfer_error& e) {
      CHECK((e.code() == zsync::error::unexpected_eof && e.transferred() == 0));
    }
    here.close();
    here.read(buffer, ec);
    CHECK(ec == zsync::error::closed);

    auto [mine, yours] = zsync::unix_stream::pair();
    zsync::fiber reader([&mine = mine, &buffer] {
      std::error_code why;
      mine.read(buffer, why);
      return why;
    });
    zsync::this_fiber::yield();
    reader.cancel();
    CHECK(reader.join() == std::errc::operation_canceled);
  });
}
