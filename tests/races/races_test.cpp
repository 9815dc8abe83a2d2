#include "races/corpus.hpp"

#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <string>

using namespace zsync;
using test::race_program;

namespace {

test::child_result run_corpus(const char* part, std::size_t number, unsigned workers) {
  return test::run_program({ZSYNC_RACES, part, std::to_string(number), std::to_string(workers)},
                           {.environment = {"TSAN_OPTIONS=exitcode=66:symbolize=0"}});
}

bool reports_a_race(const test::child_result& result) {
  return result.err.find("WARNING: ThreadSanitizer: data race") != std::string::npos ||
         result.err.find("WARNING: ThreadSanitizer: heap-use-after-free") != std::string::npos;
}

}  // namespace

TEST_CASE("each race of the corpus is reported, on one worker and on two", "[races]") {
  const auto programs = test::racy_programs();
  for (std::size_t i = 0; i < programs.size(); ++i) {
    for (const unsigned workers : {1U, 2U}) {
      DYNAMIC_SECTION(programs[i].name << ", " << workers << " workers") {
        const auto result = run_corpus("racy", i, workers);
        INFO(result.err);
        CHECK(result.exit_code == 66);
        CHECK(reports_a_race(result));
      }
    }
  }
}

TEST_CASE("no program of the corpus that has no race is reported, on one worker nor on two", "[races]") {
  const auto programs = test::race_free_programs();
  for (std::size_t i = 0; i < programs.size(); ++i) {
    for (const unsigned workers : {1U, 2U}) {
      DYNAMIC_SECTION(programs[i].name << ", " << workers << " workers") {
        const auto result = run_corpus("free", i, workers);
        CHECK(result.err == "");
        CHECK(result.exit_code == 0);
      }
    }
  }
}
