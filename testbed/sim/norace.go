//go:build !race

package sim

func spareRace() {}
