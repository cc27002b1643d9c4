// SPDX-License-Identifier: BSD-2-Clause

// Peer of the bench: UDP by Go's net package, one goroutine, through the interface that most
// programs use, net.PacketConn; or with "addrport" by the calls that allocate nothing per datagram.
// What cannot be sent is lost, as UDP may lose it.
// usage: udp_go_echo PORT [addrport]
package main

import (
	"log"
	"net"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: udp_go_echo PORT")
	}
	address, err := net.ResolveUDPAddr("udp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", address)
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) > 2 && os.Args[2] == "addrport" {
		echoAddrPort(conn)
	}
	echo(conn)
}

func echo(conn net.PacketConn) {
	buffer := make([]byte, 65535)
	for {
		got, peer, err := conn.ReadFrom(buffer)
		if err == nil {
			conn.WriteTo(buffer[:got], peer)
		}
	}
}

func echoAddrPort(conn *net.UDPConn) {
	buffer := make([]byte, 65535)
	for {
		got, peer, err := conn.ReadFromUDPAddrPort(buffer)
		if err == nil {
			conn.WriteToUDPAddrPort(buffer[:got], peer)
		}
	}
}
