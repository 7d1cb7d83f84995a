// Command entry is a program that makes clusters, or images, and begins in one of
// several ways, most of them wrong. The variable ENTRY says which, what it makes,
// what comes then, and the images: its watchdog has no arguments.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockerd"
)

func main() {
	words := strings.Fields(os.Getenv("ENTRY"))
	switch words[0] {
	case "none":
	case "ignored": // what it says
		dockerd.RunWatchdogIfRequested()
	case "right":
		if status, asked := dockerd.RunWatchdogIfRequested(); asked {
			os.Exit(status)
		}
	}
	if words[2] == "replaced" {
		if err := os.Remove(os.Args[0]); err != nil {
			panic(err)
		}
	}
	ctx := context.Background()
	d, err := dockerd.Connect(ctx)
	if err != nil {
		d = dockerd.New(nil, "") // nobody is to be asked
	}
	switch words[1] {
	case "create":
		_, err = docker.Create(ctx, d, docker.Options{Peers: []string{"alice"}, PeerImage: words[3], BootstrapImage: words[4]})
	case "guard":
		_, err = d.Guard()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("made")
	if words[2] == "stays" {
		time.Sleep(time.Minute)
	}
}
