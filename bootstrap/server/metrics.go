package server

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"peerlab/bootstrap/store"
)

// metrics are one service's, not the process's: a test may run several.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	series   sync.Map // of answer to *series: looking labels up costs more than counting
}

// answer is what requests are counted by.
type answer struct {
	route, method string
	status        int
}

type series struct {
	count   prometheus.Counter
	seconds prometheus.Observer
}

func newMetrics(s store.Store) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bootstrap_requests_total", Help: "Requests answered.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bootstrap_request_seconds", Help: "Time from a request's header to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}, []string{"route"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, registered{s})
	m.registry.MustRegister(processCollectors()...)
	return m
}

// processCollectors are the same for all services: they are about the process,
// and making them costs more than the rest of a service.
var processCollectors = sync.OnceValue(func() []prometheus.Collector {
	return []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
})

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) observe(route, method string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
	default:
		method = "other" // a client's invention must not become a time series
	}
	a := answer{route, method, status}
	known, ok := m.series.Load(a)
	if !ok {
		known, _ = m.series.LoadOrStore(a, &series{
			m.requests.WithLabelValues(route, method, strconv.Itoa(status)), m.seconds.WithLabelValues(route),
		})
	}
	known.(*series).count.Inc()
	known.(*series).seconds.Observe(took.Seconds())
}

// registered reads the store whenever the metrics are read.
type registered struct{ store store.Store }

var (
	peersDesc    = prometheus.NewDesc("bootstrap_peers", "Registered peers.", nil, nil)
	maxPeersDesc = prometheus.NewDesc("bootstrap_max_peers", "How many peers are kept.", nil, nil)
	upDesc       = prometheus.NewDesc("bootstrap_store_up", "1 if the store could be read.", nil, nil)
)

// Describe implements prometheus.Collector.
func (registered) Describe(ch chan<- *prometheus.Desc) {
	ch <- peersDesc
	ch <- maxPeersDesc
	ch <- upDesc
}

// Collect implements prometheus.Collector.
func (r registered) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := r.store.View(ctx)
	if err != nil {
		ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, 1)
	ch <- prometheus.MustNewConstMetric(peersDesc, prometheus.GaugeValue, float64(len(s.Peers)))
	ch <- prometheus.MustNewConstMetric(maxPeersDesc, prometheus.GaugeValue, float64(s.MaxPeers))
}
