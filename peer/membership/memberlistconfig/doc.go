// Package memberlistconfig makes memberlist's configuration from text: a profile
// with settings such as ProbeInterval=500ms, or a JSON file. It refuses values
// with which memberlist does not work.
//
// [Configure] and [Set] take settings, [Encode] and [Decode] a file. What only a
// peer as a whole can decide, its name and addresses, is not a setting. A new
// field of memberlist.Config is found by itself; a number needs its bounds in
// the table of config.go.
package memberlistconfig
