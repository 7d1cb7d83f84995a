package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"peerlab/bootstrap"
)

// parsePeer reads ID NAME IP PORT PROTOCOL STATUS TIMESTAMP. Deployed peers may
// send an empty timestamp: it counts as now.
func parsePeer(body string, now time.Time) (bootstrap.Peer, error) {
	w, err := words(body, "ID", "NAME", "IP", "PORT", "PROTOCOL", "STATUS", "TIMESTAMP")
	if err != nil {
		return bootstrap.Peer{}, err
	}
	p := bootstrap.Peer{
		ID: w[0], Name: w[1], IP: w[2], Port: w[3],
		Protocol: w[4], Status: w[5], Timestamp: w[6],
	}
	if p.Timestamp == "" {
		p.Timestamp = strconv.FormatInt(now.Unix(), 10)
	}
	if err := p.Validate(); err != nil {
		return bootstrap.Peer{}, err
	}
	return p, nil
}

// parseID reads ID.
func parseID(body string) (string, error) {
	w, err := words(body, "ID")
	if err != nil {
		return "", err
	}
	return w[0], bootstrap.ValidateID(w[0])
}

// parseConfig reads MAXPEERS MINREFILLCANDIDATES.
func parseConfig(body string) (bootstrap.Config, error) {
	w, err := words(body, "MAXPEERS", "MINREFILLCANDIDATES")
	if err != nil {
		return bootstrap.Config{}, err
	}
	var c bootstrap.Config
	if c.MaxPeers, err = number("maxpeers", w[0]); err != nil {
		return bootstrap.Config{}, err
	}
	if c.MinRefillCandidates, err = number("minrefillcandidates", w[1]); err != nil {
		return bootstrap.Config{}, err
	}
	return c, nil
}

func number(name, s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n > bootstrap.Limit {
		return 0, fmt.Errorf("%s %.40q is no number from 0 to %d", name, s, bootstrap.Limit)
	}
	return int(n), nil
}

// words splits body into as many words as there are names. More are ignored,
// as deployed servers do. The separator is one space, not any amount: deployed
// peers refill with an empty STATUS, which is two spaces in a row.
func words(body string, names ...string) ([]string, error) {
	// What curl and echo put at the end belongs to no word.
	body = strings.TrimRight(body, "\r\n")
	var w []string
	if body != "" {
		w = strings.SplitN(body, " ", len(names)+1)
	}
	if len(w) < len(names) {
		return nil, fmt.Errorf("missing %s: want %s, separated by single spaces",
			strings.Join(names[len(w):], " "), strings.Join(names, " "))
	}
	return w[:len(names)], nil
}
