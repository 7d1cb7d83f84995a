package observe

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Summary describes the values of a figure over several occurrences or runs.
type Summary struct {
	N        int     `json:"n"`
	Mean     float64 `json:"mean"`
	Median   float64 `json:"median"`
	Min      float64 `json:"min"`
	P10      float64 `json:"p10"`
	P90      float64 `json:"p90"`
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
	MeanLow  float64 `json:"mean_low"`  // the 95 % confidence interval
	MeanHigh float64 `json:"mean_high"` // of the mean
}

const (
	resamples  = 10_000
	confidence = 0.95
)

// Summarize describes values. Percentiles are interpolated linearly between the
// two nearest values. The confidence interval is a percentile bootstrap of the
// mean with 10,000 resamples, which asks for no particular distribution; it
// is the same for the same values. Below about ten values it is too narrow, and
// for one it has no width. No values are the zero Summary.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	s := Summary{
		N: len(sorted), Mean: mean(sorted), Median: percentile(sorted, 0.5), Min: sorted[0], Max: sorted[len(sorted)-1],
		P10: percentile(sorted, 0.1), P90: percentile(sorted, 0.9), P99: percentile(sorted, 0.99),
	}
	s.MeanLow, s.MeanHigh = bootstrap(sorted)
	return s
}

// bootstrap returns the confidence interval of the mean. Of very many values it
// draws fewer samples: their means hardly differ.
func bootstrap(values []float64) (low, high float64) {
	n := len(values)
	means := make([]float64, max(200, min(resamples, 10_000_000/n)))
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range means {
		sum := 0.0
		for range n {
			sum += values[random.IntN(n)]
		}
		means[i] = sum / float64(n)
	}
	slices.Sort(means)
	return percentile(means, (1-confidence)/2), percentile(means, (1+confidence)/2)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// percentile returns the p-quantile of sorted values.
func percentile(sorted []float64, p float64) float64 {
	place := p * float64(len(sorted)-1)
	below := int(math.Floor(place))
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
}
