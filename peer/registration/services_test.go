package registration

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/bootstrap"
)

func TestServicesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := map[string]bool{}
		var asked []string
		var services []*service
		for _, url := range []string{"http://a", "http://b", "http://c"} {
			client, err := bootstrap.NewClient(url, nil)
			if err != nil {
				t.Fatal(err)
			}
			services = append(services, &service{client: client})
		}
		ask := func() (string, error) {
			asked = nil
			_, url, err := askInOrder(t.Context(), services, func(_ context.Context, c *bootstrap.Client) (bootstrap.List, error) {
				asked = append(asked, strings.TrimPrefix(c.URL(), "http://"))
				if down[c.URL()] {
					return bootstrap.List{}, errors.New(c.URL() + " is down")
				}
				return bootstrap.List{}, nil
			})
			return url, err
		}
		expect := func(what, want string) {
			t.Helper()
			if _, err := ask(); err != nil || strings.Join(asked, "") != want {
				t.Errorf("%s: asked %v, %v, want %s", what, asked, err, want)
			}
		}
		expect("all up", "a")
		down["http://a"] = true
		expect("the first down", "ab")
		expect("the first rests", "b")
		time.Sleep(2 * minRest)
		expect("it is tried again", "ab")
		down["http://a"] = false
		expect("it is back and rests", "b")
		time.Sleep(4 * minRest)
		expect("it is first again", "a")

		down["http://a"], down["http://b"], down["http://c"] = true, true, true
		_, err := ask()
		if err == nil || len(asked) != 3 || strings.Contains(err.Error(), "\n") {
			t.Errorf("all down: asked %v, %v", asked, err)
		}
		for _, url := range []string{"http://a", "http://b", "http://c"} {
			if !strings.Contains(err.Error(), url+" is down") {
				t.Errorf("%v does not name %s", err, url)
			}
		}
		down["http://b"] = false
		expect("all rest, one is back", "ab")
		for range 20 { // a rest is never longer than that
			_, _ = ask()
			time.Sleep(time.Second)
		}
		down["http://a"] = false
		time.Sleep(2 * maxRest)
		expect("after the longest rest", "a")
	})
}
