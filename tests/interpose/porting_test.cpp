// The two servers of samples/porting: what changes is what it costs.
#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <string>

#if defined(ZSYNC_PORT_THREADS) && defined(ZSYNC_RUN)
using namespace zsync::test;

TEST_CASE("the ported server does what the one in threads does", "[interpose]") {
  for (const char* program : {ZSYNC_PORT_THREADS, ZSYNC_PORT_FIBERS}) {
    INFO(program);
    background_program server({program});
    const std::string announcement = "listening on ";
    std::string said = server.wait_for(announcement);
    said = said.substr(said.find(announcement) + announcement.size());
    const std::string address = said.substr(0, said.find('\n'));
    const child_result client =
        run_program({ZSYNC_RUN, "echo-client", address, "--connections", "50", "--seconds", "0.3"});
    CHECK(client.exit_code == 0);
    server.wait_for("50 at once, ");
  }
}
#endif
