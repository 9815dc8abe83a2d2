// The file that a listening unix socket leaves in its folder.
#pragma once

#include <zsync/io/socket_address.hpp>

#include <sys/stat.h>

#include <string>

namespace samples {

// Made after a successful bind: removes the file when it goes, if it is still the same one. Nothing happens
// for addresses that have none.
class socket_file {
 public:
  explicit socket_file(const zsync::socket_address& bound);
  ~socket_file();
  socket_file(const socket_file&) = delete;
  socket_file& operator=(const socket_file&) = delete;

 private:
  std::string path_;  // empty: none
  struct stat made_ {};
};

}  // namespace samples
