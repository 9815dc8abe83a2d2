// Runs a target over the files of a folder, and over the beginnings of each: what libFuzzer found stays
// found.
#include "fuzz/input.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string all{std::istreambuf_iterator<char>(in), {}};
      std::fprintf(stderr, "%s\n", entry.path().c_str());
      for (std::size_t size = 0; size <= all.size(); size += 1 + all.size() / 16)
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(all.data()), size);
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(all.data()), all.size());
      ++files;
    }
  }
  return files > 0 ? 0 : 1;
}
