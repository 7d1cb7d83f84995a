package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// ErrTooLong is wrapped by the error for a first line that is longer than any
// request.
var ErrTooLong = errors.New("the first line of standard input is too long")

// ReadStdin reads the standard input of a command to its end. When ctx ends
// before, a read of r is left to itself.
func ReadStdin(ctx context.Context, r io.Reader) (string, error) {
	return readInput(ctx, func() (string, error) {
		b, err := io.ReadAll(io.LimitReader(r, MaxStdin+1))
		switch {
		case err != nil:
			return "", err
		case len(b) > MaxStdin:
			return "", errStdinSize
		case !utf8.Valid(b):
			return "", errors.New("it is not UTF-8 text")
		}
		return string(b), nil
	})
}

// ReadLine reads the first line of standard input, without its end. When ctx
// ends before, a read of r is left to itself.
func ReadLine(ctx context.Context, r *bufio.Reader) (string, error) {
	return readInput(ctx, func() (string, error) {
		var line strings.Builder
		for {
			part, err := r.ReadSlice('\n')
			line.Write(part)
			switch {
			case line.Len() > bodyLimit:
				return "", fmt.Errorf("%w: the limit is %d bytes", ErrTooLong, bodyLimit)
			case err == nil, errors.Is(err, io.EOF):
				return strings.TrimRight(line.String(), "\r\n"), nil
			case !errors.Is(err, bufio.ErrBufferFull):
				return "", err
			}
		}
	})
}

// readInput returns what read returns, or earlier when ctx ends.
func readInput(ctx context.Context, read func() (string, error)) (string, error) {
	type input struct {
		text string
		err  error
	}
	done := make(chan input, 1)
	go func() {
		text, err := read()
		done <- input{text, err}
	}()
	var in input
	select {
	case in = <-done:
	case <-ctx.Done():
		in.err = ctx.Err()
	}
	switch {
	case in.err == nil, errors.Is(in.err, errStdinSize), errors.Is(in.err, ErrTooLong):
		return in.text, in.err
	}
	return "", fmt.Errorf("read standard input: %w", in.err)
}
