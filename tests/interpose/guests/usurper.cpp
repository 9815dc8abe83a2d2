// Stands in front of everybody and takes one of the calls.
#include <poll.h>

extern "C" int poll(pollfd*, nfds_t, int) { return 0; }
