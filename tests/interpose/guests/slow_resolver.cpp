// A name service that takes its time: slow.test is this machine, after a tenth of a second.
#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

#include <cstring>

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto beyond = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node != nullptr && std::strcmp(node, "slow.test") == 0) {
    ::usleep(100'000);
    node = "127.0.0.1";
  }
  return beyond(node, service, hints, result);
}
