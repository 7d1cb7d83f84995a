package program

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/peer"
	"peerlab/peer/command"
	"peerlab/peer/control"
	"peerlab/peer/shell"
	"peerlab/terminal"
)

// historyFile returns where the shell keeps what was typed, per user: in the
// home directory, or beside the socket where that cannot be written, as in a
// container with a read-only file system.
func historyFile(socket string) string {
	if home, err := os.UserHomeDir(); err == nil {
		file := filepath.Join(home, ".peerlab_history")
		if f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
			_ = f.Close()
			return file
		}
	}
	return filepath.Join(filepath.Dir(socket), "history")
}

// onSocket makes a command that talks to the peer behind --socket.
func onSocket(cmd *cobra.Command, run func(cmd *cobra.Command, client *control.Client, socket string, args []string) error) *cobra.Command {
	var socket string
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "`PATH` of the peer's control socket")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := control.Dial(socket)
		if err != nil {
			return err
		}
		defer client.Close()
		return run(cmd, client, socket, args)
	}
	return cmd
}

func (p Program) attachCommand() *cobra.Command {
	return onSocket(&cobra.Command{
		Use: "attach", Short: "Open a shell inside the running peer; Ctrl-D leaves it, the peer goes on", Args: noArgs,
	}, func(cmd *cobra.Command, client *control.Client, socket string, _ []string) error {
		attached, err := shell.Attach(cmd.Context(), client)
		if err != nil {
			return err
		}
		// The peer has the commands of this program: its own say what is secret.
		same, err := p.new(peer.Config{Name: "peer"})
		if err != nil {
			return err
		}
		return shell.Run(cmd.Context(), shell.Options{Peer: attached, HistoryFile: historyFile(socket), Redact: same.Commands().Redact})
	})
}

func execCommand() *cobra.Command {
	return onSocket(&cobra.Command{
		Use: "exec -- LINE", Short: "Run one line in the running peer and exit with its status",
		Long: `Run one line in the running peer and exit with its status.

Several arguments are taken as they are, each as one word; a single one is split
like a line typed in the shell. A word that is - alone hands the command standard
input.`,
		Example: "  peer exec -- members -format json\n  peer exec -- 'msg hello, everyone'\n  peer exec -- execute - <script",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("nothing to run: write %s -- LINE, for example: peer exec -- members", cmd.CommandPath())}
			}
			return nil
		},
	}, func(cmd *cobra.Command, client *control.Client, _ string, args []string) error {
		line := args[0]
		if len(args) > 1 {
			line = command.Join(args)
		}
		if strings.TrimSpace(line) == "" {
			return usageError{fmt.Errorf("nothing to run: the line is empty")}
		}
		var stdin io.Reader
		if words, err := command.Split(line); err == nil && slices.Contains(words, "-") {
			stdin = cmd.InOrStdin() // only then: reading it could wait for ever
		}
		ctx := cmd.Context()
		if terminal.TakesColour(os.Stdout) {
			ctx = command.WithColour(ctx)
		}
		// A command added to the peer may print what others say.
		out, flush := terminal.Guard(cmd.OutOrStdout())
		defer func() { _ = flush() }()
		return client.Exec(ctx, line, stdin, out)
	})
}

func healthCommand() *cobra.Command {
	return onSocket(&cobra.Command{
		Use: "health", Short: "Exit 0 if the running peer has joined its cluster, 1 if not", Args: noArgs,
	}, func(cmd *cobra.Command, client *control.Client, _ string, _ []string) error {
		return client.Health(cmd.Context())
	})
}
