// What a connection of kv-server sends is taken for the same commands, in whatever pieces it comes.
#include "fuzz/input.hpp"

#include "common/resp.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace {

using command = std::vector<std::string>;

// The commands of `all`, which comes in pieces of `piece` bytes; the last one is "refused" if they end so.
std::vector<command> commands_of(std::string_view all, std::size_t piece) {
  samples::resp_parser parser;
  std::vector<command> found;
  std::vector<std::string_view> words;
  try {
    for (std::size_t at = 0; at < all.size(); at += piece) {
      const std::string_view next = all.substr(at, piece);
      std::copy(next.begin(), next.end(), parser.prepare(next.size()));
      parser.commit(next.size());
      while (parser.next(words)) found.emplace_back(words.begin(), words.end());
    }
  } catch (const samples::protocol_error&) {
    found.push_back({"refused"});
  }
  return found;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all = zsync::fuzz::text(data, size);
  const auto whole = commands_of(all, std::max<std::size_t>(size, 1));
  zsync::fuzz::expect(commands_of(all, 1) == whole, "byte by byte it is something else");
  zsync::fuzz::expect(commands_of(all, 7) == whole, "in sevens it is something else");
  return 0;
}
