package docker

import "strings"

// DefaultName is what peerlab up calls a cluster that is given no name.
const DefaultName = "peerlab"

// Command returns a line of peerlab that acts on the cluster, for a message to
// name as the next step, such as "peerlab resume bob". It has --cluster where the
// line could mean another cluster without it.
func (c *Cluster) Command(words ...string) string { return CommandLine(c.flag, words...) }

// CommandLine is Command for the cluster that --cluster is to name, "" for none.
func CommandLine(cluster string, words ...string) string {
	line := "peerlab " + strings.Join(words, " ")
	if cluster == "" {
		return line
	}
	flag := " --cluster " + cluster
	if before, after, is := strings.Cut(line, " -- "); is { // exec alice -- LINE
		return before + flag + " -- " + after
	}
	return line + flag
}
