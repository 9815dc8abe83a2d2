// replica: what a simulation finds, and that it finds it again.
#include "server.hpp"

#include "support/matrix.hpp"

using namespace zsync::test;

namespace {

child_result replica(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {ZSYNC_RUN, "replica"});
  return run_program(arguments);
}

TEST_CASE("replica loses writes with some seeds, the same ones each time", "[replica]") {
  const child_result many = replica({"--seeds", "50"});
  CHECK(many.exit_code == 1);
  CHECK(many.err == "");
  CHECK_THAT(many.out, Catch::StartsWith("seed "));
  const std::string seed = many.out.substr(5, many.out.find(':') - 5);
  CHECK(replica({"--seed", seed, "--seeds", "1"}).out.starts_with("seed " + seed + ": "));
  CHECK(replica({"--seeds", "50"}).out == many.out);
}

TEST_CASE("replica loses nothing when it asks a majority", "[replica]") {
  const child_result careful = replica({"--seeds", "50", "--careful"});
  CHECK(careful.exit_code == 0);
  CHECK_THAT(careful.out, Catch::Contains("50 runs, 0 of them lost"));
}

}  // namespace
