package memberlistconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/internal/suggest"
	"peerlab/peer/membership"
)

// Encode writes every plain field of conf as a JSON object in the order
// of memberlist's documentation, durations as text like "500ms".
func Encode(conf *memberlist.Config) []byte {
	var b bytes.Buffer
	v := reflect.ValueOf(conf).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		if !plain(f) {
			continue
		}
		value := v.FieldByIndex(f.Index).Interface()
		if d, ok := value.(time.Duration); ok {
			value = d.String()
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			continue // no plain value fails
		}
		if b.Len() > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n  %q: %s", f.Name, encoded)
	}
	return append(append([]byte("{"), b.Bytes()...), "\n}\n"...)
}

// Decode returns a copy of conf with the fields that a JSON object from
// Encode names, addresses and name included. It names the nearest field
// for one that does not exist, and takes no value that Set would not.
func Decode(conf *memberlist.Config, text []byte) (*memberlist.Config, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("read configuration: %w: want a JSON object of fields of memberlist.Config", err)
	}
	loaded := *conf
	for name, raw := range fields {
		value := strings.TrimSpace(string(raw))
		if s, err := strconv.Unquote(value); err == nil {
			value = s
		} else if err := json.Unmarshal(raw, &value); err == nil {
			_ = value // a string with escapes that Go does not know
		}
		var err error
		switch name {
		case "Name":
			err = membership.CheckName(value)
			loaded.Name = value
		case "BindAddr":
			loaded.BindAddr = value
		case "AdvertiseAddr":
			loaded.AdvertiseAddr = value
		case "BindPort":
			loaded.BindPort, err = strconv.Atoi(value)
		case "AdvertisePort":
			loaded.AdvertisePort, err = strconv.Atoi(value)
		default:
			if _, known := reflect.TypeFor[memberlist.Config]().FieldByName(name); !known {
				near := suggest.Similar(name, Fields())
				return nil, fmt.Errorf("read configuration: memberlist has no field %q%s", name, didYouMean(near))
			}
			err = Set(&loaded, name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("read configuration: %s: %w", name, err)
		}
	}
	return &loaded, nil
}

func didYouMean(near []string) string {
	if len(near) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(near, ", ") + "?"
}
