package server

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

// minToken is the length below which a token could be guessed, in bytes.
const minToken = 16

// role is what a request needs, and what a token gives; each includes those
// before it.
type role int

const (
	nobody role = iota
	reader
	writer
	administrator
)

var roles = map[string]role{"read": reader, "write": writer, "admin": administrator}

// Tokens say who may do what. The zero value lets anyone do all.
type Tokens struct {
	sums [administrator + 1][][sha256.Size]byte
}

// ParseTokens reads lines of ROLE TOKEN, ROLE being read, write or admin; empty
// lines and those that start with # are skipped. A role may have several
// tokens, so that they can be changed one peer at a time. Reading and writing
// stay open to anyone until they have a token; what changes the configuration
// or removes all peers, until there is a token of any role.
func ParseTokens(text string) (Tokens, error) {
	var t Tokens
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		role := roles[words[0]]
		if role == nobody || len(words) != 2 {
			return Tokens{}, fmt.Errorf("tokens, line %d: want read, write or admin and a token", n)
		}
		if len(words[1]) < minToken {
			return Tokens{}, fmt.Errorf("tokens, line %d: a token needs %d characters or more: openssl rand -hex 16 makes one", n, minToken)
		}
		t.sums[role] = append(t.sums[role], sha256.Sum256([]byte(words[1])))
	}
	return t, lines.Err()
}

// needs says whether a request that takes this role needs a token.
func (t *Tokens) needs(r role) bool {
	if r != administrator {
		return len(t.sums[r]) > 0
	}
	return len(t.sums[reader])+len(t.sums[writer])+len(t.sums[administrator]) > 0
}

// holds returns the role of a token. It compares with all, in a time that
// depends on neither the token nor the role.
func (t *Tokens) holds(token string) role {
	sum := sha256.Sum256([]byte(token))
	held := int(nobody)
	for r, sums := range t.sums {
		for i := range sums {
			held = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], sums[i][:]), r, held)
		}
	}
	return role(held)
}

// allow lets requests through whose token gives at least this role, in an
// Authorization header as Bearer, or as the password of Basic, which is what a
// browser and a URL with user information send.
func (s *service) allow(need role) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if !s.Tokens.needs(need) {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			held := nobody
			if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
				held = s.Tokens.holds(strings.TrimSpace(token))
			} else if _, password, ok := r.BasicAuth(); ok {
				held = s.Tokens.holds(password)
			}
			switch {
			case held >= need:
				next.ServeHTTP(w, r)
			case held == nobody:
				w.Header().Add("WWW-Authenticate", `Bearer realm="bootstrap"`)
				w.Header().Add("WWW-Authenticate", `Basic realm="bootstrap"`)
				http.Error(w, "this needs a token: Authorization: Bearer TOKEN", http.StatusUnauthorized)
			default:
				http.Error(w, "this token does not allow that", http.StatusForbidden)
			}
		})
	}
}
