// Go: TCP and UDP echo, a goroutine a connection. Prints {"port": N}, then serves until it is killed.
package main

import (
	"flag"
	"fmt"
	"net"
	"runtime"
)

func serve(connection net.Conn, size int) {
	defer connection.Close()
	buffer := make([]byte, size)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func echo(arguments []string) {
	flags := flag.NewFlagSet("echo", flag.ExitOnError)
	workers := flags.Int("workers", 1, "threads that run goroutines")
	size := flags.Int("size", 64, "bytes a request, for the buffer")
	udp := flags.Bool("udp", false, "datagrams")
	flags.Parse(arguments)
	runtime.GOMAXPROCS(*workers)
	if *udp {
		socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			panic(err)
		}
		fmt.Printf("{\"port\": %d}\n", socket.LocalAddr().(*net.UDPAddr).Port)
		buffer := make([]byte, 65536)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(buffer)
			if err == nil {
				socket.WriteToUDPAddrPort(buffer[:n], from)
			}
		}
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			continue
		}
		go serve(connection, max(2**size, 512))
	}
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
