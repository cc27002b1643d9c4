// SPDX-License-Identifier: BSD-2-Clause

// Peer of the bench: Go's net package, a goroutine per connection with a buffer of 64 KiB. With a
// second argument "copy" it is io.Copy, which Go turns into splice. Threads are as many as the CPUs
// that taskset leaves.
// usage: go_echo PORT [copy]
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 65536)
	for {
		got, err := conn.Read(buffer)
		if got > 0 {
			if _, err := conn.Write(buffer[:got]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func echoCopy(conn net.Conn) {
	defer conn.Close()
	io.Copy(conn, conn)
}

func main() {
	serve := echo
	if len(os.Args) > 2 && os.Args[2] == "copy" {
		serve = echoCopy
	}
	if len(os.Args) < 2 {
		log.Fatal("usage: go_echo PORT [copy]")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(conn)
	}
}
