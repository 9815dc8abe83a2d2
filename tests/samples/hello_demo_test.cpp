#include "server.hpp"

#include "support/matrix.hpp"

#include <algorithm>

using namespace zsync::test;

TEST_CASE("hello greets an echo server of its own", "[hello]") {
  matrix([](const zsync::runtime_options& options) {
    const child_result result = run_program(sample_command("hello", options));
    CHECK(result.out == "received: ping\n");
    CHECK(result.err == "");
    CHECK(result.exit_code == 0);
  });
}

TEST_CASE("hello greets the server it is told, by number or by name", "[hello]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    CHECK(run_program(sample_command("hello", options, {server.address()})).out == "received: ping\n");
    CHECK(run_program(sample_command("hello", options, {"localhost:" + server.port()})).out ==
          "received: ping\n");
    CHECK(run_program(sample_command("hello", options, {server.port()})).out == "received: ping\n");

    const child_result nobody = run_program(sample_command("hello", options, {"127.0.0.1:1"}));
    CHECK(nobody.exit_code == 1);
    CHECK_THAT(nobody.err, Catch::StartsWith("zsync-run: hello: ") && Catch::Contains("refused"));
    CHECK(std::count(nobody.err.begin(), nobody.err.end(), '\n') == 1);
  });
}

TEST_CASE("demo prints what it cost", "[demo]") {
  matrix([](const zsync::runtime_options& options) {
    const child_result result =
        run_program(sample_command("demo", options, {"--clients", "500", "--seconds", "0.5"}));
    CHECK(result.err == "");
    CHECK(result.exit_code == 0);
    CHECK_THAT(result.out, Catch::Contains(std::string(to_string(options.backend))));
    for (const char* row : {"runtime", "fibers", "memory", "throughput", "latency", "CPU"}) {
      CHECK_THAT(result.out, Catch::Contains(row));
    }
    CHECK_THAT(result.out, Catch::Contains("500 clients in ") && Catch::EndsWith(" none\n"));
  });
}

TEST_CASE("demo has as many clients as descriptors allow, and says so", "[demo]") {
  zsync::runtime_options options;
  child_options few;
  few.descriptors_max = 300;
  auto command = sample_command("demo", options, {"--clients", "500", "--seconds", "0.2"});
  // Root could raise the limit, so it has to be without that right.
  command.insert(command.begin(), {"setpriv", "--bounding-set=-sys_resource"});
  const child_result result = run_program(command, few);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.out, Catch::Contains("Only 300 descriptors may be open"));
  CHECK_THAT(result.out, Catch::Contains("118 clients in ") && Catch::EndsWith(" none\n"));
}

TEST_CASE("demo counts the descriptors of its workers, and ends if there are too few for a client",
          "[demo]") {
  child_options few;
  few.descriptors_max = 300;
  const auto demo = [&](const char* workers) {
    return run_program({"setpriv", "--bounding-set=-sys_resource", ZSYNC_RUN, "demo", "--clients", "500",
                        "--seconds", "0.2", "--workers", workers},
                       few);
  };
  const child_result fits = demo("32");
  CHECK(fits.exit_code == 0);
  CHECK_THAT(fits.out, Catch::Contains("70 clients in ") && Catch::EndsWith(" none\n"));
  const child_result does_not = demo("100");
  CHECK(does_not.exit_code == 1);
  CHECK_THAT(does_not.err, Catch::StartsWith("zsync-run: demo: only 300 descriptors may be open"));
}

TEST_CASE("demo without memory for all of its fibers says so and ends", "[demo]") {
  if (sanitized) return;  // they need more address space than they are given here
  for (const char* backend : {"epoll", "io_uring"}) {
    const child_result result = run_program(
        {"bash", "-c",
         std::string("ulimit -v 150000; exec ") + ZSYNC_RUN +
             " demo --clients 2000 --seconds 0.2 --workers 2 --stack-size 1M --backend " + backend});
    CHECK(!result.timed_out);
    CHECK(result.exit_code == 1);
    CHECK_THAT(result.err, Catch::StartsWith("zsync-run: demo: "));
  }
}

TEST_CASE("demo interrupted midway ends cleanly", "[demo]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    background_program demo(sample_command("demo", options, {"--clients", "500", "--seconds", "60"}));
    demo.wait_for("500 clients");
    std::this_thread::sleep_for(std::chrono::milliseconds{500});
    demo.send_signal(SIGINT);
    const child_result result = demo.finish();
    CHECK(result.signal == 0);
    CHECK(result.exit_code == 0);
  });
}
