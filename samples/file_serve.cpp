// file-serve: the files of a folder over HTTP, sent by the kernel straight from its cache.
#include "common/arguments.hpp"
#include "common/http_connection.hpp"
#include "common/tcp_server.hpp"

#include <algorithm>
#include <filesystem>

namespace samples {
namespace {

namespace fs = std::filesystem;

class file_serve final : public tcp_server {
 public:
  file_serve() : tcp_server(8081) {}

  void add_options(CLI::App& command) override {
    tcp_server::add_options(command);
    add_folder(command, "folder", folder_, "Whose files to serve");
  }

  void prepare() override { root_ = fs::canonical(folder_); }

  void serve(zsync::tcp_stream& peer) override {
    http_connection client(peer);
    http_request request;
    try {
      while (client.next(request)) {
        send(peer, client, request);
        if (!request.keep_alive) break;
      }
    } catch (const http_error&) {
      client.answer(http_head(400, "text/plain", 0, false));
    }
    client.send_answers();
  }

 private:
  void send(zsync::tcp_stream& peer, http_connection& client, const http_request& request) const {
    std::error_code error;
    const auto path = zsync::blocking([&] { return find(request.target); });
    auto file = path.empty() ? zsync::file() : zsync::file::open(path, zsync::open_mode::read, error);
    if (path.empty() || error) {
      client.answer(http_head(404, "text/plain", 10, request.keep_alive) + "not found\n");
      return;
    }
    const auto size = file.stat().size;
    client.answer(http_head(200, "application/octet-stream", size, request.keep_alive));
    if (request.method == "HEAD") return;
    client.send_answers();
    if (peer.sendfile(file, 0, size) != size) {
      throw std::system_error(make_error_code(zsync::error::unexpected_eof), "the file has shrunk");
    }
  }

  // The file that is meant, or nothing if there is none within the folder, links followed.
  fs::path find(const std::string& target) const {
    std::error_code error;
    const fs::path path = fs::canonical(root_ / fs::path(http_path(target)).relative_path(), error);
    if (error || !fs::is_regular_file(path, error)) return {};
    const auto [end_of_root, rest] = std::mismatch(root_.begin(), root_.end(), path.begin(), path.end());
    return end_of_root == root_.end() ? path : fs::path{};
  }

  std::string folder_ = ".";
  fs::path root_;
};

}  // namespace

std::unique_ptr<sample> make_file_serve() { return std::make_unique<file_serve>(); }

}  // namespace samples
