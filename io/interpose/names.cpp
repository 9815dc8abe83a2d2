// Names of hosts and services. glibc's look-ups wait by calls of its own that no symbol can replace, so a
// helper thread makes them.
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/elsewhere.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/interpose/self_test.hpp>
#include <zsync/sched/local.hpp>

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include <vector>

// resolv.h gives these other names; both are replaced.
#undef res_query
#undef res_search
#undef res_querydomain
#undef res_send
#undef res_nquery
#undef res_nsearch
#undef res_nquerydomain
#undef res_nsend

extern "C" {
int res_query(const char*, int, int, unsigned char*, int) noexcept;
int res_search(const char*, int, int, unsigned char*, int) noexcept;
int res_querydomain(const char*, const char*, int, int, unsigned char*, int) noexcept;
int res_send(const unsigned char*, int, unsigned char*, int) noexcept;
int res_nquery(res_state, const char*, int, int, unsigned char*, int) noexcept;
int res_nsearch(res_state, const char*, int, int, unsigned char*, int) noexcept;
int res_nquerydomain(res_state, const char*, const char*, int, int, unsigned char*, int) noexcept;
int res_nsend(res_state, const unsigned char*, int, unsigned char*, int) noexcept;
}

namespace {

ZSYNC_REAL(getaddrinfo);
ZSYNC_REAL(getnameinfo);
ZSYNC_REAL(gethostbyname);
ZSYNC_REAL(gethostbyname2);
ZSYNC_REAL(gethostbyaddr);
ZSYNC_REAL(gethostbyname_r);
ZSYNC_REAL(gethostbyname2_r);
ZSYNC_REAL(gethostbyaddr_r);
ZSYNC_REAL(res_query);
ZSYNC_REAL(res_search);
ZSYNC_REAL(res_querydomain);
ZSYNC_REAL(res_send);
ZSYNC_REAL(res_nquery);
ZSYNC_REAL(res_nsearch);
ZSYNC_REAL(res_nquerydomain);
ZSYNC_REAL(res_nsend);

}  // namespace

using namespace zsync::interpose;

ZSYNC_REPLACES int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                               addrinfo** result) {
  if (ends_on_worker()) return real_getaddrinfo(node, service, hints, result);
  return elsewhere([&] { return real_getaddrinfo(node, service, hints, result); }, EAI_SYSTEM);
}

ZSYNC_REPLACES int getnameinfo(const sockaddr* address, socklen_t size, char* host, socklen_t host_size,
                               char* service, socklen_t service_size, int flags) {
  if (is_probe(address, size)) return EAI_FAIL;
  const bool figures = (flags & NI_NUMERICHOST) != 0;
  if (figures || ends_on_worker())
    return real_getnameinfo(address, size, host, host_size, service, service_size, flags);
  return elsewhere(
      [&] { return real_getnameinfo(address, size, host, host_size, service, service_size, flags); },
      EAI_SYSTEM);
}

// ---- the old ones: with a buffer of the caller's, and with libc's, of which each fiber gets one ----

namespace {

// What the caller finds if the look-up does not begin.
void not_found(hostent** result, int* error) noexcept {
  *result = nullptr;
  *error = NETDB_INTERNAL;
}

}  // namespace

ZSYNC_REPLACES int gethostbyname_r(const char* name, hostent* entry, char* buffer, std::size_t size,
                                   hostent** result, int* error) {
  if (ends_on_worker()) return real_gethostbyname_r(name, entry, buffer, size, result, error);
  not_found(result, error);
  return elsewhere([&] { return real_gethostbyname_r(name, entry, buffer, size, result, error); }, EAGAIN);
}

ZSYNC_REPLACES int gethostbyname2_r(const char* name, int family, hostent* entry, char* buffer,
                                    std::size_t size, hostent** result, int* error) {
  if (ends_on_worker()) return real_gethostbyname2_r(name, family, entry, buffer, size, result, error);
  not_found(result, error);
  return elsewhere([&] { return real_gethostbyname2_r(name, family, entry, buffer, size, result, error); },
                   EAGAIN);
}

ZSYNC_REPLACES int gethostbyaddr_r(const void* address, socklen_t length, int family, hostent* entry,
                                   char* buffer, std::size_t size, hostent** result, int* error) {
  if (ends_on_worker())
    return real_gethostbyaddr_r(address, length, family, entry, buffer, size, result, error);
  not_found(result, error);
  return elsewhere(
      [&] { return real_gethostbyaddr_r(address, length, family, entry, buffer, size, result, error); },
      EAGAIN);
}

