package program

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"peerlab/peer/control"
	"peerlab/peer/shell"
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
	var cluster string
	cmd := onSocket(&cobra.Command{
		Use: "attach", Short: "Open a shell inside the running peer; Ctrl-D leaves it, the peer goes on", Args: noArgs,
	}, func(cmd *cobra.Command, client *control.Client, socket string, _ []string) error {
		attached, err := shell.Attach(cmd.Context(), client)
		if err != nil {
			return err
		}
		// The peer has the commands of this program: its own say what is secret.
		same, err := p.new(p.config("peer"))
		if err != nil {
			return err
		}
		return shell.Run(cmd.Context(), shell.Options{
			Peer: attached, Greeting: greeting(cmd.Context(), client, cluster),
			HistoryFile: historyFile(socket), Redact: same.Commands().Redact,
		})
	})
	cmd.Flags().StringVar(&cluster, "cluster", "", "`NAME` of the peer's cluster, for the greeting")
	return cmd
}

// greeting is what a shell begins with.
func greeting(ctx context.Context, client *control.Client, cluster string) string {
	st, err := client.Info(ctx)
	if err != nil {
		return "" // the shell tells of it
	}
	text := st.Name
	if cluster != "" {
		text += " of " + cluster
	}
	switch st.Online {
	case 0:
	case 1:
		text += ", alone"
	default:
		text += fmt.Sprintf(", %d members", st.Online)
	}
	return text + "; help lists the commands, Ctrl-D leaves"
}

func healthCommand() *cobra.Command {
	return onSocket(&cobra.Command{
		Use: "health", Short: "Exit 0 if the running peer has joined its cluster, 1 if not", Args: noArgs,
	}, func(cmd *cobra.Command, client *control.Client, _ string, _ []string) error {
		return client.Health(cmd.Context())
	})
}
