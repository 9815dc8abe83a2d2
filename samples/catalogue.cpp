// The list of the samples. A new one adds its two lines here and its file to CMakeLists.txt.
#include "sample.hpp"

#include <array>

namespace samples {

std::unique_ptr<sample> make_demo();
std::unique_ptr<sample> make_echo_client();
std::unique_ptr<sample> make_echo_server();
std::unique_ptr<sample> make_hello();

std::span<const catalogue_entry> catalogue() {
  static const std::array entries{
      catalogue_entry{"demo", "a server and ten thousand clients in one process, and what that costs",
                      make_demo},
      catalogue_entry{"hello", "sends ping to a TCP server and prints what comes back", make_hello},
      catalogue_entry{"echo-server", "sends back whatever arrives", make_echo_server},
      catalogue_entry{"echo-client", "loads an echo server, and reports rate and latency", make_echo_client},
  };
  return entries;
}

}  // namespace samples
