// What the compiler must refuse or warn of, and in which words.
#include <zsync/channel/async.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/semaphore.hpp>
#include <zsync/sched/scope.hpp>

using namespace std::chrono_literals;

void wrong() {
  auto [tx, rx] = zsync::channel<int>(1);
  auto number = zsync::async([] { return 1; });
  zsync::fiber ends([] {});
  zsync::counting_semaphore<> slots(1);
  zsync::select(zsync::on_recv(rx, [](int&) {}));       // says: on_recv's handler takes a std::optional
  zsync::select(zsync::on_future(number, [](int) {}));  // says: on_future's handler takes nothing
  zsync::select(zsync::on_join(ends, [](int) {}));      // says: on_join's handler takes nothing
  (void)zsync::async(std::launch::deferred, [] {});     // says: a_deferred_function_would_never_run
  zsync::deadline_scope(5s);                            // says: unused-(result|value)
  zsync::permit{slots};                                 // says: unused-(result|value)
}
