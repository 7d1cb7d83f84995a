package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"peerlab/peer/command"
	"peerlab/peer/membership"
)

func (b *Builtins) keyCommands() []command.Command {
	withKey := func(step func(*membership.Membership, string) error) command.Func {
		return func(_ context.Context, c *command.Call) error {
			s, err := b.peer.Layers.Running()
			if err != nil {
				return err
			}
			key := c.Args[0]
			if key == "-" {
				if c.NoInput {
					return errNoInput
				}
				b, err := io.ReadAll(io.LimitReader(c.In, 1024))
				if err != nil {
					return fmt.Errorf("read the key: %w", err)
				}
				if key = strings.TrimSpace(string(b)); key == "" {
					return errors.New("standard input holds no key")
				}
			}
			return step(s.Members, key)
		}
	}
	return []command.Command{
		{
			Name: "keys list", Group: "keys", Data: true,
			Short: "the keys this peer encrypts and decrypts gossip with, by fingerprint", Example: "keys list",
			Run: func(_ context.Context, c *command.Call) error {
				members, err := b.membersOrErr()
				if err != nil {
					return err
				}
				keys := members.Keys()
				if keys == nil {
					keys = []membership.Key{}
				}
				return c.Show(keys, func() {
					if len(keys) == 0 {
						c.Printf("no keys: gossip is not encrypted\n")
						return
					}
					var rows [][]string
					for _, k := range keys {
						rows = append(rows, []string{k.Fingerprint, map[bool]string{true: "encrypts", false: "decrypts"}[k.Primary]})
					}
					c.Table([]string{"FINGERPRINT", "USE"}, rows)
				})
			},
		},
		{
			Name: "keys install", Group: "keys", Usage: "KEY|-", MinArgs: 1, MaxArgs: 1, Input: true,
			Short: "add a key of 16, 24 or 32 bytes in base64; - reads it from standard input",
			Long: "The first key encrypts at once: members without it lose this one. To change keys,\n" +
				"install the new one on every peer, then use it on every peer, then remove the old.\n" +
				"History, saved runs and errors have the key's fingerprint in its place.",
			Example: "keys install -", Secret: membership.RedactKey,
			Run: withKey(func(m *membership.Membership, key string) error {
				_, err := m.InstallKey(key)
				return err
			}),
		},
		{
			Name: "keys use", Group: "keys", Usage: "KEY|FINGERPRINT", MinArgs: 1, MaxArgs: 1, Input: true,
			Short: "encrypt with an installed key", Example: "keys use 1a2b3c4d",
			Secret: membership.RedactKey, Complete: b.fingerprints, Run: withKey((*membership.Membership).UseKey),
		},
		{
			Name: "keys remove", Group: "keys", Usage: "KEY|FINGERPRINT", MinArgs: 1, MaxArgs: 1, Input: true,
			Short: "forget an installed key", Example: "keys remove 1a2b3c4d",
			Secret: membership.RedactKey, Complete: b.fingerprints, Run: withKey((*membership.Membership).RemoveKey),
		},
	}
}

func (b *Builtins) fingerprints([]string, string) []string {
	members, err := b.membersOrErr()
	if err != nil {
		return nil
	}
	var prints []string
	for _, k := range members.Keys() {
		prints = append(prints, k.Fingerprint)
	}
	return prints
}
