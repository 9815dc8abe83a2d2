"""Installs the peers from Debian and builds everything."""

import os
import pathlib
import shutil
import subprocess

# What provides each peer, and a file that tells whether it is there.
PACKAGES = {
    "cmake": "/usr/bin/cmake",
    "ninja-build": "/usr/bin/ninja",
    "g++": "/usr/bin/g++",
    "pkg-config": "/usr/bin/pkg-config",
    "libboost-context1.81-dev": "/usr/include/boost/context/fiber.hpp",
    "libboost-fiber1.81-dev": "/usr/include/boost/fiber/all.hpp",
    "libboost-coroutine1.81-dev": "/usr/lib/x86_64-linux-gnu/libboost_coroutine.so",
    "libasio-dev": "/usr/include/asio.hpp",
    "libuv1-dev": "/usr/include/uv.h",
    "liburing-dev": "/usr/include/liburing.h",
    "golang-go": "/usr/bin/go",
    "cargo": "/usr/bin/cargo",
    "rustc": "/usr/bin/rustc",
    "librust-tokio-dev": "/usr/share/doc/librust-tokio-dev",
    "librust-tokio-macros-dev": "/usr/share/doc/librust-tokio-macros-dev",
    "librust-async-channel-dev": "/usr/share/doc/librust-async-channel-dev",
    "python3-matplotlib": "/usr/lib/python3/dist-packages/matplotlib",
    "strace": "/usr/bin/strace",
}


def install(say):
    missing = [name for name, proof in PACKAGES.items() if not pathlib.Path(proof).exists()]
    if not missing:
        return
    if not shutil.which("apt-get"):
        say("no apt-get here; peers that are not installed are left out: " + ", ".join(missing))
        return
    say("installing " + " ".join(missing))
    become = [] if os.geteuid() == 0 else ["sudo"]
    wait = ["-o", "DPkg::Lock::Timeout=600"]
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run([*become, "apt-get", *wait, "update"], check=False, **quiet)
    # One by one, so that a package that a system does not have costs its own peer only.
    if subprocess.run([*become, "apt-get", *wait, "install", "-y", "--no-install-recommends", *missing],
                      check=False, **quiet).returncode != 0:
        for name in missing:
            subprocess.run([*become, "apt-get", *wait, "install", "-y", "--no-install-recommends", name],
                           check=False, **quiet)


def build(root, at, say):
    jobs = str(len(os.sched_getaffinity(0)))
    say("building the C++ programs")
    configure = ["cmake", "-S", root, "-B", at, "-DZSYNC_BENCH=ON", "-DZSYNC_TESTS=OFF", "-DZSYNC_SAMPLES=OFF"]
    if shutil.which("ninja") and not (at / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", at, "-j", jobs], check=True, stdout=subprocess.DEVNULL)

    here = root / "tests" / "bench"
    if shutil.which("go"):
        say("building the Go program")
        subprocess.run(["go", "build", "-o", at / "bench-go", "."], cwd=here / "go", check=True)
    vendored = pathlib.Path("/usr/share/cargo/registry")
    if vendored.exists() and pathlib.Path("/usr/bin/cargo").exists():
        say("building the Tokio program")
        _build_tokio(here / "tokio", at, vendored)


def _build_tokio(source, at, vendored):
    """Offline, from the crates that Debian packages, in a copy: cargo writes beside its manifest."""
    copy = at / "tokio"
    shutil.copytree(source, copy, dirs_exist_ok=True)
    subprocess.run(
        ["/usr/bin/cargo", "build", "--release", "--offline", "--quiet", "--target-dir", at / "bench-tokio",
         "--config", 'source.crates-io.replace-with="debian"',
         "--config", f'source.debian.directory="{vendored}"'],
        cwd=copy, check=True, env={**os.environ, "RUSTC": "/usr/bin/rustc"})


def versions():
    """Of what was built and where, for the head of the report."""
    def first_line(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")[0]
        except OSError:
            return "absent"
    def package(name):
        return first_line("dpkg-query", "-W", "-f", "${Version}", name) or "absent"
    return {
        "kernel": os.uname().release,
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "compiler": first_line("c++", "--version"),
        "Boost": package("libboost-fiber1.81-dev"),
        "Asio": package("libasio-dev"),
        "libuv": package("libuv1-dev"),
        "liburing": package("liburing-dev"),
        "Go": first_line("go", "version"),
        "Tokio": package("librust-tokio-dev"),
        "rustc": first_line("/usr/bin/rustc", "--version"),
    }


def _cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return os.uname().machine
