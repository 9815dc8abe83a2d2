// The whole public surface of zsync.
#pragma once

#include <zsync/io/buffer.hpp>
#include <zsync/io/signal.hpp>
#include <zsync/io/socket_address.hpp>
#include <zsync/io/stream.hpp>
#include <zsync/io/tcp.hpp>
#include <zsync/sched/blocking.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/local.hpp>
#include <zsync/sched/loop.hpp>
#include <zsync/sched/options.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/stats.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/timer/clock.hpp>
#include <zsync/timer/deadline.hpp>
