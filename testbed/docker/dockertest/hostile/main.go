// Command hostile is a peer's program that does what a peer must not be able to
// do: it speaks as others, floods its output and takes memory and processes.
// Tests put it into an image and look at what becomes of the lab.
//
// The variable HOSTILE has what it is to do, a line each:
//
//	say TEXT       write a line
//	flood BYTES    write so many bytes without an end of line
//	allocate BYTES take so much memory
//	fork N         start so many processes and write how many there are
//
// Then it waits for SIGTERM. As a line that is run in the peer each of them works,
// too, and ends.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	script := os.Getenv("HOSTILE")
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		script = requested(os.Stdin)
	}
	var taken [][]byte
	for line := range strings.Lines(script) {
		verb, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.Atoi(argument)
		switch verb {
		case "say":
			fmt.Println(argument)
		case "flood":
			flood(n)
		case "allocate":
			taken = append(taken, allocate(n)...)
		case "fork":
			fmt.Println("processes:", fork(n))
		}
	}
	if len(os.Args) == 1 {
		<-end
	}
	if len(taken) > 0 {
		taken[0][0]++ // it was in use until now
	}
}

// requested is the line of a request to peer exec -.
func requested(stdin io.Reader) string {
	text, err := bufio.NewReader(stdin).ReadBytes('\n')
	var request struct{ Line string }
	if err == nil {
		err = json.Unmarshal(text, &request)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return request.Line
}

func flood(n int) {
	for piece := bytes.Repeat([]byte("x"), 64<<10); n > 0; n -= len(piece) {
		_, _ = os.Stdout.Write(piece[:min(n, len(piece))])
	}
}

func allocate(n int) (taken [][]byte) {
	const piece = 1 << 20
	for ; n > 0; n -= piece {
		b := make([]byte, piece)
		for i := 0; i < piece; i += 4096 {
			b[i] = 1 // a page that is only read is shared
		}
		taken = append(taken, b)
	}
	return taken
}

func fork(n int) (started int) {
	for range n {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{"HOSTILE=wait"}
		if cmd.Start() != nil {
			break
		}
		started++
	}
	return started
}
