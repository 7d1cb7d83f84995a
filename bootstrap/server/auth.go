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
// tokens, so that they can be changed one peer at a time. What a role allows
// stays open to anyone until there is a token for that role or one below it: a
// read token closes writing as well, for each write is answered with the list.
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

// needs reports whether a request that takes this role needs a token.
func (t *Tokens) needs(r role) bool {
	for _, sums := range t.sums[:r+1] {
		if len(sums) > 0 {
			return true
		}
	}
	return false
}

// Empty reports whether there is no token at all.
func (t *Tokens) Empty() bool { return !t.needs(administrator) }

// onlyRead reports whether nobody can have what registering takes.
func (t *Tokens) onlyRead() bool {
	return t.needs(writer) && len(t.sums[writer])+len(t.sums[administrator]) == 0
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

// of returns the role of a request: that of the token in its Authorization
// header as Bearer, or as the password of Basic, which is what a browser and a
// URL with user information send.
func (t *Tokens) of(r *http.Request) role {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return t.holds(strings.TrimSpace(token))
	} else if _, password, ok := r.BasicAuth(); ok {
		return t.holds(password)
	}
	return nobody
}

// allow lets requests through that may do what takes this role. Whatever
// writes is refused to pages of other sites. What needs a token is for those
// who have it; what needs none, only for those who call this service by a name
// of its own, which a page that had its own name lead here cannot.
func (s *service) allow(need role) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		switch {
		case s.Tokens.needs(need):
			next = s.withToken(need, next)
		case !s.AnyHost:
			next = s.withOwnHost(next)
		}
		if need >= writer {
			next = sameOrigin(next)
		}
		return next
	}
}

func (s *service) withToken(need role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch held := s.Tokens.of(r); {
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
