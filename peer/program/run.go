package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"peerlab/peer"
	"peerlab/peer/control"
	"peerlab/peer/logging"
	"peerlab/peer/shell"
)

// gcPercent has the garbage collector run when a peer's few megabytes are five
// times as many: by default it does after every sixty packets, for each of which
// memberlist makes tables to compress it. That is some megabytes for a tenth of
// the processor time of a cluster that forms.
const gcPercent = 400

// drainTimeout bounds how long the last events wait for somebody to read them,
// when the peer has left: a write to a full pipe cannot be interrupted.
const drainTimeout = 2 * time.Second

type runFlags struct {
	peer.Config
	program   Program
	socket    string
	tokenFile string
	logLevel  string
	shell     bool
	check     bool
}

func (p Program) runCommand() *cobra.Command {
	name, _ := os.Hostname()
	f := runFlags{program: p, Config: p.config(name)}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a peer until SIGTERM or SIGINT",
		Long: `Run a peer until SIGTERM or SIGINT, on which it leaves so that the others see it
left and not dead; a second signal ends it without that. Events go to standard
output, one JSON object a line; the log for people goes to standard error.`,
		Example: "  peer run --name alice --bootstrap http://127.0.0.1:8080 --profile local --set SuspicionMult=5",
		Args:    noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd) },
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	f.AddFlags(flags)
	flags.StringVar(&f.tokenFile, "bootstrap-token-file", "", "`FILE` with the write token for it; or the token itself in PEER_BOOTSTRAP_TOKEN")
	flags.StringVar(&f.socket, "socket", defaultSocket, "`PATH` of the control socket")
	flags.StringVar(&f.logLevel, "log-level", "info", "`debug|info|warn|error`")
	flags.BoolVar(&f.shell, "shell", false, "open the shell in this terminal; leaving it stops the peer (no events on standard output; log follow shows the log)")
	flags.BoolVar(&f.check, "check", false, "say what is wrong with the flags and the environment, and run nothing")
	return cmd
}

func (f *runFlags) run(ctx context.Context) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	level, err := logging.ParseLevel(f.logLevel)
	if err != nil {
		return usageError{err}
	}
	var logTo io.Writer = os.Stderr
	if f.shell && term.IsTerminal(int(os.Stderr.Fd())) && term.IsTerminal(int(os.Stdin.Fd())) {
		logTo = io.Discard // it would write over the line being typed: log follow shows it
	}
	f.Log = logging.New(logTo, level)
	log := f.Log.Logger().With("peer", f.Name)
	f.Version = f.program.version()
	f.BootstrapToken = os.Getenv(peer.BootstrapTokenVariable)
	if app, ok := f.App.(peer.SecretTaker); ok {
		for variable, secret := range app.Secrets() {
			*secret = os.Getenv(variable)
		}
	}
	if f.tokenFile != "" {
		b, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return usageError{fmt.Errorf("token of the bootstrap service: %w", err)}
		}
		f.BootstrapToken = strings.TrimSpace(string(b))
	}
	p, err := f.program.new(f.Config)
	if err != nil {
		return usageError{err}
	}
	if f.check {
		return nil
	}
	listener, err := control.Listen(f.socket)
	if err != nil {
		return err
	}
	handler := control.NewHandler(control.Info{
		Name: p.Name(), Version: f.Version, Started: p.Started(), Ready: p.Ready, Log: log, Online: p.Online,
	}, p.Commands(), p.Events())

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving, stopServing := context.WithCancel(context.Background())
	var running sync.WaitGroup
	// The socket answers until the peer has left: somebody may be watching.
	running.Go(func() {
		if err := control.Serve(serving, listener, handler); err != nil {
			log.Error("control API", "err", err)
		}
	})
	if f.shell {
		running.Go(func() {
			defer cancel()
			if err := shell.Run(ctx, shell.Options{
				Peer:        shell.Local(p.Name(), p.Commands(), p.Events()),
				Greeting:    p.Name() + ": help lists the commands, log follow shows the log, Ctrl-D stops the peer",
				HistoryFile: historyFile(f.socket), Redact: p.Commands().Redact,
			}); err != nil && ctx.Err() == nil {
				log.Error("shell", "err", err)
			}
		})
	}
	copied := make(chan struct{})
	go func() { // joined below, unless nobody reads what it writes
		defer close(copied)
		if f.shell {
			return
		}
		if err := p.Events().Copy(context.Background(), os.Stdout, 0); err != nil {
			log.Warn("events no longer go to standard output", "err", err)
		}
	}()
	err = p.Run(ctx)
	cancel()
	stopServing()
	running.Wait()
	select {
	case <-copied:
	case <-time.After(drainTimeout):
		log.Warn("the last events are lost: nobody reads standard output")
	}
	return err
}
