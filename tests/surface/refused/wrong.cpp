// What the compiler must refuse or warn of, and in which words.
#include <zsync/channel/async.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/semaphore.hpp>
#include <zsync/channel/watch.hpp>
#include <zsync/sched/scope.hpp>

#include <memory>

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
  (void)zsync::channel<void>(1);                        // says: a channel of void has nothing to carry
  (void)zsync::channel<int&>(1);                        // says: a channel cannot carry references
  (void)zsync::unbounded_channel<const int>();          // says: a channel cannot carry const objects
  (void)zsync::watch(std::unique_ptr<int>());           // says: every receiver of a broadcast or a watch gets
  int kept = 0;
  (void)zsync::async([](int&) {}, kept);  // says: passed by std::ref
  (void)number.then([](char*) {});        // says: then.. needs a function of the result
  struct fixed {
    const int value;
  };
  auto [fixed_tx, fixed_rx] = zsync::channel<fixed>(1);
  fixed into{1};
  (void)fixed_rx.try_recv(into);  // says: receives into an object by assigning to it
}
