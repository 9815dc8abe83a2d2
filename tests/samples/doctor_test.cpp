// doctor.
#include "server.hpp"

using namespace zsync::test;

TEST_CASE("doctor says what there is, and what that means", "[doctor]") {
  const child_result said = run_program({ZSYNC_RUN, "doctor", "--backend", "epoll"});
  CHECK(said.exit_code == 0);
  for (const char* subject : {"system", "backend", "processors", "descriptors", "address space"})
    CHECK_THAT(said.out, Catch::Contains(subject));
  CHECK_THAT(said.out, Catch::Contains("are waited for by epoll"));
}

TEST_CASE("doctor says who can raise the limit of descriptors", "[doctor]") {
  const auto with_limit = [](const std::string& soft) {
    return run_program({"bash", "-c", "ulimit -S -n " + soft + " && exec " ZSYNC_RUN " doctor"}).out;
  };
  CHECK_THAT(with_limit("64"), Catch::Contains("raise it with `ulimit -n`"));
  CHECK_THAT(with_limit("$(ulimit -H -n)"), Catch::Contains("LimitNOFILE="));
}

TEST_CASE("doctor says it to programs as well", "[doctor]") {
  const child_result said = run_program(
      {"sh", "-c",
       ZSYNC_RUN
       " doctor --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0][\"subject\"])'"});
  CHECK(said.out == "system\n");
}
