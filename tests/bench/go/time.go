// Go: timers, memory of parked goroutines, and wake-ups from another thread.
package main

import (
	"math/rand"
	"runtime"
	"sync"
	"time"
)

var standing int

// Goroutines that sleep for 30 to 90 seconds, so that a timeout of 60 falls among them.
func stand(count int) {
	var begun sync.WaitGroup
	for ; standing < count; standing++ {
		begun.Add(1)
		go func(at int) {
			begun.Done()
			time.Sleep(30*time.Second + time.Duration(at*7919%100000)*600*time.Microsecond)
		}(standing)
	}
	begun.Wait()
	time.Sleep(50 * time.Millisecond)
}

// One side of a ping-pong that waits with a timeout; the timer is reused, as the documentation advises.
func receiveWithin(channel chan bool, timer *time.Timer) {
	timer.Reset(time.Minute)
	select {
	case <-channel:
		timer.Stop()
	case <-timer.C:
		panic("timed out")
	}
}

func timeout(m *meter) {
	stand(m.scaled(100000))
	n := m.scaled(500000)
	ping, pong := make(chan bool, 1), make(chan bool, 1)
	go func() {
		timer := time.NewTimer(time.Hour)
		timer.Stop()
		for i := 0; i < n; i++ {
			receiveWithin(ping, timer)
			pong <- true
		}
	}()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	m.start()
	for i := 0; i < n; i++ {
		ping <- true
		receiveWithin(pong, timer)
	}
	m.stop(n)
}

func timerCancel(m *meter) {
	stand(m.scaled(100000))
	n := m.scaled(3000000)
	timer := time.NewTimer(time.Hour)
	m.start()
	for i := 0; i < n; i++ {
		timer.Reset(time.Minute)
		timer.Stop()
	}
	m.stop(n)
}

func sleeps(m *meter) {
	n := m.scaled(1000000)
	random := rand.New(rand.NewSource(1))
	var latest time.Duration
	var all sync.WaitGroup
	all.Add(n)
	m.start()
	for i := 0; i < n; i++ {
		delay := time.Duration(random.Intn(1000000000))
		go func() {
			due := time.Now().Add(delay)
			time.Sleep(delay)
			if late := time.Since(due); late > latest {
				latest = late
			}
			all.Done()
		}()
	}
	all.Wait()
	m.stop(n)
	m.extra("latest_ms", float64(latest)/1e6)
}

func parked(m *meter) {
	n := 100000
	if m.scale >= 1 {
		n = 1000000
	}
	var lock sync.Mutex
	never := sync.NewCond(&lock)
	resident, tables := memory()
	m.start()
	for i := 0; i < n; i++ {
		go func() {
			lock.Lock()
			never.Wait()
		}()
	}
	for i := 0; i < 10; i++ {
		runtime.Gosched()
	}
	m.stop(n)
	residentNow, tablesNow := memory()
	m.extra("bytes", (residentNow-resident)/float64(n))
	m.extra("table_bytes", (tablesNow-tables)/float64(n))
}

// Go has no plain threads: a goroutine locked to one of its own stands for it.
func wakeAsleep(m *meter) {
	runtime.GOMAXPROCS(2)
	n := m.scaled(2000)
	var sent time.Time
	wake, seen := make(chan bool), make(chan bool)
	go func() {
		runtime.LockOSThread()
		for range seen {
			time.Sleep(300 * time.Microsecond)
			sent = time.Now()
			wake <- true
		}
	}()
	took := make([]float64, 0, n)
	m.start()
	for i := 0; i < n; i++ {
		seen <- true
		<-wake
		took = append(took, float64(time.Since(sent)))
	}
	m.stop(n)
	m.latencies(took)
}

var timeRows = []row{
	{"timeout", timeout, true},
	{"timer-cancel", timerCancel, true},
	{"sleeps", sleeps, true},
	{"parked", parked, true},
	{"wake-asleep", wakeAsleep, true},
}
