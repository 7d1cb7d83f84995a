package event

import (
	"reflect"
	"testing"
	"time"
)

func TestQueuesAreReadAsWritten(t *testing.T) {
	queues := []Queue{
		{"alive", []int{0, 4, 2}, 1500 * time.Millisecond},
		{"broadcast", []int{1, 1, 1}, 9 * time.Second},
	}
	text := FormatQueues(queues)
	if want := "alive=0,4,2/1.5 broadcast=1,1,1/9"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	if back, err := ParseQueues(text); err != nil || !reflect.DeepEqual(back, queues) {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestQueuesThatNoPeerWrites(t *testing.T) {
	for _, text := range []string{
		"alive", "alive=1", "=1/1", "alive=/1", "alive=x/1", "alive=-1/1", "alive=1/", "alive=1/-1", "alive=1/NaN", "alive=1/1e99",
		"alive=99999999/1", "alive=1,2/1 dead=1/1",
	} {
		if queues, err := ParseQueues(text); err == nil {
			t.Errorf("%q is read as %+v", text, queues)
		}
	}
}

func FuzzParseQueues(f *testing.F) {
	f.Add("alive=0,4,2/1.5 broadcast=1,1,1/9")
	f.Add("alive=1/")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		queues, err := ParseQueues(text)
		if err != nil {
			return
		}
		if again, err := ParseQueues(FormatQueues(queues)); err != nil || !reflect.DeepEqual(again, queues) {
			t.Errorf("%q: %+v, then %+v, %v", text, queues, again, err)
		}
	})
}
