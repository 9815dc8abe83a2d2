# What the scripts of this folder share; to be sourced. Each script sets -euo pipefail before.
# shellcheck shell=bash disable=SC2034

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
  exit 1
}

# The comment that opens a script is its help text.
show_help() { sed -n '2,/^$/{ s/^# \{0,1\}//p }' "$0"; }

# Name of a package, and the command that shows that it is there; `-` for a library, which dpkg is asked for.
build_packages=(
  'g++ c++'
  'cmake cmake'
  'ninja-build ninja'
  'ccache ccache'
  'pkg-config pkg-config'
  'liburing-dev -'
  'libc-ares-dev -'
  'libcli11-dev -'
)
test_packages=(
  'catch2 -'
  'python3 python3'
  'socat socat'
  'ncat ncat'
  'openssl openssl'
  'bind9-dnsutils dig'
  'iperf3 iperf3'
  'curl curl'
  'strace strace'
  'redis-tools redis-benchmark'
  'redis-server redis-server'
  'libhiredis-dev -'
  'libcurl4-openssl-dev -'
  'libssl-dev -'
  'wrk wrk'
  'libuv1-dev -'
  'libasio-dev -'
  'gdb gdb'  # 12 MB
)

installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Sets `missing` to those of the given packages that are not there.
find_missing() {
  missing=()
  local line package shown_by
  for line in "$@"; do
    read -r package shown_by <<<"$line"
    if [[ $shown_by == - ]]; then
      installed "$package" || missing+=("$package")
    else
      command -v "$shown_by" >/dev/null || missing+=("$package")
    fi
  done
}

# Boost.Context of 1.81 or newer: the distribution's default where that is new enough.
boost_is_there() {
  local package
  for package in $(dpkg-query -W -f='${Package} ${Version} ${db:Status-Status}\n' 'libboost-context*-dev' 2>/dev/null |
    awk '$3 == "installed" { print $1 "=" $2 }'); do
    dpkg --compare-versions "${package#*=}" ge 1.81 && return
  done
  return 1
}

boost_to_install() {
  local default
  default=$(apt-cache policy libboost-context-dev 2>/dev/null | awk '/Candidate:/ { print $2 }')
  if [[ -n $default && $default != '(none)' ]] && dpkg --compare-versions "$default" ge 1.81; then
    echo libboost-context-dev
  else
    echo libboost-context1.81-dev
  fi
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "to install packages it must be run as root, or sudo must be there: ${missing[*]}"
  fi
}

# Installs with apt what is missing of the given packages, Boost.Context included.
install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "packages: this system has no apt; install by its own means the equals of"
    note "$(printf '%s\n' "$@" | awk '{ printf "%s ", $1 }')and Boost.Context 1.81 or newer"
    return
  fi
  find_missing "$@"
  local boost=yes
  boost_is_there || boost=no
  if ((${#missing[@]} == 0)) && [[ $boost == yes ]]; then
    say "packages: all there"
    return
  fi
  if [[ $boost == no ]]; then missing+=(libboost-context-dev); fi
  say "packages: to be installed with apt: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
  if [[ $boost == no ]]; then missing[-1]=$(boost_to_install); fi
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "${missing[@]}" >/dev/null
  note "installed"
}

# How many compilers fit at once: one a CPU, and about 1.5 GB of memory each.
job_count() {
  local cpus memory
  cpus=$(nproc)
  memory=$(awk '/MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo 2>/dev/null || echo "$cpus")
  if ((memory < 1)); then memory=1; fi
  echo $((cpus < memory ? cpus : memory))
}

# configure DIRECTORY [cmake options]. Does nothing where that was done: the build looks after changes itself.
configure() {
  local directory=$1
  shift
  if [[ -f $directory/CMakeCache.txt && (-f $directory/build.ninja || -f $directory/Makefile) ]]; then return; fi
  local generator=()
  if command -v ninja >/dev/null; then generator=(-G Ninja); fi
  say "configure ${directory#"$root"/}"
  cmake -S "$root" -B "$directory" "${generator[@]}" "$@" >"$directory.log" 2>&1 || {
    cat "$directory.log" >&2
    die "cmake failed"
  }
  mv "$directory.log" "$directory/configure.log"
}

# add_parts DIRECTORY TESTS|SAMPLES... Where it was configured without a part that is needed now: by scripts/run, which
# needs none of the tests, or by hand.
add_parts() {
  local directory=$1 part off=() options=()
  shift
  for part in "$@"; do
    if grep -qiE "^ZSYNC_$part:[A-Z]*=(OFF|NO|FALSE|0)$" "$directory/CMakeCache.txt"; then
      off+=("${part,,}")
      options+=("-DZSYNC_$part=ON")
    fi
  done
  if ((${#off[@]} == 0)); then return; fi
  say "configure ${directory#"$root"/} with: ${off[*]}"
  cmake -S "$root" -B "$directory" "${options[@]}" >"$directory/configure.log" 2>&1 || {
    cat "$directory/configure.log" >&2
    die "cmake failed"
  }
}

# build DIRECTORY [targets]
build() {
  local directory=$1 targets=()
  shift
  if (($# > 0)); then targets=(--target "$@"); fi
  say "build ${directory#"$root"/}${*:+: $*}"
  cmake --build "$directory" -j "$(job_count)" "${targets[@]}" || die "the build failed"
}

# What programs that were built for a checker are told. Sanitized stacks are several times as large, and a report must
# not be lost in a test that goes on.
set_checker_options() {
  export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=1:abort_on_error=0:${ASAN_OPTIONS:-}
  export UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}
  export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:${TSAN_OPTIONS:-}
}

# The files of the project whose name matches one of the patterns, relative to the root.
source_files() {
  local pattern tests=()
  for pattern in "$@"; do tests+=(-o -name "$pattern"); done
  if git -C "$root" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git -C "$root" ls-files --cached --others --exclude-standard -- "$@" |
      while IFS= read -r file; do if [[ -f $root/$file ]]; then printf '%s\n' "$file"; fi; done
  else
    (cd "$root" && find . -path './build*' -prune -o -type f \( "${tests[@]:1}" \) -printf '%P\n')
  fi
}

find_clang_format() {
  local candidate
  for candidate in clang-format-14 clang-format; do
    if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
      echo "$candidate"
      return
    fi
  done
  return 1
}
