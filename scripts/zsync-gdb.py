"""Shows gdb the fibers of a program that uses zsync, alive or from a core, on x86-64.

    (gdb) source /path/to/zsync-gdb.py      by itself, where gdb auto-loads it for the shared library
    (gdb) info zsync-fibers                 each fiber: what it does, since when, where it was spawned
    (gdb) zsync fiber 7                     bt, up, info locals and so on are about fiber 7 now
    (gdb) zsync fiber none                  about the thread again, as they are after the program has gone on
    (gdb) zsync bt 7, zsync bt all          the stack of one fiber, or of each
    (gdb) zsync gcore FILE                  a core that has the fibers' stacks; see below

Changes nothing in the program: no register, no memory. A fiber that is parked is shown as if it had called whatever
the selected thread does; of the thread, and of how a fiber goes to sleep, `bt` shows nothing (`bt -no-filters` does), so
that its numbers do not begin with 0. zsync needs to be compiled with debug information (-g), because this reads the
types of its control blocks.

gdb's own gcore gives up at a mapping in which it may not read everything, and the guards between stacks are such
places: it leaves out all fibers. Cores that the kernel writes (SIGABRT, say) have them, and so have those of zsync gcore.

How fibers are found: runtimes_of_process lists schedulers; their stack pools have a slot for each stack, and in it who
uses the stack. What stands at a parked fiber's context, Boost.Context's jump_fcontext has pushed there.
"""

import functools
import itertools
import struct
import time

import gdb
import gdb.frames
import gdb.unwinder

SETTLED, CANCEL_REQUESTED = 1, 8  # bits of a parker's word, see fiber/parker.hpp
NEVER = (1 << 63) - 1
# Offsets from a context, and where the stack pointer is once they are restored; as fiber/backtrace.cpp has them.
SAVED = {"r12": 0x10, "r13": 0x18, "r14": 0x20, "r15": 0x28, "rbx": 0x30, "rbp": 0x38, "rip": 0x40}
SAVED_SIZE = 0x48
# With this the code goes on that jumped (fiber/context.hpp). No unwinder's table knows of the gap that it closes.
CLOSE_GAP, GAP = bytes.fromhex("488da42480000000"), 0x80


# Layouts of the standard library that all its implementations share.

def as_pointer(value):
    """Of a std::atomic<T*> or std::unique_ptr<T>."""
    target = value.type.strip_typedefs().template_argument(0)
    if target.strip_typedefs().code != gdb.TYPE_CODE_PTR:
        target = target.pointer()
    return value.address.cast(target.pointer()).dereference()


def as_number(value):
    """Of a std::atomic of a number."""
    target = value.type.strip_typedefs().template_argument(0)
    return int(value.address.cast(target.pointer()).dereference())


def elements(vector):
    of = vector.type.strip_typedefs().template_argument(0)
    ends = vector.address.cast(of.pointer().pointer())
    at, end = ends[0], ends[1]
    while at != end:
        yield at.dereference()
        at += 1


def nanoseconds(point):
    """Of a std::chrono::time_point."""
    return int(point.address.cast(gdb.lookup_type("long").pointer()).dereference())


def text(string):
    """Of a std::string."""
    if "_M_dataplus" not in [f.name for f in string.type.strip_typedefs().fields()]:
        return str(string)
    return string["_M_dataplus"]["_M_p"].string("utf-8", "replace", length=int(string["_M_string_length"]))


def variable(name):
    symbol = gdb.lookup_global_symbol(name)
    if symbol is None:
        raise gdb.GdbError("no zsync in this program, or its part without debug information: no symbol " + name)
    return symbol.value()


@functools.lru_cache(maxsize=None)
def place(pc):
    """`function at file.cpp:12`, as far as it is known: of code that is inlined, into what and where."""
    block, function = gdb.current_progspace().block_for_pc(pc), None
    while block is not None and not block.is_global:
        function, within = block.function or function, block
        block = block.superblock
        if function is not None and block.function is None:
            break
    if function is None:
        return gdb.execute("info symbol %#x" % pc, to_string=True).split(" in section")[0].strip()
    lines = [one for one in function.symtab.linetable() or () if within.start <= one.pc <= pc]
    line = max(lines, key=lambda one: one.pc).line if lines else function.line
    return "%s at %s:%d" % (function.print_name.split("(")[0], function.symtab.filename.rsplit("/", 1)[-1], line)


