// The Go programs of the suite: `bench ROW [REPETITIONS [SCALE]]` prints one JSON line a measurement.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type meter struct {
	row        string
	scale      float64
	wall       time.Time
	cpu        time.Duration
	wallSpent  time.Duration
	operations int
	extras     string
}

func processTime() (time.Duration, int64) {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), usage.Maxrss
}

// How many of full to do in this run.
func (m *meter) scaled(full int) int {
	if n := int(float64(full) * m.scale); n > 0 {
		return n
	}
	return 1
}

func (m *meter) start() {
	runtime.GC()
	m.wall = time.Now()
	m.cpu, _ = processTime()
}

func (m *meter) stop(operations int) {
	cpu, _ := processTime()
	m.cpu = cpu - m.cpu
	m.wallSpent = time.Since(m.wall)
	m.operations = operations
}

func (m *meter) extra(name string, value float64) {
	m.extras += fmt.Sprintf(",%q:%.6g", name, value)
}

func (m *meter) latencies(ns []float64) {
	sort.Float64s(ns)
	m.extra("p50", ns[len(ns)/2])
	m.extra("p90", ns[len(ns)*9/10])
	m.extra("p99", ns[len(ns)*99/100])
}

func (m *meter) print() {
	_, peak := processTime()
	n := float64(m.operations)
	fmt.Printf("{\"row\":%q,\"ops\":%d,\"wall\":%.6g,\"cpu\":%.6g,\"peak_kib\":%d%s}\n", m.row, m.operations,
		float64(m.wallSpent)/n, float64(m.cpu)/n, peak, m.extras)
}

// What the process occupies in bytes: resident pages, and the page tables that map them.
func memory() (resident, tables float64) {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.Atoi(fields[1])
		switch fields[0] {
		case "VmRSS:":
			resident = float64(kib) * 1024
		case "VmPTE:":
			tables = float64(kib) * 1024
		}
	}
	return
}

type row struct {
	name    string
	measure func(*meter)
	cold    bool // no rehearsal before the first measurement
}

func main() {
	rows := append(append(append([]row{}, taskRows...), meetRows...), timeRows...)
	if len(os.Args) > 1 && os.Args[1] == "echo" {
		echo(os.Args[2:])
		return
	}
	repetitions, scale := 1, 1.0
	if len(os.Args) > 2 {
		repetitions, _ = strconv.Atoi(os.Args[2])
	}
	if len(os.Args) > 3 {
		scale, _ = strconv.ParseFloat(os.Args[3], 64)
	}
	for _, each := range rows {
		if len(os.Args) > 1 && os.Args[1] == "list" {
			fmt.Println(each.name)
		} else if len(os.Args) > 1 && os.Args[1] == each.name {
			runtime.GOMAXPROCS(1)
			if !each.cold {
				each.measure(&meter{row: each.name, scale: scale * 0.1})
			}
			for i := 0; i < repetitions; i++ {
				m := meter{row: each.name, scale: scale}
				each.measure(&m)
				m.print()
			}
			return
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "list" {
		return
	}
	fmt.Fprintln(os.Stderr, "usage: bench ROW [REPETITIONS [SCALE]], bench list, bench echo [WORKERS]")
	os.Exit(2)
}
