// The main function of each test program. It is Catch's own, and two things more.
#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"

#include <sys/resource.h>

#include <string_view>
#include <vector>

namespace {

// Tests open thousands of connections, and the usual soft limit is 1024 descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// `--names [spec]`: the names of the tests, one a line, for discover_tests.cmake. The two versions of Catch
// spell it differently.
std::vector<const char*> translate(int argc, char** argv) {
  std::vector<const char*> arguments;
  for (int i = 0; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--names") {
      arguments.push_back(argv[i]);
      continue;
    }
#ifdef CATCH_VERSION_MAJOR
    if constexpr (CATCH_VERSION_MAJOR >= 3) {
      arguments.insert(arguments.end(), {"--list-tests", "--verbosity", "quiet"});
      continue;
    }
#endif
    arguments.push_back("--list-test-names-only");
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  raise_descriptor_limit();
  const std::vector<const char*> arguments = translate(argc, argv);
  return Catch::Session().run(static_cast<int>(arguments.size()), arguments.data());
}
