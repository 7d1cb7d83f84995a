package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal/layout"
	"peerlab/scenarios"
)

// scenarioJSON is one scenario for --format json.
type scenarioJSON struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Arms  []string `json:"arms,omitempty"`
	Text  string   `json:"text"`
}

// galleryCommand lists the built-in scenarios.
func (l *lab) galleryCommand() *cobra.Command {
	var markdown, quiet bool
	cmd := withFormats(&cobra.Command{
		Use: "gallery [NAME]", Short: "List the built-in scenarios, or print one of them",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("gallery takes at most one name: see %s --help", cmd.CommandPath())}
			}
			return nil
		},
		ValidArgsFunction: completeGallery,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if markdown || quiet {
					return usageError{errors.New("--markdown and --quiet are for the list, not for one scenario")}
				}
				s, err := scenarios.Open(scenarios.GalleryPrefix + strings.TrimPrefix(args[0], scenarios.GalleryPrefix))
				if err != nil {
					return usageError{err}
				}
				if l.json() {
					return printJSON(cmd, scenarioJSON{scenarios.GalleryPrefix + s.Name, s.Title, s.Arms(), s.Text})
				}
				_, err = io.WriteString(cmd.OutOrStdout(), s.Text)
				return err
			}
			if markdown {
				if err := l.noJSON("gallery --markdown"); err != nil {
					return err
				}
				table, err := scenarios.Catalog()
				if err != nil {
					return err
				}
				_, err = io.WriteString(cmd.OutOrStdout(), table)
				return err
			}
			all, err := scenarios.Gallery()
			if err != nil {
				return err
			}
			if quiet {
				for _, s := range all {
					fmt.Fprintln(cmd.OutOrStdout(), scenarios.GalleryPrefix+s.Name)
				}
				return nil
			}
			if l.json() {
				type entry struct {
					Name  string `json:"name"`
					Title string `json:"title"`
				}
				list := []entry{}
				for _, s := range all {
					list = append(list, entry{scenarios.GalleryPrefix + s.Name, s.Title})
				}
				return printJSON(cmd, list)
			}
			table := layout.NewTable()
			for _, s := range all {
				table.Row(scenarios.GalleryPrefix+s.Name, s.Title)
			}
			return table.Write(cmd.OutOrStdout())
		},
	}, formatJSON)
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print a Markdown table, with threads, arms, engines and observations")
	namesOnly(cmd, &quiet)
	return cmd
}
