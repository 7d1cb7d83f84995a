package main

import "github.com/spf13/cobra"

func (l *lab) compareCommand() *cobra.Command { return &cobra.Command{Use: "compare"} }
