// ARGUMENTS: URL. Reads it by the easy interface.
#include "guest.hpp"

#if ZSYNC_GUEST_CURL
#include <curl/curl.h>

#include <memory>

guests::deed guests::curl(const arguments& more) {
  ::curl_global_init(CURL_GLOBAL_DEFAULT);
  return [url = more.at(0)](int) {
    const std::unique_ptr<CURL, void (*)(CURL*)> easy(::curl_easy_init(), &::curl_easy_cleanup);
    std::string body;
    const auto append = +[](char* data, size_t size, size_t count, void* to) {
      static_cast<std::string*>(to)->append(data, size * count);
      return size * count;
    };
    ::curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
    ::curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, append);
    ::curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &body);
    const CURLcode code = ::curl_easy_perform(easy.get());
    expect(code == CURLE_OK, ::curl_easy_strerror(code));
    expect(body == "Hello from a fiber.\n", "another body: " + body);
  };
}
#else
guests::deed guests::curl(const arguments&) { return {}; }
#endif
