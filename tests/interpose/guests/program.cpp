// ARGUMENTS: LIBRARY [ARGUMENTS]. Runs a whole C program in a fiber: LIBRARY is a shared object made of its
// sources, with guest_main() for its main(). Says how many turns another fiber had meanwhile.
#include "guest.hpp"

#include <dlfcn.h>

#include <chrono>
#include <cstdio>

guests::deed guests::program(const arguments& more) {
  return [words = more](int) mutable {
    void* const library = ::dlopen(words.at(0).c_str(), RTLD_NOW | RTLD_LOCAL);
    expect(library != nullptr, "no such library: " + words[0]);
    const auto run = reinterpret_cast<int (*)(int, char**)>(::dlsym(library, "guest_main"));
    expect(run != nullptr, "no guest_main() in " + words[0]);
    std::vector<char*> parts;
    for (std::string& word : words) parts.push_back(word.data());
    parts.push_back(nullptr);
    bool ended = false;
    zsync::fiber other([&ended] {
      int turns = 0;
      for (; !ended; ++turns) zsync::this_fiber::sleep_for(std::chrono::milliseconds{1});
      return turns;
    });
    zsync::this_fiber::yield();
    const int status = run(static_cast<int>(words.size()), parts.data());
    ended = true;
    std::fflush(stdout);
    std::printf("turns of another fiber meanwhile: %d\n", other.join());
    expect(status == 0, "ended with " + std::to_string(status));
  };
}
