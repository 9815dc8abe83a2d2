// Uses a little of everything, and is compiled with more warnings than most programs.
#include <zsync/zsync.hpp>

#include <chrono>
#include <iostream>
#include <string>

int main() {
  using namespace std::chrono_literals;
  const std::string answer = zsync::run([] {
    zsync::this_fiber::sleep_for(1ms);
    zsync::fiber<std::string> child([] { return std::string("pong"); });
    return child.join();
  });
  std::cout << answer << '\n';
  return answer == "pong" ? 0 : 1;
}
