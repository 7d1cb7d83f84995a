package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"peerlab/internal/usage"
)

// lookup is os.LookupEnv, or a test's stand-in for it.
type lookup func(string) (string, bool)

// get treats a variable set to nothing as not set, which is what
// ${NAME:-} in a compose file means.
func (env lookup) get(name string) string {
	v, _ := env(name)
	return v
}

// fromEnv sets every flag not given on the command line from BOOTSTRAP_<FLAG>,
// where that is set.
func fromEnv(flags *pflag.FlagSet, env lookup) error {
	var wrong error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" || wrong != nil {
			return
		}
		name := "BOOTSTRAP_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v := env.get(name); v != "" {
			if err := flags.Set(f.Name, v); err != nil {
				wrong = usage.Wrong(fmt.Errorf("environment variable %s=%q is not a value of type %s", name, v, f.Value.Type()))
			}
			return
		}
		// The habit of Cloud Run and others to say nothing but the port.
		if port := env.get("PORT"); f.Name == "listen" && port != "" {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				wrong = usage.Wrong(fmt.Errorf("environment variable PORT=%q is not a number between 1 and 65535", port))
				return
			}
			wrong = flags.Set("listen", ":"+port)
		}
	})
	return wrong
}

// ownURL returns where a service with this environment answers on this machine.
func ownURL(env lookup) string {
	scheme, host, port := "http", "", "8080"
	if env.get("BOOTSTRAP_TLS_CERT") != "" {
		scheme = "https"
	}
	if p := env.get("PORT"); p != "" {
		port = p
	}
	if h, p, err := net.SplitHostPort(env.get("BOOTSTRAP_LISTEN")); err == nil {
		host, port = h, p
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