namespace {

struct host_memory {
  hostent entry{};
  std::vector<char> buffer;
};
zsync::fiber_local<host_memory> memory_of_fiber;

// f fills in the fiber's own entry, with as much room as it takes.
template <class F>
hostent* in_own_memory(F f) noexcept {
  constexpr std::size_t first_size = 1024;
  constexpr std::size_t size_max = std::size_t{1} << 20;
  try {
    host_memory& own = *memory_of_fiber;
    if (own.buffer.empty()) own.buffer.resize(first_size);
    for (;;) {
      hostent* found = nullptr;
      int error = NETDB_INTERNAL;
      const int status = f(own, &found, &error);
      if (status == ERANGE && own.buffer.size() < size_max) {
        own.buffer.resize(own.buffer.size() * 2);
        continue;
      }
      if (found == nullptr) h_errno = error;
      return found;
    }
  } catch (const std::bad_alloc&) {
    h_errno = NETDB_INTERNAL;
    errno = ENOMEM;
    return nullptr;
  }
}

}  // namespace

ZSYNC_REPLACES hostent* gethostbyname(const char* name) {
  if (!on_fiber()) return real_gethostbyname(name);
  return in_own_memory([&](host_memory& m, hostent** found, int* error) {
    return ::gethostbyname_r(name, &m.entry, m.buffer.data(), m.buffer.size(), found, error);
  });
}

ZSYNC_REPLACES hostent* gethostbyname2(const char* name, int family) {
  if (!on_fiber()) return real_gethostbyname2(name, family);
  return in_own_memory([&](host_memory& m, hostent** found, int* error) {
    return ::gethostbyname2_r(name, family, &m.entry, m.buffer.data(), m.buffer.size(), found, error);
  });
}

ZSYNC_REPLACES hostent* gethostbyaddr(const void* address, socklen_t length, int family) {
  if (!on_fiber()) return real_gethostbyaddr(address, length, family);
  return in_own_memory([&](host_memory& m, hostent** found, int* error) {
    return ::gethostbyaddr_r(address, length, family, &m.entry, m.buffer.data(), m.buffer.size(), found,
                             error);
  });
}

// ---- questions to name servers, also by the names that glibc had for them before 2.34 ----

#define ZSYNC_REPLACES_QUESTION(name, parameters, arguments)     \
  ZSYNC_REPLACES int name parameters noexcept {                  \
    if (ends_on_worker()) return real_##name arguments;          \
    return elsewhere([&] { return real_##name arguments; }, -1); \
  }                                                              \
  ZSYNC_REPLACES int __##name parameters noexcept { return ::name arguments; }

ZSYNC_REPLACES_QUESTION(res_query, (const char* name, int kind, int type, unsigned char* answer, int size),
                        (name, kind, type, answer, size))
ZSYNC_REPLACES_QUESTION(res_search, (const char* name, int kind, int type, unsigned char* answer, int size),
                        (name, kind, type, answer, size))
ZSYNC_REPLACES_QUESTION(res_querydomain,
                        (const char* name, const char* domain, int kind, int type, unsigned char* answer,
                         int size),
                        (name, domain, kind, type, answer, size))
ZSYNC_REPLACES_QUESTION(res_send, (const unsigned char* message, int length, unsigned char* answer, int size),
                        (message, length, answer, size))
ZSYNC_REPLACES_QUESTION(res_nquery,
                        (res_state state, const char* name, int kind, int type, unsigned char* answer,
                         int size),
                        (state, name, kind, type, answer, size))
ZSYNC_REPLACES_QUESTION(res_nsearch,
                        (res_state state, const char* name, int kind, int type, unsigned char* answer,
                         int size),
                        (state, name, kind, type, answer, size))
ZSYNC_REPLACES_QUESTION(res_nquerydomain,
                        (res_state state, const char* name, const char* domain, int kind, int type,
                         unsigned char* answer, int size),
                        (state, name, domain, kind, type, answer, size))
ZSYNC_REPLACES_QUESTION(res_nsend,
                        (res_state state, const unsigned char* message, int length, unsigned char* answer,
                         int size),
                        (state, message, length, answer, size))
