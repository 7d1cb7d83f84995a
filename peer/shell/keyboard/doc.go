// Package keyboard reads a terminal, or whatever stands in its place, key by
// key.
//
// [Source] reads a file until it is stopped, without taking what comes after.
// [Input] reads one at all times and hands on whole keys, in the form that
// readline understands. It does not edit a line: that is the editor of
// peer/shell, the only caller. A new key goes into the tables of keys.go.
package keyboard
