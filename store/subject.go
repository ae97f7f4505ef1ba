package store

import (
	"net/url"
	"strings"
)

// NamedSubject names as a subject what has a name in an environment, such as a pool or a
// source; kind says what it is. The environment may be any text, the name too.
func NamedSubject(kind, environment, name string) string {
	return kind + "/" + url.PathEscape(environment) + "/" + name
}

// CutNamed takes a NamedSubject apart; ok is false when it is none.
func CutNamed(subject string) (environment, name string, ok bool) {
	parts := strings.SplitN(subject, "/", 3)
	if len(parts) != 3 {
		return "", "", false
	}
	environment, err := url.PathUnescape(parts[1])
	return environment, parts[2], err == nil
}
