package scenarios

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// longest is the longest that anything in a scenario can take.
const longest = 30 * 24 * time.Hour

// parseDuration reads a duration, or a sum of them and multiples: 90s,
// 12.3s*2+500ms, 60s-5s. The result is not negative.
func parseDuration(text string) (time.Duration, error) {
	var sum float64
	rest := strings.ReplaceAll(text, "×", "*")
	for sign := 1.0; ; {
		end := strings.IndexAny(rest, "+-")
		if end < 0 {
			end = len(rest)
		}
		product, err := parseProduct(rest[:end])
		if err != nil {
			return 0, fmt.Errorf("%q: %w", text, err)
		}
		sum += sign * product
		if end == len(rest) {
			break
		}
		sign = 1
		if rest[end] == '-' {
			sign = -1
		}
		rest = rest[end+1:]
	}
	// The negation catches what is not a number, too.
	if !(sum >= 0 && sum <= float64(longest)) {
		return 0, fmt.Errorf("%q: %s is not within 0 and %s", text, time.Duration(sum), longest)
	}
	return time.Duration(math.Round(sum)), nil
}

// parseProduct reads factors of which one is a duration.
func parseProduct(text string) (float64, error) {
	product, durations := 1.0, 0
	for factor := range strings.SplitSeq(text, "*") {
		if d, err := time.ParseDuration(factor); err == nil && factor != "0" {
			product *= float64(d)
			durations++
			continue
		}
		f, err := strconv.ParseFloat(factor, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return 0, errors.New("want a duration such as 90s, or a multiple such as 2*90s")
		}
		product *= f
	}
	if durations == 0 && product != 0 {
		return 0, errors.New("want one duration with its unit, such as 90s")
	}
	if durations != 1 && product != 0 {
		return 0, errors.New("want one duration such as 90s in each product")
	}
	return product, nil
}
