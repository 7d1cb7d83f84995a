package scenarios

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed gallery/*.txt
var gallery embed.FS

// GalleryPrefix begins the name of a scenario that is built in.
const GalleryPrefix = "gallery/"

// Gallery returns the scenarios that are built in, by name.
func Gallery() ([]*Scenario, error) {
	entries, err := gallery.ReadDir("gallery")
	if err != nil {
		return nil, err
	}
	var all []*Scenario
	for _, e := range entries {
		s, err := readBuiltIn(strings.TrimSuffix(e.Name(), Extension))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func readBuiltIn(name string) (*Scenario, error) {
	file := path.Join("gallery", name+Extension)
	text, err := gallery.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := Parse(file, string(text))
	if err == nil {
		s.beside.none = fmt.Errorf("%s is built in, so nothing is beside it", file)
	}
	return s, err
}

// Open reads a file, or one that is built in: gallery/NAME.
func Open(name string) (*Scenario, error) {
	built, is := strings.CutPrefix(name, GalleryPrefix)
	if !is || strings.HasSuffix(name, Extension) {
		return Read(name)
	}
	all, err := Gallery()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all {
		if s.Name == built {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("there is no scenario gallery/%s: %s", built, meant(built, names))
}