@functools.lru_cache(maxsize=None)
def layout():
    """Offset and type of each member of a control block, those of its base included."""
    found = {}

    def add(of, begin):
        for field in of.fields():
            if field.is_base_class:
                add(field.type, begin + field.bitpos // 8)
            elif hasattr(field, "bitpos"):
                found[field.name] = begin + field.bitpos // 8, field.type
    add(gdb.lookup_type("zsync::detail::fiber_control"), 0)
    return found


class Control:
    """A control block. Member by member, for as a whole gdb looks for its dynamic type, and complains of lambdas."""

    def __init__(self, address):
        self.address = address

    def __getitem__(self, name):
        offset, kind = layout()[name]
        return gdb.Value(self.address + offset).cast(kind.pointer()).dereference()


class Fiber:
    def __init__(self, control, worker_currents):
        self.control = control
        self.address = control.address
        self.id = int(control["id"])
        self.context = int(control["context"])
        self.bottom = int(control["memory"]["bottom"])
        self.top = int(control["memory"]["top"])
        name = as_pointer(control["name"])
        self.name = text(name.dereference()) if int(name) else ""
        word = as_number(control["state_"])
        self.cancelling = word & CANCEL_REQUESTED != 0
        waits = control["waiting_in"]
        self.wait = waits.dereference() if word & SETTLED == 0 and int(waits) else None
        self.is_current = self.address in worker_currents

    def state(self):
        if self.wait is not None:
            return "waiting"
        return "running" if self.is_current else "ready"

    def doing(self, now):
        said = self.state()
        if self.wait is not None:
            kind = str(self.wait["why_"]).rsplit("::", 1)[-1]
            said += ": " + kind
            if int(self.wait["on_"]):
                said += " %#x" % int(self.wait["on_"])
            said += ", for %.3f s" % max(0, (now - nanoseconds(self.wait["since_"])) / 1e9)
            until = nanoseconds(self.wait["until_"]["at_"])
            if until != NEVER:
                said += ", until in %.3f s" % ((until - now) / 1e9)
        return said + (", cancelled" if self.cancelling else "")

    def title(self):
        return "fiber %d%s" % (self.id, " '%s'" % self.name if self.name else "")

    def registers(self):
        """With which a parked fiber goes on."""
        process = gdb.selected_inferior()
        saved = process.read_memory(self.context, SAVED_SIZE).tobytes()
        found = {name: struct.unpack_from("<Q", saved, at)[0] for name, at in SAVED.items()}
        found["rsp"] = self.context + SAVED_SIZE
        if process.read_memory(found["rip"], len(CLOSE_GAP)).tobytes() == CLOSE_GAP:
            found["rip"] += len(CLOSE_GAP)
            found["rsp"] += GAP
        return found


class Runtime:
    def __init__(self, scheduler):
        self.name = text(scheduler["options_"]["name"])
        self.workers = [as_pointer(one).dereference() for one in elements(scheduler["workers_"])]
        currents = {int(one["current_"]) for one in self.workers}
        self.clock = max([nanoseconds(one["now_"]) for one in self.workers])
        self.fibers = [Fiber(one, currents) for one in owners(scheduler["stacks_"])]
        self.fibers.sort(key=lambda fiber: fiber.id)
        spawned = as_number(scheduler["admitted_"])
        finished = 0
        for one in self.workers:
            spawned += as_number(one["count"]["spawned"]["value_"])
            finished += as_number(one["count"]["finished"]["value_"])
        self.unbegun = max(0, spawned - finished - len(self.fibers))


def owners(pool):
    """The control block of each fiber that has a stack."""
    for sizes in elements(pool["classes_"]):
        for slab in elements(as_pointer(sizes)["slabs"]):
            slots = slab["slots"].address.cast(gdb.lookup_type("zsync::detail::stack_slot").pointer().pointer())
            size, count = slots.dereference().dereference().type.sizeof, int(slab["count"])
            # At once: there may be a hundred thousand. The owner is a slot's first member.
            raw = gdb.selected_inferior().read_memory(int(slots.dereference()), size * count)
            for (owner,) in struct.iter_unpack("<Q%dx" % (size - 8), raw.tobytes()):
                if owner:
                    yield Control(owner)


def all_runtimes():
    known = variable("zsync::detail::runtimes_of_process")
    return [Runtime(one.dereference()) for one in elements(known["all"])] if int(known) else []


def all_fibers():
    return [fiber for runtime in all_runtimes() for fiber in runtime.fibers]


def fibers_called(wanted):
    found = [f for f in all_fibers() if wanted in (str(f.id), f.name)]
    if not found:
        raise gdb.GdbError("there is no fiber %s; info zsync-fibers lists them" % wanted)
    return found


def now_of(runtime):
    """What its clock shows; of a core the latest that it has read."""
    latest = max([runtime.clock] + [nanoseconds(f.wait["since_"]) for f in runtime.fibers if f.wait is not None])
    connection = getattr(gdb.selected_inferior(), "connection", None)
    return max(latest, time.monotonic_ns()) if connection is not None and connection.type == "native" else latest


def thread_on(fiber):
    """Which thread stands on a fiber's stack: it runs it, or looks there for what to run next."""
    selected = gdb.selected_thread()
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            frame = gdb.newest_frame()
            # From a signal's stack it comes back to the fiber's.
            for _ in range(32 if fiber.is_current else 1):
                if frame is None:
                    break
                if fiber.bottom <= int(frame.read_register("rsp")) <= fiber.top:
                    return thread
                frame = frame.older()
    finally:
        if selected is not None:
            selected.switch()
    return None


class View:
    """Which fiber is shown, and in place of which thread. At most one."""
    fiber = None
    thread = None
    registers = None  # nothing, if the thread stands on the fiber's stack itself
    at = None         # the thread's program counter and stack pointer

    def show(self, fiber):
        self.clear()
        thread = thread_on(fiber)
        if thread is not None:
            thread.switch()
        frame = gdb.newest_frame()
        self.at = int(frame.read_register("rip")), int(frame.read_register("rsp"))
        self.registers = fiber.registers() if thread is None else None
        self.fiber, self.thread = fiber, gdb.selected_thread().ptid
        gdb.invalidate_cached_frames()
        shown = gdb.newest_frame()
        for _ in range(self.hidden()):
            shown = shown.older()
        shown.select()

    def clear(self):
        if self.fiber is not None:
            self.fiber = None
            gdb.invalidate_cached_frames()

    def is_here(self):
        thread = gdb.selected_thread()
        return self.fiber is not None and thread is not None and thread.ptid == self.thread

    def hidden(self):
        """How many of the frames from the newest on are not the fiber's own: of the thread, some of which may be
        inlined into one, and of the scheduler."""
        frame, count, hidden = gdb.newest_frame(), 0, 0
        while frame is not None and count < 32:
            count += 1
            name = frame.name() or ""
            if name.startswith(BOTTOM):
                break
            of_thread = self.registers is not None and self.at == (
                int(frame.read_register("rip")), int(frame.read_register("rsp")))
            if of_thread or self.fiber.state() != "running" and name.startswith(SCHEDULER):
                hidden = count
            frame = frame.older()
        return hidden


SCHEDULER = ("zsync::detail::worker::", "zsync::detail::wait::suspend", "zsync::detail::jump")
view = View()


class Id:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Unwinder(gdb.unwinder.Unwinder):
    """Says of the frame of the thread that the fiber has called it."""

    def __init__(self):
        super().__init__("zsync-fibers")

    def __call__(self, pending):
        if not view.is_here() or view.registers is None:
            return None
        pc, sp = pending.read_register("rip"), pending.read_register("rsp")
        if (int(pc), int(sp)) != view.at:
            return None
        # Below the fiber's frames, or gdb would take its stack for a corrupt one.
        info = pending.create_unwind_info(Id(gdb.Value(view.fiber.context).cast(sp.type), pc))
        for name, value in view.registers.items():
            info.add_saved_register(name, gdb.Value(value).cast(pending.read_register(name).type))
        return info


class Filter:
    """Leaves out of `bt` what is not the fiber's own: at the top, and what called its first function at the bottom."""
    name, enabled, priority = "zsync-fibers", True, 100

    def filter(self, frames):
        if not view.is_here():
            return frames
        after = itertools.islice(frames, view.hidden(), None)
        return itertools.takewhile(lambda one: not (one.inferior_frame().name() or "").startswith(BOTTOM), after)


BOTTOM = ("zsync::detail::worker::enter_fiber", "make_fcontext")


class InfoFibers(gdb.Command):
    """Lists the fibers of all runtimes that have begun: info zsync-fibers [TEXT]

With TEXT, those that it is a part of the line of. An asterisk is before the one that is shown."""

    def __init__(self):
        super().__init__("info zsync-fibers", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        runtimes = all_runtimes()
        for runtime in runtimes:
            now = now_of(runtime)
            more = ", and %d that have not begun" % runtime.unbegun if runtime.unbegun else ""
            print("runtime %s: %d workers, %d fibers%s" %
                  (runtime.name, len(runtime.workers), len(runtime.fibers), more))
            for fiber in runtime.fibers:
                spawned = int(fiber.control["spawned_at"])
                line = "%s %s, %s, spawned in %s" % (
                    "*" if view.fiber is not None and view.fiber.address == fiber.address else " ",
                    fiber.title(), fiber.doing(now), place(spawned) if spawned else "?")
                if argument in line:
                    print(line)
        if not runtimes:
            print("there is no runtime")


class Prefix(gdb.Command):
    """Fibers of zsync: zsync fibers, zsync fiber, zsync bt. See also: info zsync-fibers."""

    def __init__(self):
        super().__init__("zsync", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        gdb.execute("help zsync")


class Fibers(gdb.Command):
    """The same as info zsync-fibers."""

    def __init__(self):
        super().__init__("zsync fibers", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        gdb.execute("info zsync-fibers " + argument)


class Select(gdb.Command):
    """Shows a fiber in place of the selected thread: zsync fiber ID, zsync fiber NAME, zsync fiber none

From then on bt, frame, up, down and info locals are about that fiber, until another one is chosen or the program goes
on. Of one that runs, the thread is selected that runs it."""

    def __init__(self):
        super().__init__("zsync fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if not argument:
            print("shown is %s" % (view.fiber.title() if view.fiber is not None else "no fiber but the thread"))
            return
        if argument == "none":
            view.clear()
            return
        found = fibers_called(argument)
        if len(found) > 1:
            raise gdb.GdbError("several are called so: " + ", ".join(str(f.id) for f in found))
        view.show(found[0])
        print("[shown is %s]" % found[0].title())
        gdb.execute("frame", from_tty)


class Backtrace(gdb.Command):
    """Prints the stack of fibers: zsync bt ID, zsync bt NAME, zsync bt all; -full, for instance, is passed on to bt."""

    def __init__(self):
        super().__init__("zsync bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(" -", 1)
        wanted, options = words[0].strip(), " -" + words[1] if len(words) > 1 else ""
        if not wanted:
            raise gdb.GdbError("of which? zsync bt ID, or zsync bt all")
        fibers = all_fibers() if wanted == "all" else fibers_called(wanted)
        thread, shown = gdb.selected_thread(), view.fiber
        try:
            for fiber in fibers:
                print("%s, %s" % (fiber.title(), fiber.state()))
                try:
                    view.show(fiber)
                    gdb.execute("bt" + options)
                except (gdb.error, gdb.MemoryError) as failed:
                    print("    cannot be read: %s" % failed)
                print("")
                thread.switch()
        finally:
            view.clear()
            thread.switch()
            if shown is not None:
                view.show(shown)


class Gcore(gdb.Command):
    """Writes a core of the process, the stacks of its fibers included: zsync gcore FILE"""

    def __init__(self):
        super().__init__("zsync gcore", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        path = argument or "core.%d" % gdb.selected_inferior().pid
        gdb.execute("gcore " + path)
        with open(path, "r+b") as core:
            loaded = list(segments(core))
            for fiber in all_fibers():
                # Half a page is the most that lies above the first frame.
                begin, end = fiber.bottom, (fiber.top + 4095) // 4096 * 4096
                for address, offset, size in loaded:
                    if address <= begin and end <= address + size:
                        core.seek(offset + begin - address)
                        core.write(gdb.selected_inferior().read_memory(begin, end - begin))
        print("and in it the stacks of the fibers")


def segments(core):
    """Address, offset and size of what a 64-bit ELF file loads."""
    core.seek(0)
    header = core.read(64)
    (table,), (size, count) = struct.unpack_from("<Q", header, 32), struct.unpack_from("<HH", header, 54)
    if count == 0xffff:  # more than fit there: the number is in the first section's header
        core.seek(struct.unpack_from("<Q", header, 40)[0] + 44)
        (count,) = struct.unpack("<I", core.read(4))
    for i in range(count):
        core.seek(table + i * size)
        kind, _, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", core.read(size))
        if kind == 1:
            yield address, offset, in_file


def gone_on(_):
    view.clear()


for command in (InfoFibers, Prefix, Fibers, Select, Backtrace, Gcore):
    command()
gdb.unwinder.register_unwinder(None, Unwinder(), replace=True)
gdb.frame_filters[Filter.name] = Filter()
gdb.events.cont.connect(gone_on)
gdb.events.exited.connect(gone_on)
