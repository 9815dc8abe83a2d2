// Go: channels, select, mutex and condition between goroutines, GOMAXPROCS=1.
package main

import (
	"runtime"
	"sync"
)

func rendezvous(m *meter) {
	n := m.scaled(1000000)
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
	}()
	m.start()
	for i := 0; i < n; i++ {
		there <- i
		<-back
	}
	m.stop(n)
	close(there)
}

func buffered(m *meter, pairs int) {
	each := m.scaled(4000000) / pairs
	channel := make(chan int, 128)
	var producers, consumers sync.WaitGroup
	producers.Add(pairs)
	consumers.Add(pairs)
	m.start()
	for p := 0; p < pairs; p++ {
		go func() {
			for i := 0; i < each; i++ {
				channel <- i
			}
			producers.Done()
		}()
		go func() {
			sum := 0
			for v := range channel {
				sum += v
			}
			consumers.Done()
		}()
	}
	producers.Wait()
	close(channel)
	consumers.Wait()
	m.stop(each * pairs)
}

func select4(m *meter) {
	n := m.scaled(1000000)
	var channels [4]chan int
	for c := range channels {
		channel := make(chan int)
		channels[c] = channel
		go func() {
			for i := 0; i < n/4; i++ {
				channel <- i
			}
		}()
	}
	sum := 0
	m.start()
	for i := 0; i < n/4*4; i++ {
		select {
		case v := <-channels[0]:
			sum += v
		case v := <-channels[1]:
			sum += v
		case v := <-channels[2]:
			sum += v
		case v := <-channels[3]:
			sum += v
		}
	}
	m.stop(n / 4 * 4)
}

func mutexFree(m *meter) {
	n := m.scaled(10000000)
	var lock sync.Mutex
	m.start()
	for i := 0; i < n; i++ {
		lock.Lock()
		lock.Unlock()
	}
	m.stop(n)
}

func mutex8(m *meter) {
	each := m.scaled(2000000) / 8
	var lock sync.Mutex
	var all sync.WaitGroup
	all.Add(8)
	m.start()
	for f := 0; f < 8; f++ {
		go func() {
			for i := 0; i < each; i++ {
				lock.Lock()
				runtime.Gosched()
				lock.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
	m.stop(each * 8)
}

func condition(m *meter) {
	n := m.scaled(1000000)
	var lock sync.Mutex
	ping, pong := sync.NewCond(&lock), sync.NewCond(&lock)
	turn := false
	go func() {
		lock.Lock()
		for i := 0; i < n; i++ {
			for !turn {
				ping.Wait()
			}
			turn = false
			pong.Signal()
		}
		lock.Unlock()
	}()
	m.start()
	lock.Lock()
	for i := 0; i < n; i++ {
		turn = true
		ping.Signal()
		for turn {
			pong.Wait()
		}
	}
	lock.Unlock()
	m.stop(n)
}

var meetRows = []row{
	{"rendezvous", rendezvous, false},
	{"buffered-1-1", func(m *meter) { buffered(m, 1) }, false},
	{"buffered-4-4", func(m *meter) { buffered(m, 4) }, false},
	{"select-4", select4, false},
	{"mutex-free", mutexFree, false},
	{"mutex-8", mutex8, false},
	{"condition", condition, false},
}
