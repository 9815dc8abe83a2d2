// The list of the samples. A new one adds its two lines here and its file to CMakeLists.txt.
#include "sample.hpp"

#include <array>

namespace samples {

#if defined(SAMPLES_HAVE_ASIO)
std::unique_ptr<sample> make_asio_host();
#endif
std::unique_ptr<sample> make_chat();
std::unique_ptr<sample> make_crawler();
std::unique_ptr<sample> make_demo();
std::unique_ptr<sample> make_dns_lookup();
std::unique_ptr<sample> make_echo_client();
std::unique_ptr<sample> make_echo_server();
std::unique_ptr<sample> make_file_serve();
std::unique_ptr<sample> make_doctor();
std::unique_ptr<sample> make_game();
std::unique_ptr<sample> make_hello();
std::unique_ptr<sample> make_http_server();
std::unique_ptr<sample> make_kv_server();
#if defined(SAMPLES_HAVE_LIBUV)
std::unique_ptr<sample> make_libuv_host();
#endif
std::unique_ptr<sample> make_mirrors();
std::unique_ptr<sample> make_pipeline();
std::unique_ptr<sample> make_port_scan();
std::unique_ptr<sample> make_replica();
std::unique_ptr<sample> make_socks5_proxy();
std::unique_ptr<sample> make_tcp_proxy();
std::unique_ptr<sample> make_udp_echo();

std::span<const catalogue_entry> catalogue() {
  static const std::array entries {
    catalogue_entry{"demo", "a server and ten thousand clients in one process, and what that costs",
                    make_demo},
        catalogue_entry{"doctor", "says what this system offers, and what zsync makes of it", make_doctor},
        catalogue_entry{"hello", "sends ping to a TCP server and prints what comes back", make_hello},
        catalogue_entry{"echo-server", "sends back whatever arrives", make_echo_server},
        catalogue_entry{"echo-client", "loads an echo server, and reports rate and latency",
                        make_echo_client},
        catalogue_entry{"kv-server", "a key-value store that speaks the protocol of Redis", make_kv_server},
        catalogue_entry{"http-server", "HTTP/1.1 with keep-alive and pipelining", make_http_server},
        catalogue_entry{"file-serve", "the files of a folder over HTTP, by sendfile", make_file_serve},
        catalogue_entry{"tcp-proxy", "passes connections on to another address", make_tcp_proxy},
        catalogue_entry{"socks5-proxy", "connects on behalf of others, as RFC 1928 says", make_socks5_proxy},
        catalogue_entry{"chat", "what one says, all others hear", make_chat},
        catalogue_entry{"udp-echo", "sends each datagram back to where it came from", make_udp_echo},
        catalogue_entry{"pipeline", "finds primes by a chain of fibers and channels", make_pipeline},
        catalogue_entry{"port-scan", "which TCP ports of a host accept connections", make_port_scan},
        catalogue_entry{"dns-lookup", "the addresses of many names at once", make_dns_lookup},
        catalogue_entry{"replica", "a replicated value in a simulated network, whose bug only some runs show",
                        make_replica},
        catalogue_entry{"mirrors", "asks several web servers for the same page, and compares them",
                        make_mirrors},
        catalogue_entry{"crawler", "follows the links of a web site and reports the dead ones", make_crawler},
        catalogue_entry{"game", "agents that are fibers, within a loop of sixty frames a second", make_game},
#if defined(SAMPLES_HAVE_LIBUV)
        catalogue_entry{"libuv-host", "echoes, in fibers that libuv's loop drives", make_libuv_host},
#endif
#if defined(SAMPLES_HAVE_ASIO)
        catalogue_entry{"asio-host", "echoes, in fibers that Asio's loop drives", make_asio_host},
#endif
  };
  return entries;
}

}  // namespace samples
