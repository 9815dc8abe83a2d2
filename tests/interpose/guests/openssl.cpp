// ARGUMENTS: ADDRESS:PORT. A request over TLS, by blocking BIOs.
#include "guest.hpp"

#if ZSYNC_GUEST_OPENSSL
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <memory>

guests::deed guests::openssl(const arguments& more) {
  const std::shared_ptr<SSL_CTX> context(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  return [context, address = more.at(0)](int) {
    const std::unique_ptr<BIO, void (*)(BIO*)> bio(::BIO_new_ssl_connect(context.get()), &::BIO_free_all);
    BIO_set_conn_hostname(bio.get(), address.c_str());
    expect(BIO_do_connect(bio.get()) == 1, "no connection");
    expect(BIO_do_handshake(bio.get()) == 1, "no handshake");
    const std::string request = "GET / HTTP/1.0\r\n\r\n";
    expect(::BIO_write(bio.get(), request.data(), static_cast<int>(request.size())) > 0, "nothing written");
    std::string answer;
    char buffer[4096];
    for (int n = 0; (n = ::BIO_read(bio.get(), buffer, sizeof buffer)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(n));
    expect(answer.find("200 ok") != std::string::npos, "another answer: " + answer);
  };
}
#else
guests::deed guests::openssl(const arguments&) { return {}; }
#endif
