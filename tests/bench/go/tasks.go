// Go: switching, spawning and joining goroutines, GOMAXPROCS=1.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

func yields(m *meter, count int) {
	rounds := m.scaled(3000000) / count
	if rounds < 1 {
		rounds = 1
	}
	var started, gate int32
	var all sync.WaitGroup
	all.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			atomic.AddInt32(&started, 1)
			for atomic.LoadInt32(&gate) == 0 {
				runtime.Gosched()
			}
			for r := 0; r < rounds; r++ {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	for int(atomic.LoadInt32(&started)) < count {
		runtime.Gosched()
	}
	m.start()
	atomic.StoreInt32(&gate, 1)
	all.Wait()
	m.stop(rounds * count)
}

func spawnJoin(m *meter) {
	n := m.scaled(1000000)
	var one sync.WaitGroup
	m.start()
	for i := 0; i < n; i++ {
		one.Add(1)
		go func() { one.Done() }()
		one.Wait()
	}
	m.stop(n)
}

func spawnBatch(m *meter) {
	batches := m.scaled(1000)
	var all sync.WaitGroup
	m.start()
	for b := 0; b < batches; b++ {
		all.Add(1000)
		for i := 0; i < 1000; i++ {
			go func() { all.Done() }()
		}
		all.Wait()
	}
	m.stop(batches * 1000)
}

func skynetNode(number, size int) int {
	if size == 1 {
		return number
	}
	var sums [10]int
	var children sync.WaitGroup
	children.Add(10)
	for i := 0; i < 10; i++ {
		i := i
		go func() {
			sums[i] = skynetNode(number+i*(size/10), size/10)
			children.Done()
		}()
	}
	children.Wait()
	sum := 0
	for _, each := range sums {
		sum += each
	}
	return sum
}

func skynet(m *meter) {
	leaves := 100000
	if m.scale >= 1 {
		leaves = 1000000
	}
	m.start()
	sum := skynetNode(0, leaves)
	m.stop(leaves + (leaves-1)/9)
	if sum != leaves*(leaves-1)/2 {
		panic("skynet: wrong sum")
	}
}

func fib(n int, calls *int) int {
	*calls++
	if n < 2 {
		return n
	}
	var a, b int
	var children sync.WaitGroup
	children.Add(2)
	go func() { a = fib(n-1, calls); children.Done() }()
	go func() { b = fib(n-2, calls); children.Done() }()
	children.Wait()
	return a + b
}

func fib25(m *meter) {
	calls, n := 0, 20
	if m.scale >= 1 {
		n = 25
	}
	m.start()
	fib(n, &calls)
	m.stop(calls)
}

var taskRows = []row{
	{"yield-2", func(m *meter) { yields(m, 2) }, false},
	{"yield-100", func(m *meter) { yields(m, 100) }, false},
	{"yield-10000", func(m *meter) { yields(m, 10000) }, false},
	{"spawn-join", spawnJoin, false},
	{"spawn-batch", spawnBatch, false},
	{"skynet", skynet, true},
	{"fib", fib25, false},
}
